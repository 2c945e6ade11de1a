"""The summands of a block of units: doubly robust scores of arms, contrasts, cells and policies.

For outcome Y, arm D, propensities e_a and outcome regressions m_a:

* mean of arm a: ``m_a + 1[D = a] (Y - m_a) / e_a`` (Robins, Rotnitzky & Zhao 1994). Contrasts,
  cells of groups and values of policies are made of these.
* ATT of arm a against the control, among the units of arm a, with mean zero at theta of
  ``psi_b - 1[D = a] theta``: ``psi_b = 1[D = a] (Y - m_0) - 1[D = 0] (Y - m_0) e_a / e_0``
  (cross-fitted as in Chernozhukov et al. 2018).
* ATO, the effect where the arms overlap (Li, Morgan & Zaslavsky 2018; Li & Li 2019 for several
  arms), weighted by ``h = e_a e_0 / (e_a + e_0)``. With ``s = e_a + e_0`` and
  ``q = 1[D = a] (e_0 / s)^2 + 1[D = 0] (e_a / s)^2`` its efficient score is
  ``q (m_a - m_0) + 1[D = a] (Y - m_a) e_0 / s - 1[D = 0] (Y - m_0) e_a / s - q theta``. It follows
  from the efficient influence function of weighted effects whose weights are functions of the
  propensity (Crump, Hotz, Imbens & Mitnik 2006, theorem A.1), and is robust to a propensity that
  converges slowly; for two arms ``q = (D - e)^2``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from truelift.effects.scoring.layout import ScoreLayout


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
) -> np.ndarray:
    """All summands of the layout.

    Parameters
    ----------
    units : UnitBlock
    layout : ScoreLayout
    clip : float
        Propensities are clipped to ``[clip, 1 - clip]``.
    clip_levels, trim_levels : sequence of float
        As many as the layout has; a trimming level keeps units whose propensities of both arms
        of the contrast lie in ``[level, 1 - level]``.

    Returns
    -------
    ndarray, S x n
    """
    arms, outcomes, n = layout.arms, layout.outcomes, len(units.arm)
    out = np.empty((len(layout), n))
    propensity = clipped(units.propensity, clip)
    members = [(units.arm == a).astype(float) for a in range(arms)]
    scores = arm_scores(units, propensity)
    out[layout.place("unit")] = 1.0
    out[layout.block(("arm", 0), arms)] = members
    for a in range(arms):
        out[layout.block(("raw", a, 0), outcomes)] = members[a] * units.outcome
    out[layout.block(("apo", 0, 0), arms * outcomes)] = scores.reshape(arms * outcomes, n)
    if layout.att:
        _fill_att(out, units, layout, propensity, members)
    if layout.ato:
        _fill_ato(out, units, layout, members)
    _fill_cells(out, units, layout, scores)
    for s, chosen in enumerate(units.policies[: layout.policies]):
        out[layout.block(("policy", s, 0), outcomes)] = np.take_along_axis(
            scores, chosen[None, None].astype(np.int64), axis=0
        )[0]
    for c, level in enumerate(clip_levels):
        followed = arm_scores(units, clipped(units.propensity, level))
        for a in range(1, arms):
            out[layout.block(("clipped", c, a, 0), outcomes)] = followed[a] - followed[0]
    _fill_trims(out, units, layout, scores, trim_levels)
    if units.weight is not None:
        out *= units.weight
    return out


def _fill_att(
    out: np.ndarray, units: UnitBlock, layout: ScoreLayout, propensity: np.ndarray,
    members: list[np.ndarray],
) -> None:  # fmt: skip
    beyond = units.outcome - units.outcome_regression[0]
    for a in range(1, layout.arms):
        share = members[a] - members[0] * (propensity[a] / propensity[0])
        out[layout.block(("att", a, 0), layout.outcomes)] = share * beyond


def _fill_ato(
    out: np.ndarray, units: UnitBlock, layout: ScoreLayout, members: list[np.ndarray]
) -> None:
    regression = units.outcome_regression
    for a in range(1, layout.arms):
        both = units.propensity[a] + units.propensity[0]
        ours = units.propensity[a] / np.where(both > 0, both, 1.0)
        theirs = 1.0 - ours
        treated, control = members[a] * theirs, members[0] * ours
        weight = treated * theirs + control * ours
        out[layout.place("ato weight", a)] = weight
        out[layout.block(("ato", a, 0), layout.outcomes)] = (
            weight * (regression[a] - regression[0])
            + treated * (units.outcome - regression[a])
            - control * (units.outcome - regression[0])
        )


def _fill_cells(out: np.ndarray, units: UnitBlock, layout: ScoreLayout, scores: np.ndarray) -> None:
    lines = layout.arms * layout.outcomes
    flat = scores.reshape(lines, -1)
    for g, levels in enumerate(layout.cells):
        for level in range(levels):
            inside = (units.cells[g] == level).astype(float)
            out[layout.place("cell", g, level)] = inside
            np.multiply(flat, inside, out=out[layout.block(("gate", g, level, 0, 0), lines)])


def _fill_trims(
    out: np.ndarray, units: UnitBlock, layout: ScoreLayout, scores: np.ndarray,
    trim_levels: Sequence[float],
) -> None:  # fmt: skip
    if not trim_levels:
        return
    for a in range(1, layout.arms):
        lowest = np.minimum(units.propensity[a], units.propensity[0])
        highest = np.maximum(units.propensity[a], units.propensity[0])
        contrast = scores[a] - scores[0]
        for t, level in enumerate(trim_levels):
            kept = ((lowest >= level) & (highest <= 1.0 - level)).astype(float)
            out[layout.place("kept", t, a)] = kept
            lines = layout.block(("trimmed", t, a, 0), layout.outcomes)
            np.multiply(contrast, kept, out=out[lines])
