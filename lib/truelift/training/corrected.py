"""A model whose loss is corrected for what people are shown, beside the plain one, and the gate between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from truelift.evaluation import champion
from truelift.evaluation.by_lot_table import judged_on_validation, training_counts
from truelift.evaluation.on_spark import PackagedRanker
from truelift.models.sequence.exposure import inverse_chances
from truelift.models.sequence.package import ModelPackage
from truelift.training.launcher import launch
from truelift.training.rank import RankJob, RankResult
from truelift.training.search import with_checkpoints

if TYPE_CHECKING:
    from truelift.evaluation.splits import Split
    from truelift.job import Job
    from truelift.lake import ScanPlan

PLAIN = "none"


@dataclass(frozen=True, eq=False)
class Choice:
    """The model that goes on, and why.

    Parameters
    ----------
    kept : str
        The correction, or ``none``.
    gain, lower, upper : float
        AUC of the corrected model less the plain one's, on the validation part by inverse chances, with the 95% interval
        over users; not numbers where the part cannot say.
    trained : RankResult
    weights : dict of str to ndarray
    checkpoints : str
        Of the plain training.
    """

    kept: str
    correction: str
    gain: float
    lower: float
    upper: float
    trained: RankResult
    weights: dict[str, np.ndarray]
    checkpoints: str

    @property
    def sentence(self) -> str:
        """What the gate found."""
        found = (
            f"AUC on what was taken in the validation part, by inverse chances: {self.gain:+.4f} ({self.lower:+.4f} to "
            f"{self.upper:+.4f}) against the plain loss"
            if np.isfinite(self.gain)
            else "the validation part cannot say which is better"
        )
        done = "goes on" if self.kept != PLAIN else "does not go on, and the plain model does"
        return f"The model with the correction {self.correction} {done}: {found}."

    def metrics(self) -> dict[str, float]:
        """For MLflow."""
        if not np.isfinite(self.gain):
            return {"correction.kept": 0.0}
        kept = float(self.kept != PLAIN)
        return {
            "correction.kept": kept, "correction.auc_gain": self.gain,
            "correction.auc_gain.ci_lower": self.lower, "correction.auc_gain.ci_upper": self.upper,
        }  # fmt: skip


def corrected_or_plain(
    job: Job, rank_job: RankJob, root: str, package: ModelPackage, split: Split, plan: ScanPlan,
    on_progress: Callable[[Mapping[str, Any]], None],
) -> Choice:  # fmt: skip
    """Train both, and keep the corrected one where it is better beyond its interval.

    The judge is the validation part, which neither learned from, weighted by the chances that the correction takes: a plain
    metric would favour whoever ranks what is shown. The test part has no part in it.

    Parameters
    ----------
    job : Job
    rank_job : RankJob
        With the correction.
    root : str
        Of checkpoints.
    package : ModelPackage
        Without weights.
    split : Split
    plan : ScanPlan
        ``gold.sequences`` with ``bucket``.
    on_progress : callable
    """
    training = rank_job.sequence.training
    without = replace(rank_job.sequence, training=replace(training, correction=PLAIN))
    plain_job = with_checkpoints(replace(rank_job, sequence=without), root)
    folder = job.workdir / "ranks"
    plain = launch(plain_job, folder / "plain", on_progress)
    corrected = launch(rank_job, folder / "final", on_progress)
    keys = package.item_keys
    ready = {
        name: replace(package, weights=weights)
        for name, (_, weights) in ((training.correction, corrected), (PLAIN, plain))
    }
    rankers = {
        name: PackagedRanker(own.to_bytes(), champion.item_index(own, keys))
        for name, own in ready.items()
    }
    counts = training_counts(job, split, len(keys), plan)
    inverse = inverse_chances(counts, training.correction_power, training.correction_clip)
    job.progress.update("the corrected model beside the plain one")
    told = judged_on_validation(job, rankers, split, len(keys), plan, inverse)
    gain = lower = upper = float("nan")
    if told[PLAIN]:
        less = told[training.correction]["auc"].less(told[PLAIN]["auc"])
        gain, lower, upper = less.value, less.lower, less.upper
    better = lower > 0
    return Choice(
        training.correction if better else PLAIN, training.correction, gain, lower, upper,
        *(corrected if better else plain), str(plain_job.checkpoints),
    )  # fmt: skip
