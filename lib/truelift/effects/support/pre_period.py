"""Whether an experiment's arms were alike before it began: what lots make of an earlier outcome.

An earlier outcome differs between randomised arms by chance alone, and so does how often it is missing.
Where it differs by more, it was measured after the assignment (CUPED then takes the effect away, or
puts the missing units' level in its place), or the assignment was not what was promised.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from truelift.effects.results import Caution
from truelift.effects.support.assignment_check import LEVEL
from truelift.errors import DataError
from truelift.inference.experiment_estimates import difference_in_means
from truelift.inference.experiments import ExperimentSums


def pre_period_p_value(sums: ExperimentSums, places: list[int]) -> float:
    """P-value that the arms are alike in some covariates of an experiment, with Bonferroni's factor.

    Parameters
    ----------
    sums : ExperimentSums
    places : list of int
        Of the covariates: an earlier outcome, and that it is missing.
    """
    p_values = [p for place in places for p in _differences(as_outcome(sums, place))]
    return min(1.0, len(p_values) * min(p_values)) if p_values else 1.0


def _differences(sums: ExperimentSums) -> list[float]:
    try:
        return [c.p_value for c in difference_in_means(sums).contrasts]
    except DataError:  # it does not vary within the arms
        means = sums.total[:, 1] / np.maximum(sums.total[:, 0], 1.0)
        apart = np.ptp(means) > 1e-9 * float(np.abs(means).max())
        return [0.0] if apart else []


def as_outcome(sums: ExperimentSums, place: int) -> ExperimentSums:
    """The sums with one covariate as their only outcome, and no covariates."""
    arms, width = sums.total.shape
    kept = np.array([0, 1 + place])
    flat = (np.arange(arms)[:, None] * width + kept).ravel()
    return replace(
        sums,
        total=sums.total[:, kept],
        cross=sums.cross[np.ix_(flat, flat)],
        gram=sums.gram[:, kept[:, None], kept[None]],
        covariates=0,
    )


def pre_period_caution(outcome: str, earlier: str, p_value: float) -> Caution | None:
    """A stopping caution where the arms were not alike before."""
    if p_value >= LEVEL:
        return None
    return Caution(
        f"The arms differ in {earlier!r}, or in who misses it, which is said to be {outcome!r} from "
        f"before the assignment (p {p_value:.2g}). Lots do not do that: either it was measured after "
        "the assignment, or the assignment was not as promised. Name a column from before under "
        "effects.experiment.pre_outcomes, or find out what the arms were.",
        stops=True,
        outcomes=(outcome,),
    )
