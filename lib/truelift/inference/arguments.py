"""Checks of what the interval functions are given, with messages that say what to do."""

from __future__ import annotations

import math

import numpy as np

from truelift.errors import ConfigError, DataError

# Asymmetry, or a negative variance, beyond this share of the largest entry is no rounding error.
_ROUNDING = 1e-8


def checked_share(value: float, name: str) -> float:
    """``value`` if it lies strictly between 0 and 1.

    Raises
    ------
    ConfigError
        Otherwise.
    """
    if not 0.0 < value < 1.0:
        raise ConfigError(f"{name} is {value}; expected a number between 0 and 1, as 0.95 is.")
    return float(value)


def checked_degrees(value: float) -> float:
    """Degrees of freedom above zero; ``inf`` stands for the normal distribution.

    Raises
    ------
    DataError
        If it is zero, negative or not a number.
    """
    if math.isnan(value) or value <= 0:
        raise DataError(
            f"{value} degrees of freedom; expected a positive number, which takes at least two "
            "clusters."
        )
    return float(value)


def checked_estimates(estimates: np.ndarray, covariance: np.ndarray) -> None:
    """Whether (m,) estimates and an (m, m) covariance matrix belong together.

    Raises
    ------
    DataError
        If shapes differ, a value is not finite, or the matrix is no covariance matrix on its face.
    """
    if estimates.ndim != 1 or covariance.shape != (len(estimates), len(estimates)):
        raise DataError(
            f"Estimates of shape {estimates.shape} with a covariance matrix of shape "
            f"{covariance.shape}; expected (m,) and (m, m)."
        )
    if not np.all(np.isfinite(estimates)):
        raise DataError(
            f"{np.count_nonzero(~np.isfinite(estimates))} of {len(estimates)} estimates are not "
            "finite; leave out the ones that the data do not support."
        )
    checked_covariance(covariance)


def checked_covariance(covariance: np.ndarray) -> None:
    """Whether a matrix is square, finite and symmetric, with no negative variance.

    Raises
    ------
    DataError
    """
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1]:
        raise DataError(f"A covariance matrix of shape {covariance.shape}; expected (m, m).")
    if not np.all(np.isfinite(covariance)):
        raise DataError("The covariance matrix holds values that are not finite.")
    # Each variable has its own units, so that an entry is judged against its own two variances.
    variances = np.diag(covariance)
    largest = float(np.abs(covariance).max(initial=0.0))
    if np.any(variances < -_ROUNDING * largest):
        raise DataError(
            f"The covariance matrix has the variance {variances.min():.3g}; expected none below "
            "zero. A two-way clustered matrix is mended by small_samples.two_way_covariance."
        )
    error = np.sqrt(np.clip(variances, 0.0, None))
    error = np.maximum(error, _ROUNDING * error.max(initial=0.0))
    if np.any(np.abs(covariance - covariance.T) > _ROUNDING * np.outer(error, error)):
        raise DataError("The covariance matrix is not symmetric.")
