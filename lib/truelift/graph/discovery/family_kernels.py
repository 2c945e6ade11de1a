"""Compiled loops over families: counts of a node by its parents, and what they score."""

from __future__ import annotations

import math

import numpy as np

from truelift.arrays.compiled import compiled

BIC, BDEU, QNML = 0, 1, 2


@compiled
def count_family(
    codes: np.ndarray, weights: np.ndarray, levels: np.ndarray, child: int, parents: np.ndarray,
    out: np.ndarray,
) -> int:  # fmt: skip
    """Weighted counts of a child by configurations of its parents, into ``out``; their number.

    ``out`` is zeroed for as many cells as are used: configurations x levels of the child.
    """
    configurations = 1
    for parent in parents:
        configurations *= levels[parent]
    width = levels[child]
    out[: configurations * width] = 0.0
    n = codes.shape[1]
    own = codes[child]
    if len(parents) == 0:
        for i in range(n):
            out[own[i]] += weights[i]
    elif len(parents) == 1:
        a = codes[parents[0]]
        for i in range(n):
            out[a[i] * width + own[i]] += weights[i]
    elif len(parents) == 2:
        a, b, lb = codes[parents[0]], codes[parents[1]], levels[parents[1]]
        for i in range(n):
            out[(a[i] * lb + b[i]) * width + own[i]] += weights[i]
    elif len(parents) == 3:
        a, b, c = codes[parents[0]], codes[parents[1]], codes[parents[2]]
        lb, lc = levels[parents[1]], levels[parents[2]]
        for i in range(n):
            out[((a[i] * lb + b[i]) * lc + c[i]) * width + own[i]] += weights[i]
    else:
        for i in range(n):
            at = 0
            for parent in parents:
                at = at * levels[parent] + codes[parent, i]
            out[at * width + own[i]] += weights[i]
    return configurations


@compiled
def log_regret(n: float, k: int) -> float:
    """Log of the normalising sum of a multinomial of ``k`` levels in ``n`` draws.

    Approximation of Szpankowski & Weinberger (2012), as Silander et al. (2018) use it for qNML.
    """
    if k <= 1 or n <= 0.0:
        return 0.0
    alpha = k / n
    c = 0.5 + 0.5 * math.sqrt(1.0 + 4.0 / alpha)
    return n * (math.log(alpha) + (alpha + 2.0) * math.log(c) - 1.0 / c) - 0.5 * math.log(
        c + 2.0 / alpha
    )


@compiled
def score_counts(
    counts: np.ndarray, configurations: int, width: int, rows: float, kind: int, strength: float
) -> float:
    """A family's score in nats, larger is better.

    Parameters
    ----------
    counts : ndarray
        Configurations x levels, flat.
    configurations, width : int
    rows : float
        All rows.
    kind : int
        ``BIC`` (``strength`` multiplies the penalty), ``BDEU`` (``strength`` is the equivalent
        sample size; Heckerman et al. 1995) or ``QNML`` (Silander et al. 2018).
    """
    total = 0.0
    if kind == BDEU:
        by_row = strength / configurations
        by_cell = by_row / width
        g_row, g_cell = math.lgamma(by_row), math.lgamma(by_cell)
        for q in range(configurations):
            in_row = 0.0
            for k in range(width):
                in_row += counts[q * width + k]
            if in_row > 0.0:
                total += g_row - math.lgamma(by_row + in_row)
                for k in range(width):
                    value = counts[q * width + k]
                    if value > 0.0:
                        total += math.lgamma(by_cell + value) - g_cell
        return total
    for q in range(configurations):
        in_row = 0.0
        for k in range(width):
            value = counts[q * width + k]
            in_row += value
            if value > 0.0:
                total += value * math.log(value)
        if in_row > 0.0:
            total -= in_row * math.log(in_row)
    if kind == QNML:
        return total - (log_regret(rows, configurations * width) - log_regret(rows, configurations))
    return total - 0.5 * strength * configurations * (width - 1) * math.log(rows)


@compiled
def score_families(
    codes: np.ndarray, weights: np.ndarray, levels: np.ndarray, children: np.ndarray,
    parents: np.ndarray, sizes: np.ndarray, kind: int, strength: float, cells: int,
) -> np.ndarray:  # fmt: skip
    """Scores of many families; -inf for one of more than ``cells`` cells."""
    found = np.empty(len(children))
    out = np.zeros(cells)
    rows = weights.sum()
    for f in range(len(children)):
        own = parents[f, : sizes[f]]
        size = float(levels[children[f]])
        for parent in own:
            size *= levels[parent]
        if size > cells:
            found[f] = -np.inf
            continue
        q = count_family(codes, weights, levels, children[f], own, out)
        found[f] = score_counts(out, q, levels[children[f]], rows, kind, strength)
    return found
