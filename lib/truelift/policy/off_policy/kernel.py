"""Compiled sums over the rows of clusters, and their cross-products.

Clusters are summed in blocks of some thousand, whose sums stay in the processor's cache; what leaves
are the total and the matrix of cross-products, whose size depends on neither rows nor clusters.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.blas import dsyrk

from truelift.arrays.compiled import compiled
from truelift.policy.off_policy.estimators import (
    CLIPPED,
    CORRECTION,
    FIXED_LINES,
    GROUP_CORRECTION,
    GROUP_REWARD,
    OPTIMISTIC,
    PREDICTED,
    ROBUST_CORRECTION,
    ROBUST_PREDICTED,
    SUB_GAUSSIAN,
    SWITCHED,
    WEIGHT,
    WEIGHTED_REWARD,
    Layout,
)

_BLOCK_NUMBERS = 2_000_000


@compiled
def _add_rows(  # type: ignore[no-untyped-def]
    out,
    order,
    starts,
    first,
    w,
    r,
    q,
    v,
    robust_q,
    robust_v,
    grouped,
    group_reward,
    group_rest,
    logger,
    width,
    bounds,
    tunings,
):
    """Sums of clusters ``first``, ``first + 1``, ... into the lines of ``out``.

    Rows come one after the other in memory (n x P). ``robust_q``, ``robust_v``, ``grouped``, ``group_reward``,
    ``group_rest`` and ``logger`` have no rows where there is nothing of the kind. The tuned lines lie kind by kind, from ``bounds`` to the next:
    loops without a branch, which processors take several steps of at once.
    """
    policies, robust, groups = w.shape[1], len(robust_q) > 0, len(grouped) > 0
    learned = len(group_reward) > 0
    last, apart = FIXED_LINES + len(tunings), len(logger) > 0
    for g in range(len(out)):
        line = out[g]
        for place in range(starts[first + g], starts[first + g + 1]):
            i = order[place]
            reward, rest = r[i], r[i] - q[i]
            line[-2] += reward
            line[-1] += 1.0
            if apart:
                line[policies * width + logger[i]] += 1.0
            for p in range(policies):
                start, weight = p * width, w[i, p]
                line[start + PREDICTED] += v[i, p]
                if robust:
                    line[start + ROBUST_PREDICTED] += robust_v[i, p]
                if groups:
                    line[start + last + GROUP_REWARD] += grouped[i, p] * reward
                    line[start + last + GROUP_CORRECTION] += grouped[i, p] * rest
                if learned:  # what a learned weight lacks, times what is foretold of the reward
                    lacks = weight - grouped[i, p]
                    line[start + last + GROUP_REWARD] += lacks * group_reward[i]
                    line[start + last + GROUP_CORRECTION] += lacks * group_rest[i]
                if weight == 0.0:
                    continue
                line[start + WEIGHT] += weight
                line[start + WEIGHTED_REWARD] += weight * reward
                line[start + CORRECTION] += weight * rest
                if robust:
                    line[start + ROBUST_CORRECTION] += weight * (reward - robust_q[i, p])
                tuned = line[start + FIXED_LINES : start + last]
                corrected = weight * rest
                for k in range(bounds[CLIPPED], bounds[CLIPPED + 1]):
                    tuned[k] += min(weight, tunings[k]) * reward
                for k in range(bounds[SWITCHED], bounds[SWITCHED + 1]):
                    tuned[k] += corrected if weight <= tunings[k] else 0.0
                square = weight * weight
                for k in range(bounds[OPTIMISTIC], bounds[OPTIMISTIC + 1]):
                    tuned[k] += tunings[k] * corrected / (square + tunings[k])
                for k in range(bounds[SUB_GAUSSIAN], bounds[SUB_GAUSSIAN + 1]):
                    tuned[k] += corrected / (1.0 + tunings[k] * (weight - 1.0))


@compiled
def _add_powers(out, sums, first, second, denominator):  # type: ignore[no-untyped-def]
    """Sums over clusters of N^4, N^3 D, N^2 D^2, N D^3, D^4, N^3, N^2 D, N D^2 and D^3 of each estimate (M x 9)."""
    for g in range(len(sums)):
        line = sums[g]
        for m in range(len(first)):
            numerator, by = line[first[m]], line[denominator[m]]
            if second[m] >= 0:
                numerator += line[second[m]]
            top, bottom = numerator * numerator, by * by
            out[m, 0] += top * top
            out[m, 1] += top * numerator * by
            out[m, 2] += top * bottom
            out[m, 3] += numerator * bottom * by
            out[m, 4] += bottom * bottom
            out[m, 5] += top * numerator
            out[m, 6] += top * by
            out[m, 7] += numerator * bottom
            out[m, 8] += bottom * by


def cluster_products(
    layout: Layout, keys: np.ndarray, w: np.ndarray, r: np.ndarray, q: np.ndarray, v: np.ndarray,
    robust_q: np.ndarray, robust_v: np.ndarray, grouped: np.ndarray | None = None,
    logger: np.ndarray | None = None, foretold: tuple[np.ndarray, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Sums of rows, and of products of clusters' sums, for whole clusters.

    Parameters
    ----------
    layout : Layout
    keys : ndarray, n
        Of the clusters; all rows of each are here.
    w, v : ndarray, n x P
    r, q : ndarray, n
    robust_q, robust_v : ndarray, n x P, or 0 x P
        Of a reward model for each policy.
    grouped : ndarray, n x P, optional
        Weights of the groups of the logged actions, where the layout has estimators that need them.
    logger : ndarray of int, n, optional
        Who wrote each row, where the layout keeps loggers apart.
    foretold : (ndarray, ndarray), n, optional
        Where ``grouped`` are learned: rewards, and what the model leaves of them, by context and group.

    Returns
    -------
    dict of str to ndarray
        ``total`` (L), ``cross`` (L x L), ``powers`` (M x 9), ``clusters`` (1). They add up over
        disjoint sets of clusters.
    """
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1], [True]]))
    clusters = len(starts) - 1 if len(keys) else 0
    lines, (bounds, tunings) = layout.lines, layout.tuned_lines()
    pairs = layout.single_ratios
    total, cross = np.zeros(lines), np.zeros((lines, lines), order="F")
    powers = np.zeros((len(pairs), 9))
    if grouped is None:
        grouped = np.zeros((0, w.shape[1]))
    if logger is None:
        logger = np.zeros(0, np.int64)
    group_reward, group_rest = foretold or (np.zeros(0), np.zeros(0))
    width = layout.width
    block = max(_BLOCK_NUMBERS // lines, 64)
    for first in range(0, clusters, block):
        sums = np.zeros((min(block, clusters - first), lines))
        _add_rows(
            sums,
            order,
            starts,
            first,
            w,
            r,
            q,
            v,
            robust_q,
            robust_v,
            grouped,
            group_reward,
            group_rest,
            logger,
            width,
            bounds,
            tunings,
        )
        _add_powers(powers, sums, *pairs.T)
        total += sums.sum(axis=0)
        # Half of a symmetric matrix is half of the work.
        cross = dsyrk(1.0, sums.T, beta=1.0, c=cross, overwrite_c=True)
    upper = np.triu(cross)
    return {
        "total": total,
        "cross": upper + np.triu(upper, 1).T,
        "powers": powers,
        "clusters": np.array([float(clusters)]),
    }
