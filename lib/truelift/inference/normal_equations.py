"""Least squares from Gram matrices: which columns to keep, and the coefficients.

Cross-fitting needs no second look at the data: with one Gram matrix a fold, the model without
fold k comes from ``G - G_k``.
"""

from __future__ import annotations

import numpy as np

# Share of a column's variance that is left after the columns before it; below this it is
# treated as their linear combination. Gram matrices carry about 13 correct digits.
COLLINEAR = 1e-10
# Directions whose share of the largest eigenvalue is below this carry no information.
_RANK = 1e-11


def complements(per_fold: np.ndarray) -> np.ndarray:
    """Sums without each fold: ``total - fold``; the first axis is the fold."""
    return per_fold.sum(axis=0)[None] - per_fold


def centred(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and covariance matrix from a Gram matrix whose first row is the intercept's.

    Parameters
    ----------
    gram : ndarray, (1 + p) x (1 + p)
        Sum of ``z z'`` over rows with ``z[0] = 1``.

    Returns
    -------
    means : ndarray, p
    covariance : ndarray, p x p
        With divisor n.
    """
    n = gram[0, 0]
    means = gram[0, 1:] / n
    return means, gram[1:, 1:] / n - np.outer(means, means)


def dependent_columns(covariance: np.ndarray) -> list[int]:
    """Columns that are linear combinations of the ones before them, in order.

    Cholesky of the correlation matrix, column by column, skipping a column whose remaining
    variance is below :data:`COLLINEAR` of its own. Zero-variance columns are skipped and not
    listed.
    """
    p = len(covariance)
    sd = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    varies = sd > 0
    safe = np.where(varies, sd, 1.0)
    correlation = covariance / np.outer(safe, safe)
    factor = np.zeros((p, p))
    kept: list[int] = []
    dropped: list[int] = []
    for j in range(p):
        if not varies[j]:
            continue
        row = factor[kept, :][:, kept]
        solved = np.zeros(len(kept))
        for i in range(len(kept)):
            solved[i] = (correlation[j, kept[i]] - row[i, :i] @ solved[:i]) / row[i, i]
        left = 1.0 - solved @ solved
        if left <= COLLINEAR:
            dropped.append(j)
            continue
        factor[j, kept] = solved
        factor[j, j] = np.sqrt(left)
        kept.append(j)
    return dropped


def solve_symmetric(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve with a positive semi-definite matrix; directions without information get zero.

    The matrix is first scaled to a unit diagonal, so that the rank does not depend on units.
    """
    if not len(matrix):
        return np.zeros_like(right)
    diagonal = np.sqrt(np.clip(np.diag(matrix), 0.0, None))
    scale = np.where(diagonal > 0, diagonal, 1.0)
    values, vectors = np.linalg.eigh(matrix / np.outer(scale, scale))
    kept = values > _RANK * max(values[-1], 0.0)
    inverse = np.where(kept, 1.0 / np.where(kept, values, 1.0), 0.0)
    scaled = right / scale if right.ndim == 1 else right / scale[:, None]
    rotated = vectors.T @ scaled
    rotated = rotated * inverse if right.ndim == 1 else rotated * inverse[:, None]
    result = vectors @ rotated
    return result / scale if right.ndim == 1 else result / scale[:, None]


def rank_of(matrix: np.ndarray) -> int:
    """Directions of a positive semi-definite matrix that carry information, as :func:`solve_symmetric` takes them."""
    diagonal = np.sqrt(np.clip(np.diag(matrix), 0.0, None))
    scale = np.where(diagonal > 0, diagonal, 1.0)
    values = np.linalg.eigvalsh(matrix / np.outer(scale, scale))
    return int(np.sum(values > _RANK * max(values[-1], 0.0)))


def ridge_per_unit(ridge: float | None, features: int, units: np.ndarray) -> np.ndarray:
    """The penalty on squared standardised coefficients, where the options leave it open.

    ``features / units`` is the penalty of a normal prior under which all features together
    explain as much of an outcome as noise does, or move the log odds by a standard deviation of
    one (Hoerl, Kennard & Baldwin 1975, with that share in place of an estimate). It is of the
    order of what fitting p coefficients to n units costs, and vanishes as units grow.

    Parameters
    ----------
    ridge : float, optional
        What the options say; kept where it is a number.
    features : int
        p.
    units : ndarray
        Units that each model is fitted on.

    Returns
    -------
    ndarray, shape of units
    """
    if ridge is not None:
        return np.full(np.shape(units), float(ridge))
    return features / np.maximum(units, 1.0)


def ridge_coefficients(
    gram: np.ndarray, covariates: int, variances: np.ndarray, ridge: float
) -> np.ndarray:
    """Least squares of several outcomes on the covariates, with intercept, from a Gram matrix.

    Minimises ``mean((y - a - x'b)^2) + ridge * sum(variances * b^2)``; the intercept is not
    penalised.

    Parameters
    ----------
    gram : ndarray, (1 + p + J) x (1 + p + J)
        Sum over rows of ``z z'`` with ``z = (1, x, y)``.
    covariates : int
        p.
    variances : ndarray, p
        Overall variance of each covariate: the penalty is on standardised coefficients.
    ridge : float

    Returns
    -------
    ndarray, J x (1 + p)
    """
    p = covariates
    outcomes = len(gram) - 1 - p
    coefficients = np.zeros((outcomes, 1 + p))
    if gram[0, 0] <= 0:
        return coefficients
    means, covariance = centred(gram)
    slopes = solve_symmetric(covariance[:p, :p] + np.diag(ridge * variances), covariance[:p, p:])
    coefficients[:, 1:] = slopes.T
    coefficients[:, 0] = means[p:] - means[:p] @ slopes
    return coefficients
