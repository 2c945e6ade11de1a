"""The largest of several correlated t statistics, simulated by directions.

Write m correlated normal variables of rank k as ``F z`` with ``z`` of k independent ones and unit
rows of F. The length of z is independent of its direction u, so that

    max |T_i| = sqrt(k * Q) * M(u),    M(u) = max_i |F_i u|,    Q ~ F(k, degrees of freedom),

and only u is simulated: the probability that the maximum exceeds t is the mean over u of the
probability that Q exceeds ``t^2 / (k M(u)^2)``. For rank one it is exact, it is smooth in t, and
as M(u) <= 1 it never exceeds Scheffé's bound.

The normal variables are drawn as ``C^(1/2) g`` with the symmetric root of the correlation matrix C
and one number in g for each estimate: the root is continuous in C, so that a covariance matrix
which another order of summation has changed in its last digit gives the same quantile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from truelift.errors import DataError

# Eigenvalues below this share of the largest are directions that the matrix does not have.
_RANK = 1e-11
# A correlation matrix with an eigenvalue this far below zero was not semi-definite.
_SEMIDEFINITE = 1e-7
# Numbers held at once by a chunk of directions: 32 MiB.
_CHUNK = 2**22
# Up to this rank a sum of rank / 2 terms is exact, and some ten times faster than the beta function.
_FEW = 8
# The directions among which a quantile's search begins, its steps, and when they end.
_SPARSE, _STEPS, _LAST_DIGIT = 16, 12, 4e-15


@dataclass(frozen=True, eq=False)
class CorrelationRoot:
    """``C = rows @ rows.T`` with ``rows = basis * sqrt(eigenvalues)``.

    Parameters
    ----------
    basis : ndarray, m x k
        Orthonormal eigenvectors; k is the rank.
    rows : ndarray, m x k
        F, with unit rows.
    """

    basis: np.ndarray
    rows: np.ndarray

    @property
    def estimates(self) -> int:
        """Number of estimates, m."""
        return len(self.rows)

    @property
    def rank(self) -> int:
        """Rank of C, k."""
        return self.rows.shape[1]

    @classmethod
    def of_covariance(cls, covariance: np.ndarray) -> CorrelationRoot:
        """From a covariance matrix whose variances are positive.

        Raises
        ------
        DataError
            If the matrix is not positive semi-definite.
        """
        if not len(covariance):
            return cls(np.zeros((0, 0)), np.zeros((0, 0)))
        error = np.sqrt(np.diag(covariance))
        correlation = covariance / np.outer(error, error)
        values, vectors = np.linalg.eigh((correlation + correlation.T) / 2)
        if values[0] < -_SEMIDEFINITE:
            raise DataError(
                f"The covariance matrix is not positive semi-definite (as correlations, its "
                f"smallest eigenvalue is {values[0]:.3g}): it holds correlations that cannot be "
                "together. A two-way clustered matrix is mended by "
                "small_samples.two_way_covariance."
            )
        kept = values > _RANK * values[-1]
        return cls._with_unit_rows(vectors[:, kept], np.sqrt(values[kept]))

    @classmethod
    def of_factor(cls, factor: np.ndarray) -> CorrelationRoot:
        """From F (m, r) with ``F F'`` proportional to the covariance matrix, and no zero row."""
        if not np.all(np.isfinite(factor)):
            raise DataError("The factor of the covariance matrix holds values that are not finite.")
        if not len(factor):
            return cls(np.zeros((0, 0)), np.zeros((0, 0)))
        unit = factor / np.linalg.norm(factor, axis=1, keepdims=True)
        vectors, values, _ = np.linalg.svd(unit, full_matrices=False)
        kept = values > np.sqrt(_RANK) * values[0]
        return cls._with_unit_rows(vectors[:, kept], values[kept])

    @classmethod
    def _with_unit_rows(cls, basis: np.ndarray, roots: np.ndarray) -> CorrelationRoot:
        rows = basis * roots
        return cls(basis, rows / np.linalg.norm(rows, axis=1, keepdims=True))


