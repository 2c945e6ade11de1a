"""The summands of a block of units: doubly robust scores of arms, contrasts, cells and policies.

For outcome Y, arm D, propensities e_a and outcome regressions m_a:

* mean of arm a: ``m_a + 1[D = a] (Y - m_a) / e_a`` (Robins, Rotnitzky & Zhao 1994). Contrasts,
  cells of groups and values of policies are made of these.

Single estimands have summands of their own (:mod:`~.kinds`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from truelift.effects.scores.layout import ScoreLayout
from truelift.inference.clusters import Summands


@dataclass(frozen=True, eq=False)
class UnitBlock:
    """Units with what was observed and what was predicted of them out of fold.

    Parameters
    ----------
    arm : ndarray of int, n
        Arm codes.
    outcome : ndarray, J x n
        In the scale of the kernels.
    propensity : ndarray, A x n
        As predicted, not clipped.
    outcome_regression : ndarray, A x J x n
    weight : ndarray, n, optional
        None stands for one each.
    cells : sequence of ndarray of int
        By group column: the cell of each unit.
    policies : sequence of ndarray of int
        By policy: the arm that it chooses for each unit.
    """

    arm: np.ndarray
    outcome: np.ndarray
    propensity: np.ndarray
    outcome_regression: np.ndarray
    weight: np.ndarray | None = None
    cells: Sequence[np.ndarray] = ()
    policies: Sequence[np.ndarray] = ()


def clipped(propensity: np.ndarray, clip: float) -> np.ndarray:
    """Propensities within ``[clip, 1 - clip]``, arm by arm."""
    return np.clip(propensity, clip, 1.0 - clip)


def arm_scores(units: UnitBlock, propensity: np.ndarray) -> np.ndarray:
    """Scores of the arms' means, A x J x n, with the propensities given."""
    scores = units.outcome_regression.copy()
    for a in range(len(scores)):
        own = np.flatnonzero(units.arm == a)
        residual = units.outcome[:, own] - units.outcome_regression[a][:, own]
        scores[a][:, own] += residual / propensity[a, own]
    return scores


def quantities(
    units: UnitBlock,
    layout: ScoreLayout,
    clip: float,
    clip_levels: Sequence[float] = (),
    trim_levels: Sequence[float] = (),
) -> Iterator[Summands]:
    """All summands of the layout.

    Parameters
    ----------
    units : UnitBlock
    layout : ScoreLayout
    clip : float
        Propensities are clipped to ``[clip, 1 - clip]``.
    clip_levels, trim_levels : sequence of float
        As many as the layout has, trimming levels in ascending order; one keeps units whose
        propensities of both arms of the contrast lie in ``[level, 1 - level]``.

    Yields
    ------
    Summands
        Lines are those of the layout.
    """
    for part in _unweighted(units, layout, clip, clip_levels, trim_levels):
        yield part if units.weight is None else replace(part, values=part.values * units.weight)


def _unweighted(
    units: UnitBlock, layout: ScoreLayout, clip: float, clip_levels: Sequence[float],
    trim_levels: Sequence[float],
) -> Iterator[Summands]:  # fmt: skip
    arms, n = layout.arms, len(units.arm)
    one = np.ones((1, n))
    propensity = clipped(units.propensity, clip)
    scores = arm_scores(units, propensity)
    flat = scores.reshape(-1, n)
    yield Summands(one, layout.lines([("unit",)]))
    counted = [[("arm", a), *layout.over("raw", a)] for a in range(arms)]
    yield Summands(np.concatenate([one, units.outcome]), layout.lines(*counted), units.arm)
    yield Summands(flat, layout.lines(layout.over_arms("apo")))
    for own in layout.own:
        yield from own.summands(units, layout, propensity, scores)
    for g, levels in enumerate(layout.cells):
        inside = [
            [("cell", g, level), *layout.over_arms("gate", g, level)] for level in range(levels)
        ]
        yield Summands(np.concatenate([one, flat]), layout.lines(*inside), units.cells[g])
    for s, chosen in enumerate(units.policies[: layout.policies]):
        values = np.take_along_axis(scores, chosen[None, None].astype(np.int64), axis=0)[0]
        yield Summands(values, layout.lines(layout.over("policy", s)))
    for c, level in enumerate(clip_levels):
        followed = arm_scores(units, clipped(units.propensity, level))
        for a in range(1, arms):
            values = followed[a] - followed[0]
            yield Summands(values, layout.lines(layout.over("clipped", c, a)))
    if trim_levels:
        yield from _trims(units, layout, scores, trim_levels)


def _trims(
    units: UnitBlock, layout: ScoreLayout, scores: np.ndarray, trim_levels: Sequence[float]
) -> Iterator[Summands]:
    for a in range(1, layout.arms):
        lowest = np.minimum(units.propensity[a], units.propensity[0])
        highest = np.maximum(units.propensity[a], units.propensity[0])
        # A unit that a level keeps is kept by all levels below it: the highest is its cell.
        kept = sum((lowest >= level) & (highest <= 1.0 - level) for level in trim_levels)
        values = np.concatenate([np.ones((1, len(lowest))), scores[a] - scores[0]])
        lines = [[("kept", t, a), *layout.over("trimmed", t, a)] for t in range(len(trim_levels))]
        yield Summands(values, layout.lines(*lines), np.asarray(kept) - 1, nested=True)
