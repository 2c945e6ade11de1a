"""Few or unequal clusters, and clusters in two ways: corrections computed from sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.errors import ConfigError, DataError
from truelift.inference.arguments import checked_covariance

_POWERS = np.arange(5)
# Below this share of the larger of the one-way variances, a negative eigenvalue is rounding.
_ROUNDING = 1e-12


def degrees_of_freedom(clusters: int, effective: float | None = None, used: int = 1) -> float:
    """``G - used``, or ``G* - used`` with the effective number of clusters where it is smaller.

    Never below 1, which is the widest Student's t that has a use here.

    Parameters
    ----------
    clusters : int
    effective : float, optional
        See :func:`effective_clusters`.
    used : int
        Means or coefficients that vary between clusters only.
    """
    if clusters < 2:
        raise DataError(f"{clusters} cluster(s); Student's t takes at least two.")
    count = clusters if effective is None else min(float(clusters), effective)
    return max(float(count - used), 1.0)


def size_moments(sizes: np.ndarray) -> np.ndarray:
    """Sums over clusters of ``N^0 .. N^4`` (5,), which add up over buckets.

    Parameters
    ----------
    sizes : ndarray, G
        Units of each cluster.
    """
    return (np.asarray(sizes, float)[:, None] ** _POWERS).sum(axis=0)


def pair_moments(control: np.ndarray, treated: np.ndarray) -> np.ndarray:
    """Sums over clusters of ``N0^i N1^j`` for i, j = 0..4 (5, 5), which add up over buckets.

    Parameters
    ----------
    control, treated : ndarray, G
        Units of each cluster in either arm; zero where a cluster has none.
    """
    left = np.asarray(control, float)[:, None] ** _POWERS
    return left.T @ (np.asarray(treated, float)[:, None] ** _POWERS)


def effective_clusters(moments: np.ndarray, correlation: float = 1.0) -> float:
    """Effective number of clusters for a mean, for unequal cluster sizes.

    Carter, Schnepel & Steigerwald (2017): ``G* = G / (1 + cv^2)`` with cv the coefficient of
    variation of each cluster's part of the variance, which for a mean over units with the
    correlation rho inside a cluster is ``(1 - rho) N + rho N^2``.

    Parameters
    ----------
    moments : ndarray, 5
        Of :func:`size_moments`.
    correlation : float
        rho; 1, their advice where it is not known, gives the smallest number.

    Returns
    -------
    float
        At most the number of clusters, equal to it for equal sizes.
    """
    rest = 1.0 - _checked_correlation(correlation)
    first = rest * moments[1] + correlation * moments[2]
    second = rest**2 * moments[2] + 2 * rest * correlation * moments[3]
    second += correlation**2 * moments[4]
    return _effective(first, second)


def effective_clusters_difference(moments: np.ndarray, correlation: float = 1.0) -> float:
    """The same for a difference of two arms' means, whether or not clusters lie in one arm.

    With the shares ``a = N0 / n0`` and ``b = N1 / n1`` of a cluster in the arms, its part of the
    variance is ``(1 - rho)(a / n0 + b / n1) + rho (b - a)^2``.

    Parameters
    ----------
    moments : ndarray, 5 x 5
        Of :func:`pair_moments`.
    correlation : float

    Returns
    -------
    float
        NaN for rho = 1 where every cluster has the same share of both arms: nothing of what its
        units have in common is left in the difference.
    """
    rest = 1.0 - _checked_correlation(correlation)
    control, treated = moments[1, 0], moments[0, 1]
    if control <= 0 or treated <= 0:
        raise DataError("An arm has no units; an effective number of clusters takes both.")
    shares = moments / np.outer(control**_POWERS, treated**_POWERS)
    # A polynomial in (a, b) as a matrix of coefficients; its square by two-way convolution.
    part = np.zeros((3, 3))
    part[1, 0], part[0, 1] = rest / control, rest / treated
    part[2, 0] = part[0, 2] = correlation
    part[1, 1] = -2 * correlation
    squared = np.zeros((5, 5))
    for i, j in np.argwhere(part):
        squared[i : i + 3, j : j + 3] += part[i, j] * part
    return _effective(float((part * shares[:3, :3]).sum()), float((squared * shares).sum()))


@dataclass(frozen=True, eq=False)
class TwoWayCovariance:
    """A covariance matrix with clusters in two ways.

    Parameters
    ----------
    covariance : ndarray, m x m
        Positive semi-definite.
    repaired : bool
        Whether directions with a negative variance had to be set to zero.
    smallest_eigenvalue : float
        Before the repair, with each estimate in units of ``sqrt(V1 + V2)``.
    """

    covariance: np.ndarray
    repaired: bool
    smallest_eigenvalue: float

    def __repr__(self) -> str:
        text = "semi-definite as it came"
        if self.repaired:
            text = (
                f"repaired, smallest eigenvalue {self.smallest_eigenvalue:.3g} set to zero; "
                "compare with the two one-way standard errors before relying on it"
            )
        return f"TwoWayCovariance({len(self.covariance)} estimates, {text})"


def two_way_covariance(first: np.ndarray, second: np.ndarray, both: np.ndarray) -> TwoWayCovariance:
    """``V1 + V2 - V12`` (Cameron, Gelbach & Miller 2011), mended if it is not semi-definite.

    The repair sets negative eigenvalues to zero, as they propose, but with each estimate
    in units of ``sqrt(V1 + V2)``, so that it does not depend on the estimates' units.

    Parameters
    ----------
    first, second : ndarray, m x m
        Clustered by either way, each with its own small-sample factor.
    both : ndarray, m x m
        Clustered by pairs of the two.

    Notes
    -----
    Student's t with ``min(G1, G2) - 1`` degrees of freedom goes with it.
    """
    for matrix in (first, second, both):
        checked_covariance(matrix)
        if matrix.shape != first.shape:
            raise DataError(
                f"Covariance matrices of shapes {first.shape} and {matrix.shape}; expected the "
                "same estimates in all three."
            )
    plain = first + second - both
    plain = (plain + plain.T) / 2
    unit = np.sqrt(np.diag(first) + np.diag(second))
    unit = np.where(unit > 0, unit, 1.0)
    values, vectors = np.linalg.eigh(plain / np.outer(unit, unit))
    smallest = float(values[0])
    if smallest >= -_ROUNDING * len(unit):
        return TwoWayCovariance(plain, False, smallest)
    mended = (vectors * np.clip(values, 0.0, None)) @ vectors.T * np.outer(unit, unit)
    return TwoWayCovariance((mended + mended.T) / 2, True, smallest)


def _effective(first: float, second: float) -> float:
    return float(first**2 / second) if second > 0 else float("nan")


def _checked_correlation(value: float) -> float:
    if not 0.0 <= value <= 1.0:
        raise ConfigError(f"correlation is {value}; expected 0 to 1.")
    return value
