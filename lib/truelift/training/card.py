"""What the registry says of a sequence model's version: tags to filter by, and a description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from truelift.evaluation.champion import NAME as CHAMPION
from truelift.models.sequence.package import ModelPackage
from truelift.training.rank import RankResult
from truelift.training.results import RankingMetrics


@dataclass(frozen=True)
class Card:
    """A version beside the baselines it was tested with.

    Parameters
    ----------
    measure : str
        What is compared, such as ``ndcg@10``.
    value : float
        Of the model.
    baseline : str, optional
        The best baseline: the one that validation chose, or one that the test shows above it.
    baseline_value : float
    gain : tuple of float, optional
        Mean difference to it with its 95% interval, where users were compared one by one.
    above : tuple of str
        Baselines with a higher value than the model's.
    """

    measure: str
    value: float
    baseline: str | None
    baseline_value: float
    gain: tuple[float, float, float] | None
    above: tuple[str, ...]

    @property
    def below_a_baseline(self) -> bool:
        """Whether a baseline did better on the test part."""
        return bool(self.above)

    def sentence(self) -> str:
        """The comparison in words."""
        if self.baseline is None:
            return f"{self.measure} {self.value:.4f}; there was no baseline beside it."
        found = (
            f"{self.measure} {self.value:.4f} beside {self.baseline_value:.4f} of the best "
            f"baseline, {self.baseline}"
        )
        if self.gain is not None:
            mean, lower, upper = self.gain
            found += f" (difference {mean:+.4f}, 95% interval {lower:+.4f} to {upper:+.4f})"
        return f"{found}."

    def tags(self) -> dict[str, str]:
        """Tags of the version: what it is beside, and by how much it gains."""
        name = self.measure.replace("@", "_at_")
        found = {f"test.{name}": f"{self.value:.4f}"}
        if self.baseline is not None:
            found["baseline"] = self.baseline
            found[f"baseline.{name}"] = f"{self.baseline_value:.4f}"
            found["below_baseline"] = str(self.below_a_baseline).lower()
            found["gain"] = f"{self.value - self.baseline_value:+.4f}"
        if self.gain is not None:
            mean, lower, upper = self.gain
            found |= {
                "gain": f"{mean:+.4f}",
                "gain.ci_lower": f"{lower:+.4f}",
                "gain.ci_upper": f"{upper:+.4f}",
            }
        return found


def card(trained: RankResult) -> Card:
    """The card of a training's model."""
    own, *others = trained.test
    measure, value = headline_of(own)
    values = {m.model: headline_of(m)[1] for m in others if m.model != CHAMPION}
    above = sorted((m for m, v in values.items() if v > value), key=lambda m: -values[m])
    best = trained.best_baseline if trained.best_baseline in values else None
    if above:
        best = above[0]
    elif best is None and values:
        best = max(values, key=lambda m: values[m])
    # Gains are differences in NDCG: of a classifier's accuracy they say nothing.
    gain = trained.gains.get(best) if best is not None and measure.startswith("ndcg") else None
    return Card(measure, value, best, values[best] if best else float("nan"), gain, tuple(above))


def headline_of(metrics: RankingMetrics) -> tuple[str, float]:
    """The one figure of a model: NDCG, of a classifier accuracy."""
    accuracy = metrics.measure("accuracy")
    if accuracy is None:
        return f"ndcg@{metrics.k}", metrics.ndcg
    return "accuracy", accuracy.value


def about_model(dataset: str, package: ModelPackage, how_to_call: str) -> str:
    """Description of the registered model, whatever the version."""
    what = "foretells the next action" if package.classifies else "ranks the items that come next"
    return (
        f"A sequence model of the data set **{dataset}** that {what} after a history "
        "(truelift train_sequence). The alias `challenger` is the newest training, `champion` the "
        f"version that `recommend` uses; the tag `truelift.gate` says why.\n\n{how_to_call}"
    )


def about_version(
    package: ModelPackage, found: Card, inputs: Mapping[str, int], dataset: str, sample: float
) -> str:
    """Description of one version."""
    share = "" if sample == 1 else f" **A sample of {sample:.3g} of the users.**"
    tables = ", ".join(f"{table} version {version}" for table, version in inputs.items())
    warning = (
        f"\n\n**Below a baseline** on the test part ({', '.join(found.above)}): what counts is "
        "simpler and better here. Serving this version is your decision."
        if found.below_a_baseline
        else ""
    )
    return (
        f"{package.model} of the data set {dataset}, {len(package.item_keys):,} items.{share} "
        f"{found.sentence()[:1].upper()}{found.sentence()[1:]} Trained on {tables}.{warning}"
    )
