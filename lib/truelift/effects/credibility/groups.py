"""Leave one group out: the estimate without each occasion, store or month, in the same pass.

Let S be a cluster's sums and S_l those of its units in group l. Without the group the totals are
``T - T_l`` and the cluster's sums ``S - S_l``, so the cross-products without it are
``C - M_l - M_l' + W_l`` with ``M_l = sum S_l S'`` and ``W_l = sum S_l S_l'`` over clusters; a
group may cut through clusters. Each estimate is a ratio of two lines, so seven numbers a group and
estimate are kept. Nuisances are held fixed.

The change ``theta_(l) - theta`` has influence ``(a_l - a)'S - a_l'S_l``, and with it a standard
error of its own: a change may be small beside that of the estimate and still be clear.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from truelift.arrays.distributions import stats
from truelift.effects.credibility.blocks import ContrastLines
from truelift.effects.credibility.cells import CellSums
from truelift.effects.credibility.results import LeaveOneGroupOut
from truelift.effects.credibility.target import Target
from truelift.errors import DataError


def group_sums(
    cells: CellSums, levels: int, clusters: np.ndarray, sums: np.ndarray, lines: ContrastLines
) -> dict[str, np.ndarray]:
    """Totals and products by level of one group column.

    Parameters
    ----------
    cells : CellSums
        Of the score lines.
    levels : int
        L; levels are numbered from 0.
    clusters, sums : ndarray, G and lines x G
        Clusters of the bucket in ascending order, and their sums.
    lines : ContrastLines

    Returns
    -------
    dict of str to ndarray
        ``total`` (L x lines), ``products`` (L x estimates x 7) with the sums of N_l^2, N_l D_l,
        D_l^2, N_l N, N_l D, D_l N and D_l D, and ``whole`` (L): clusters that lie in one level
        alone.

    Raises
    ------
    DataError
        If a unit's level is not in 0 .. L - 1.
    """
    cluster, level, inner = cells.finish()
    if len(level) and (level.min() < 0 or level.max() >= levels):
        raise DataError(
            f"Leave one group out: found levels {level.min()} to {level.max()}, expected codes "
            f"from 0 to {levels - 1}. Number the group column's levels before the pass."
        )
    whole = sums[:, np.searchsorted(clusters, cluster)]
    products = np.zeros((levels, len(lines.estimates()), 7))
    for e, estimate in enumerate(lines.estimates()):
        n, d = lines.estimate(*estimate)
        pairs = [
            (inner[n], inner[n]), (inner[n], inner[d]), (inner[d], inner[d]),
            (inner[n], whole[n]), (inner[n], whole[d]), (inner[d], whole[n]), (inner[d], whole[d]),
        ]  # fmt: skip
        for k, (left, right) in enumerate(pairs):
            products[:, e, k] = np.bincount(level, weights=left * right, minlength=levels)
    total = np.array([np.bincount(level, weights=row, minlength=levels) for row in inner]).T
    alone = np.bincount(level[inner[0] == whole[0]], minlength=levels)
    return {"total": total, "products": products, "whole": alone.astype(float)}


def leave_one_group_out(
    state: dict[str, np.ndarray],
    total: np.ndarray,
    cross: np.ndarray,
    clusters: int,
    lines: ContrastLines,
    target: Target,
    confidence: float = 0.95,
    levels: Sequence[str] = (),
    group: str = "group",
) -> LeaveOneGroupOut:
    """The estimate without each group, with clustered intervals and the size of the change.

    Parameters
    ----------
    state : dict of str to ndarray
        Of :func:`group_sums`, added over buckets.
    total, cross : ndarray
        Of the contrast lines, over clusters.
    clusters : int
    lines : ContrastLines
    target : Target
    confidence : float
    levels : sequence of str
        Names of the levels; their numbers stand in.
    group : str
        Name of the group column.
    """
    n, d = lines.estimate(*target.place)
    place, scale = lines.estimates().index(target.place), target.scale
    estimate = total[n] / total[d]
    row = np.array([1.0, -estimate]) / total[d]
    whole = cross[np.ix_([n, d], [n, d])]
    found = []
    for level in range(len(state["total"])):
        left = total[: lines.scores] - state["total"][level]
        remaining = clusters - state["whole"][level]
        # What is left of a sum of scores may be rounding alone; the lines of counts are exact.
        if state["total"][level, 0] == 0 or left[d] < 0.5 or remaining < 2:
            continue
        nn, nd, dd, n_n, n_d, d_n, d_d = state["products"][level, place]
        inner, mixed = np.array([[nn, nd], [nd, dd]]), np.array([[n_n, n_d], [d_n, d_d]])
        without = left[n] / left[d]
        own = np.array([1.0, -without]) / left[d]
        apart = own - row
        variance = own @ (whole - mixed - mixed.T + inner) @ own
        change = apart @ whole @ apart - 2 * own @ mixed @ apart + own @ inner @ own
        found.append(
            (
                level,
                without,
                np.sqrt(max(variance, 0.0) * remaining / (remaining - 1)),
                np.sqrt(max(change, 0.0) * clusters / max(clusters - 1, 1)),
                remaining,
            )
        )
    labels = tuple(levels[g[0]] if len(levels) else str(g[0]) for g in found)
    estimates, errors, change_errors = (
        scale * np.array([g[k] for g in found], dtype=float) for k in (1, 2, 3)
    )
    quantiles = np.array([stats.t.ppf(0.5 + confidence / 2, g[4] - 1) for g in found])
    return LeaveOneGroupOut(
        estimand=target.estimand,
        outcome=target.outcome_name,
        contrast=target.contrast_name,
        group=group,
        estimate=float(scale * estimate),
        standard_error=float(
            scale * np.sqrt(max(row @ whole @ row, 0.0) * clusters / max(clusters - 1, 1))
        ),
        levels=labels,
        units=tuple(round(float(state["total"][g[0], 0])) for g in found),
        estimates=tuple(estimates.tolist()),
        standard_errors=tuple(errors.tolist()),
        ci_lower=tuple((estimates - quantiles * errors).tolist()),
        ci_upper=tuple((estimates + quantiles * errors).tolist()),
        change_errors=tuple(change_errors.tolist()),
        clusters=clusters,
        confidence=confidence,
    )
