"""How much of an effect goes through mediators, as a look beside the effect itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from truelift.effects.designs.results import Named, family
from truelift.effects.designs.through.front_door import gap_cautions
from truelift.effects.designs.through.nested import Nested, nested_fits
from truelift.effects.designs.through.scores import CrossedScores
from truelift.effects.look import Look, Sight, not_made
from truelift.effects.panel.columns import PanelColumns
from truelift.effects.results import Caution, EffectsResult, Estimate, Finding
from truelift.effects.support.cautions import with_cautions
from truelift.effects.telling.figures import percent
from truelift.inference.weak_instruments import ConfidenceSet, ReducedForms, anderson_rubin_set
from truelift.settings import EffectOptions

#: By estimand, the mean outcomes (arm, whose mediators) that it is the difference of; 1 stands for the arm.
PARTS = {
    "NDE": ((1, 0), (0, 0)),
    "NIE": ((1, 1), (1, 0)),
    "total NDE": ((1, 1), (0, 1)),
    "pure NIE": ((0, 1), (0, 0)),
}
#: From this share of units on, mediators that nearly tell the arm get a word.
_MUCH_CLIPPED = 0.05
_METHOD = "cross-fitted multiply robust scores, {} nuisances"


@dataclass(frozen=True)
class MediatedShare:
    """How large a part of the effect goes through the mediators.

    Parameters
    ----------
    outcome, arm : str
    mediators : tuple of str
    share : float
        The natural indirect effect over the total effect.
    interval : ConfidenceSet
        Fieller's; unbounded where the total effect may be none.
    confidence : float
    """

    outcome: str
    arm: str
    mediators: tuple[str, ...]
    share: float
    interval: ConfidenceSet
    confidence: float

    def sentence(self) -> str:
        """In a sentence."""
        through = ", ".join(self.mediators)
        if not self.interval.bounded:
            return (
                f"What share of the effect of {self.arm} on {self.outcome} goes through {through} cannot be told: "
                f"the effect itself may be none (Fieller, {self.confidence:.0%})."
            )
        ends = self.interval.intervals
        told = "no share" if not ends else f"{percent(ends[0][0])} to {percent(ends[-1][1])}"
        return (
            f"Of the effect of {self.arm} on {self.outcome}, {percent(self.share)} goes through {through} "
            f"({self.confidence:.0%} interval {told}, Fieller)."
        )


def share_of(
    indirect: float, total: float, spread: np.ndarray, degrees: float, confidence: float
) -> ConfidenceSet:
    """Fieller's (1954) interval of a ratio of two estimates.

    Parameters
    ----------
    indirect, total : float
    spread : ndarray, 2 x 2
    degrees : float
        Of freedom.
    confidence : float
    """
    forms = ReducedForms(
        np.array([indirect]),
        np.array([total]),
        spread[:1, :1],
        spread[1:, 1:],
        spread[:1, 1:],
        degrees,
    )
    return anderson_rubin_set(forms, confidence)


def _asked(options: EffectOptions, columns: PanelColumns) -> bool:  # noqa: ARG001
    return bool(options.mediators)


def _result(sight: Sight, found: None) -> EffectsResult:  # noqa: ARG001
    """The result with natural direct and indirect effects of every arm and outcome."""
    options = sight.options
    mediators = tuple(options.mediators)
    fits = nested_fits(sight.source, options, mediators, "effects.mediators", sight.progress)
    if why := _why_not(fits):
        return not_made(sight.result, {"mediators": why})
    columns = fits.inner.scoring.columns
    labels, outcomes = columns.arms.labels, columns.outcomes
    arms, count = len(labels), len(outcomes)
    means, beyond = fits.means(CrossedScores(), arms * arms * count, sight.progress)

    def row(arm: int, parts: tuple[tuple[int, int], tuple[int, int]], j: int) -> np.ndarray:
        line = np.zeros(len(means.values))
        for (a, b), sign in zip(parts, (1.0, -1.0), strict=True):
            line[((a * arm) * arms + b * arm) * count + j] += sign
        return line

    estimates: list[Estimate] = []
    sentences: list[str] = []
    figures: dict[str, float] = {}
    through = f"through {', '.join(mediators)}"
    for j, outcome in enumerate(outcomes):
        for arm in range(1, arms):
            for name, parts in PARTS.items():
                line = row(arm, parts, j)
                named = [
                    Named(
                        name,
                        outcome,
                        labels[arm],
                        through,
                        _METHOD.format(sight.result.learner),
                        labels[0],
                    )
                ]
                estimates += family(
                    named, np.array([line @ means.values]), np.array([[line @ means.covariance @ line]]),
                    options, sight.result.n, means.clusters,
                )  # fmt: skip
            both = np.array([row(arm, PARTS["NIE"], j), row(arm, ((1, 1), (0, 0)), j)])
            values, spread = both @ means.values, both @ means.covariance @ both.T
            share = MediatedShare(
                outcome, labels[arm], mediators, float(values[0] / values[1]),
                share_of(values[0], values[1], spread, means.clusters - 1.0, options.inference.confidence),
                options.inference.confidence,
            )  # fmt: skip
            sentences.append(share.sentence())
            figures |= _figures(share, len(labels) > 2)
    finding = Finding("mediators", tuple(sentences), figures)
    result = replace(
        sight.result,
        estimates=(*sight.result.estimates, *estimates),
        findings=(*sight.result.findings, finding),
    )
    if sight.estimation.scoring.columns.second_cluster is not None:
        told = f"its errors are clustered by {options.cluster!r} alone."
        result = not_made(result, {"mediation in two ways of clusters": told})
    return with_cautions(result, [*_cautions(options, beyond), *gap_cautions(fits)])


def _why_not(fits: Nested) -> str:
    """Why nothing is told of what goes through the mediators; empty where it is."""
    if not fits.varying:
        return "they are constant or follow from the covariates, so nothing can go through them."
    settling = fits.settling()
    why = "so units of one arm tell nothing of the mediators of another; direct and indirect effects are not known."
    return f"{' and '.join(settling)}, {why}" if settling else ""


def _figures(share: MediatedShare, several: bool) -> dict[str, float]:
    key = f"share through mediators of {share.outcome}" + (f", {share.arm}" if several else "")
    found = {key: share.share}
    if share.interval.bounded and share.interval.intervals:
        ends = share.interval.intervals
        found |= {f"{key}, lower": ends[0][0], f"{key}, upper": ends[-1][1]}
    return found


def _cautions(options: EffectOptions, beyond: np.ndarray) -> list[Caution]:
    through = ", ".join(options.mediators)
    found = [
        Caution(
            f"Direct and indirect effects assume, beside what the effect itself does, that nothing unmeasured moves "
            f"both {through} and an outcome, and that nothing which the treatment changes does. Where it does, "
            "read them as effects of no intervention.",
            estimands=tuple(PARTS),
        )
    ]
    if beyond[1] > _MUCH_CLIPPED:
        found.append(
            Caution(
                f"{through} nearly tell the arm: of {beyond[1]:.0%} of the units the chance of an arm given them is "
                f"cut at {options.support.clip:g}. Direct and indirect effects lean on the regressions there.",
                estimands=tuple(PARTS),
            )
        )
    return found


MEDIATORS = Look("mediators", _result, _asked)