def projections(root: CorrelationRoot, draws: int, seed: int) -> Iterator[np.ndarray]:
    """``|F u|`` for random directions u, in chunks of shape (directions, m).

    The directions depend on the seed and m alone, not on the chunks.
    """
    m = root.estimates
    random = np.random.default_rng(seed)
    chunk = max(1, _CHUNK // m)
    whole = root.basis @ root.rows.T if root.rank == m else None
    for start in range(0, draws, chunk):
        normal = random.standard_normal((min(chunk, draws - start), m))
        if whole is not None:
            projected = normal @ whole
        else:
            normal = normal @ root.basis
            projected = normal @ root.rows.T
        # The basis is orthonormal: normal has the length of z in either case.
        projected /= np.linalg.norm(normal, axis=1, keepdims=True)
        yield np.abs(projected, out=projected)


def exceeds(t: np.ndarray | float, reach: np.ndarray, rank: int, degrees: float) -> np.ndarray:
    """Probability that ``sqrt(k Q) * reach`` exceeds t, for each reach M(u) in (0, 1]."""
    squared = np.square(t / reach)
    if np.isinf(degrees):
        return special.gammaincc(rank / 2, squared / 2)
    if rank % 2 == 0 and rank <= _FEW:
        return _exceeds_even(squared / degrees, rank // 2, degrees / 2)
    return special.fdtrc(rank, degrees, squared / rank)


def _exceeds_even(ratio: np.ndarray, half_rank: int, half_degrees: float) -> np.ndarray:
    """The tail of F for an even rank: of the incomplete beta function a finite sum is left.

    ``w^a sum_(j < k/2) (a)_j / j! (1 - w)^j`` with ``w = 1 / (1 + ratio)``, ``a`` half the degrees of
    freedom and ``(a)_j = a (a + 1) ... (a + j - 1)``; all terms are positive.
    """
    ratio = np.minimum(ratio, 1e300)
    rest = ratio / (1 + ratio)
    term = np.exp(-half_degrees * np.log1p(ratio))
    total = term.copy()
    for j in range(1, half_rank):
        term *= rest * ((half_degrees + j - 1) / j)
        total += term
    return total


def quantile(
    reach: np.ndarray, rank: int, degrees: float, confidence: float, low: float, high: float
) -> float:
    """The t between two bounds that the maximum exceeds with probability ``1 - confidence``.

    By Newton's steps, for the slope costs a tenth of the probability, from the quantile of every
    sixteenth direction. Where they do not end, by Brent's method.
    """

    def excess(t: float, among: np.ndarray) -> float:
        return float(exceeds(t, among, rank, degrees).mean()) - (1 - confidence)

    def between(among: np.ndarray) -> float:
        if excess(low, among) <= 0:
            return low
        if excess(high, among) >= 0:
            return high
        return float(optimize.brentq(excess, low, high, args=(among,), xtol=1e-14))

    t = between(reach[::_SPARSE])
    for _ in range(_STEPS):
        step = excess(t, reach) / float(density(t, reach, rank, degrees).mean())
        last, t = t, min(max(t + step, low), high)
        if abs(t - last) <= _LAST_DIGIT * t:
            return t
    return between(reach)


def density(t: float, reach: np.ndarray, rank: int, degrees: float) -> np.ndarray:
    """Density of ``sqrt(k Q) * reach`` at t, for each reach."""
    x = np.square(t / reach) / rank
    log_power = (rank / 2 - 1) * np.log(x)
    if np.isinf(degrees):
        log_density = log_power + (rank / 2) * np.log(rank / 2) - rank * x / 2
        log_density -= special.gammaln(rank / 2)
    else:
        log_density = log_power + (rank / 2) * np.log(rank / degrees)
        log_density -= (rank + degrees) / 2 * np.log1p(rank * x / degrees)
        log_density -= special.betaln(rank / 2, degrees / 2)
    return np.exp(log_density) * 2 * x / t
