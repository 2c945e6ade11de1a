"""The largest of several correlated t statistics, simulated by directions.

Write m correlated normal variables of rank k as ``F z`` with ``z`` of k independent ones and unit
rows of F. The length of z is independent of its direction u, so that

    max |T_i| = sqrt(k * Q) * M(u),    M(u) = max_i |F_i u|,    Q ~ F(k, degrees of freedom),

and only u is simulated: the probability that the maximum exceeds t is the mean over u of the
probability that Q exceeds ``t^2 / (k M(u)^2)``. For rank one it is exact, it is smooth in t, and
as M(u) <= 1 it never exceeds Scheffé's bound.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import special
from scipy.linalg import lapack

from truelift.errors import DataError

# Pivots below this share of a unit variance are directions that the matrix does not have.
_RANK = 1e-11
# A matrix that its factor does not give back to this precision was not semi-definite.
_SEMIDEFINITE = 1e-6
# Numbers held at once by a chunk of directions: 32 MiB.
_CHUNK = 2**22


def unit_factor(covariance: np.ndarray) -> np.ndarray:
    """F (m, k) with unit rows such that ``F F'`` is the correlation matrix, k its rank.

    Pivoted Cholesky, which stops at the rank. All variances must be positive.

    Raises
    ------
    DataError
        If the matrix is not positive semi-definite.
    """
    error = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(error, error)
    correlation = (correlation + correlation.T) / 2
    cholesky, pivots, rank, _ = lapack.dpstrf(correlation, tol=_RANK, lower=1)
    factor = np.zeros((len(error), rank))
    factor[pivots - 1] = np.tril(cholesky)[:, :rank]
    if np.abs(factor @ factor.T - correlation).max() > _SEMIDEFINITE:
        raise DataError(
            "The covariance matrix is not positive semi-definite: it holds correlations that "
            "cannot be together. A two-way clustered matrix is mended by "
            "small_samples.two_way_covariance."
        )
    return factor / np.linalg.norm(factor, axis=1, keepdims=True)


def compressed(factor: np.ndarray) -> np.ndarray:
    """The same products ``F F'`` up to unit rows, with as few columns as the rank has.

    Parameters
    ----------
    factor : ndarray, m x r
        Rows of the influence matrix; none of them zero.

    Returns
    -------
    ndarray, m x k
        With unit rows.
    """
    if not np.all(np.isfinite(factor)):
        raise DataError("The factor of the covariance matrix holds values that are not finite.")
    unit = factor / np.linalg.norm(factor, axis=1, keepdims=True)
    if unit.shape[1] >= unit.shape[0]:
        return unit_factor(unit @ unit.T)
    values, vectors = np.linalg.eigh(unit.T @ unit)
    rotated = unit @ vectors[:, values > _RANK * values[-1]]
    return rotated / np.linalg.norm(rotated, axis=1, keepdims=True)


def projections(factor: np.ndarray, draws: int, seed: int) -> Iterator[np.ndarray]:
    """``|F u|`` for random directions u, in chunks of shape (directions, m).

    The directions depend on the seed and the rank alone, not on the chunks.
    """
    m, rank = factor.shape
    random = np.random.default_rng(seed)
    chunk = max(1, _CHUNK // max(m, rank))
    for start in range(0, draws, chunk):
        normal = random.standard_normal((min(chunk, draws - start), rank))
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        projected = normal @ factor.T
        yield np.abs(projected, out=projected)


def exceeds(t: np.ndarray | float, reach: np.ndarray, rank: int, degrees: float) -> np.ndarray:
    """Probability that ``sqrt(k Q) * reach`` exceeds t, for each reach M(u) in (0, 1]."""
    squared = np.square(t / reach)
    if np.isinf(degrees):
        return special.gammaincc(rank / 2, squared / 2)
    return special.fdtrc(rank, degrees, squared / rank)


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
