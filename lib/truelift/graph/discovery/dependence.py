"""Tests of conditional independence that know how rows depend, from cross-products by bucket.

The residuals of X and Y on S are linear in the sums. A bucket's part in the whitened cross-moment of the
residuals is ``U_b = Vx^-1/2 E_b Vy^-1/2 / sqrt(n)``; their total squared is n times the sum of the squared
partial canonical correlations (Pillai's trace), and with one column each, n times the squared partial
correlation. The spread of the U_b over buckets estimates its covariance D under independence, as deleting a
bucket at a time does to first order. The statistic is referred to F with Satterthwaite's degrees of freedom
(second-order correction of Rao & Scott 1981), which is the square of a t with B - 1 degrees where both have
one column. Columns of levels as indicators make this the test of the degenerate Gaussian (Andrews et al. 2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, chdtri, fdtrc, fdtri

from truelift.graph.discovery.family_kernels import compiled
from truelift.graph.discovery.sums import Moments

#: Below this share of its own variance a column is taken to follow from the others.
_COLLINEAR = 1e-9
_GRID = 64


@compiled
def reference(
    total: float, trace: float, squares: float, d: int, buckets: int
) -> tuple[float, float]:
    """F and its numerator's degrees of freedom.

    Parameters
    ----------
    total : float
        The squared norm of the summed contributions.
    trace, squares : float
        Of the sample covariance of contributions, with ``buckets`` - 1 degrees of freedom: tr D, tr D^2.
    d : int
        Dimensions.
    buckets : int
    """
    if trace <= 0.0:
        return 0.0, 1.0
    if d == 1:
        return total / trace, 1.0
    m = buckets - 1.0
    # Moments of a Wishart matrix: what tr D^2 has too much of.
    clean = (squares - trace * trace / m) * m * m / ((m - 1.0) * (m + 2.0))
    whole = trace * trace - 2.0 * clean / m
    freedom = float(d)
    if clean > 0.0 and whole > 0.0:
        freedom = min(max(whole / clean, 1.0), float(d))
    return total / trace, freedom


@compiled
def partial_test(
    crosses: np.ndarray, whole: np.ndarray, rows: np.ndarray, n: float, clustered: bool,
    xs: np.ndarray, ys: np.ndarray, ss: np.ndarray,
) -> tuple[float, float, float]:  # fmt: skip
    """Squared partial correlation (mean of the canonical ones), F, its degrees of freedom.

    Where rows stand for themselves (not ``clustered``) the covariance under independence is known, and F is
    the classical statistic over its degrees of freedom. ``whole`` is the sum of ``crosses`` over buckets. Columns that S explains wholly are left out; with none
    left on a side the answer is independence.
    """
    k, dx, dy = len(ss), len(xs), len(ys)
    size = k + dx + dy
    at = np.empty(size, np.int64)
    at[:k], at[k : k + dx], at[k + dx :] = ss, xs, ys
    # Residuals on S by sweeping columns of S in turn; a collinear one is skipped.
    a = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            a[i, j] = whole[at[i], at[j]]
    maker = np.eye(size)  # residual = maker' z
    for s in range(k):
        pivot = a[s, s]
        if pivot <= _COLLINEAR * whole[at[s], at[s]]:
            continue
        for j in range(s + 1, size):
            c = a[s, j] / pivot
            if c == 0.0:
                continue
            for i in range(s + 1):
                maker[i, j] -= c * maker[i, s]
            for i in range(s + 1, size):
                a[i, j] -= c * a[i, s]
        for i in range(s + 1, size):
            a[i, s] = 0.0
            a[s, i] = 0.0
    whiten_x, whiten_y = np.zeros((dx, size)), np.zeros((dy, size))
    keep_x = _whitened(a, maker, whole, at, k, dx, n, whiten_x)
    keep_y = _whitened(a, maker, whole, at, k + dx, dy, n, whiten_y)
    d = keep_x * keep_y
    if d == 0:
        return 0.0, 0.0, 1.0
    if not clustered:  # the spread over buckets is not asked for
        crosses, rows = whole.reshape((1, len(whole), len(whole))), np.full(1, n)
    b_count = len(rows)
    parts = np.empty((b_count, d))
    half = np.empty((keep_x, size))
    scale = 1.0 / np.sqrt(n)
    for b in range(b_count):
        for i in range(keep_x):
            for v in range(size):
                part = 0.0
                for u in range(size):
                    w = whiten_x[i, u]
                    if w != 0.0:
                        part += w * crosses[b, at[u], at[v]]
                half[i, v] = part
        for i in range(keep_x):
            for j in range(keep_y):
                part = 0.0
                for v in range(size):
                    part += half[i, v] * whiten_y[j, v]
                parts[b, i * keep_y + j] = part * scale
    return settled(parts, rows, n, d, min(keep_x, keep_y), clustered)


@compiled
def _whitened(
    a: np.ndarray, maker: np.ndarray, whole: np.ndarray, at: np.ndarray, first: int, count: int,
    n: float, out: np.ndarray,
) -> int:  # fmt: skip
    """Rows of ``out``: combinations of columns whose residuals have variance one and no correlation."""
    size = len(at)
    kept = 0
    basis = np.zeros((count, count))  # combinations of the residuals
    for i in range(count):
        own = np.zeros(count)
        own[i] = 1.0
        for e in range(kept):
            c = 0.0
            for j in range(count):
                c += basis[e, j] * a[first + j, first + i]
            c /= n
            for j in range(count):
                own[j] -= c * basis[e, j]
        s = 0.0
        for j in range(count):
            for u in range(count):
                s += own[j] * own[u] * a[first + j, first + u]
        if s <= _COLLINEAR * whole[at[first + i], at[first + i]]:
            continue
        s = 1.0 / np.sqrt(s / n)
        for j in range(count):
            basis[kept, j] = own[j] * s
        for u in range(size):
            t = 0.0
            for j in range(count):
                t += basis[kept, j] * maker[u, first + j]
            out[kept, u] = t
        kept += 1
    return kept


@compiled
def settled(
    parts: np.ndarray, rows: np.ndarray, n: float, d: int, rank: int, clustered: bool
) -> tuple[float, float, float]:
    """From contributions by bucket to the effect, F and its degrees of freedom."""
    b_count = len(rows)
    total = np.zeros(d)
    for b in range(b_count):
        total += parts[b]
    norm = 0.0
    for i in range(d):
        norm += total[i] * total[i]
    effect = norm / n / rank
    if not clustered:
        return effect, norm / d, float(d)
    for b in range(b_count):
        parts[b] -= rows[b] / n * total
    factor = b_count / (b_count - 1.0)
    trace = 0.0
    for b in range(b_count):
        for i in range(d):
            trace += parts[b, i] * parts[b, i]
    squares = 0.0
    if d > 1:
        for b in range(b_count):
            for c in range(b + 1):
                s = 0.0
                for i in range(d):
                    s += parts[b, i] * parts[c, i]
                squares += s * s * (1.0 if b == c else 2.0)
    f, freedom = reference(norm, trace * factor, squares * factor * factor, d, b_count)
    return effect, f, freedom


def critical_values(alpha: float, buckets: int, most: int, clustered: bool) -> np.ndarray:
    """Critical F on a grid of degrees of freedom from 1 to ``most``, for use in compiled loops."""
    freedom = np.linspace(1.0, float(max(most, 2)), _GRID * max(most, 2))
    found: np.ndarray = (
        fdtri(freedom, freedom * (buckets - 1), 1 - alpha)
        if clustered
        else chdtri(freedom, alpha) / freedom
    )
    return found


@compiled
def is_dependent(f: float, freedom: float, critical: np.ndarray, most: int) -> bool:
    """Whether F is beyond its critical value; the next larger one on the grid."""
    place = (freedom - 1.0) / (max(most, 2) - 1.0) * (len(critical) - 1)
    low = int(place)
    if low + 1 >= len(critical):
        return f > critical[len(critical) - 1]
    share = place - low
    return f > critical[low] * (1.0 - share) + critical[low + 1] * share


@dataclass(frozen=True, eq=False)
class GramTest:
    """Independence of variables given others, from moments by bucket.

    Parameters
    ----------
    moments : Moments
    """

    moments: Moments
    clustered: bool = True

    def columns(self, variables: tuple[int, ...]) -> np.ndarray:
        """Columns of the sums of some variables."""
        starts = self.moments.starts
        ranges = [np.arange(starts[v], starts[v + 1]) for v in variables]
        return np.concatenate([np.zeros(0, np.int64), *ranges]).astype(np.int64)

    def __call__(self, x: int, y: int, given: tuple[int, ...] = ()) -> tuple[float, float]:
        """The p-value, and the partial correlation without its sign."""
        m = self.moments
        effect, f, freedom = partial_test(
            m.crosses, m.crosses.sum(axis=0), m.rows, m.n, self.clustered,
            self.columns((x,)), self.columns((y,)), self.columns(given),
        )  # fmt: skip
        return p_value(f, freedom, len(m.rows), self.clustered), float(np.sqrt(effect))

    def spread(self, x: int, y: int) -> tuple[float, float]:
        """The dependence of two variables, and the design effect of their cross-moment."""
        m = self.moments
        xs, ys = self.columns((x,)), self.columns((y,))
        effect, f, _ = partial_test(
            m.crosses, m.crosses.sum(axis=0), m.rows, m.n, True, xs, ys, self.columns(())
        )
        wide = min(len(xs), len(ys)) / (len(xs) * len(ys))
        return float(np.sqrt(effect)), effect * m.n * wide / f if f > 0 else 0.0


def p_value(f: float, freedom: float, buckets: int, clustered: bool = True) -> float:
    """Of F with the degrees of freedom of :func:`reference`."""
    if not clustered:
        return float(chdtrc(freedom, f * freedom))
    return float(fdtrc(freedom, freedom * (buckets - 1), f))
