"""Intervals that hold at every look: asymptotic confidence sequences on cluster level.

Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2021), arXiv 2103.06476: with t clusters seen, an
asymptotically linear estimate whose influence has the standard deviation sigma, and rho > 0, the
normal mixture gives

    sigma * sqrt(2 (t rho^2 + 1) / (t^2 rho^2) * log(sqrt(t rho^2 + 1) / alpha))

as half-width for all t at once. The standard error is ``sigma / sqrt(t)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from truelift.errors import ConfigError, DataError
from truelift.inference.arguments import checked_share

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class AnytimeOptions:
    """How the confidence sequence is tuned; to be fixed before the first look.

    Parameters
    ----------
    confidence : float
        Chance that no look, ever, has an interval that misses.
    tightest_at : int
        Number of clusters at which the interval should be tightest: about where the decision is
        expected.
    first_look : int
        Clusters before which no statement is made: the guarantee is asymptotic in this number.
        Few or heavy-tailed clusters at the first looks cost more errors than were promised.
    """

    confidence: float = 0.95
    tightest_at: int = 10_000
    first_look: int = 100

    def __post_init__(self) -> None:
        checked_share(self.confidence, "confidence")
        if self.first_look < 2 or self.tightest_at < self.first_look:
            raise ConfigError(
                f"first_look {self.first_look} and tightest_at {self.tightest_at}; expected at "
                "least 2 clusters at the first look, and no fewer at the tightest."
            )


@dataclass(frozen=True, eq=False)
class ConfidenceSequence:
    """One interval a look.

    Parameters
    ----------
    clusters, estimates, lower, upper : ndarray, L
        Infinite bounds before the first look.
    p_values : ndarray, L
        Anytime-valid, two-sided, against zero: the smallest so far.
    rho : float
        Scale of the mixture.
    confidence : float
    """

    clusters: np.ndarray
    estimates: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    p_values: np.ndarray
    rho: float
    confidence: float

    def __repr__(self) -> str:
        if not len(self.clusters):
            return "ConfidenceSequence(no looks)"
        return (
            f"ConfidenceSequence({len(self.clusters)} looks, now {self.clusters[-1]:,.0f} clusters: "
            f"{self.estimates[-1]:.4g} [{self.lower[-1]:.4g}, {self.upper[-1]:.4g}] at "
            f"{self.confidence:.0%} for all looks, p {self.p_values[-1]:.3g})"
        )

    def to_pandas(self) -> pd.DataFrame:
        """One row a look."""
        import pandas as pd

        names = ["clusters", "estimates", "lower", "upper", "p_values"]
        return pd.DataFrame({name: getattr(self, name) for name in names})


def mixture_scale(confidence: float, tightest_at: float) -> float:
    """Rho that makes the interval tightest at ``tightest_at`` clusters.

    The half-width is smallest in rho where ``x = t rho^2`` solves ``x = log((x + 1) / alpha^2)``,
    which is ``x + 1 = -W(-alpha^2 / e)`` with the lower branch of Lambert's W.
    """
    alpha = 1 - checked_share(confidence, "confidence")
    branch = special.lambertw(-(alpha**2) / np.e, k=-1).real
    return float(np.sqrt((-branch - 1) / tightest_at))


def boundary(clusters: np.ndarray, rho: float, confidence: float) -> np.ndarray:
    """What a standard error at t clusters is multiplied by, two-sided."""
    alpha = 1 - checked_share(confidence, "confidence")
    x = np.asarray(clusters, float) * rho**2
    return np.sqrt(2 * (x + 1) / x * (0.5 * np.log1p(x) - np.log(alpha)))


def one_sided_boundary(clusters: np.ndarray, rho: float, confidence: float) -> np.ndarray:
    """The same for one bound, from a half-normal mixture.

    The mixture's martingale is ``2 exp(u^2 / 2) Phi(u) / sqrt(x + 1)`` with ``x = t rho^2`` and
    ``u = z sqrt(x / (x + 1))``; ``1 - Phi(u) <= exp(-u^2 / 2) / 2`` turns its crossing of
    1 / alpha into the closed form used here.
    """
    alpha = 1 - checked_share(confidence, "confidence")
    x = np.asarray(clusters, float) * rho**2
    return np.sqrt(2 * (x + 1) / x * np.log(0.5 + np.sqrt(x + 1) / (2 * alpha)))


def confidence_sequence(
    clusters: np.ndarray,
    estimates: np.ndarray,
    standard_errors: np.ndarray,
    options: AnytimeOptions,
) -> ConfidenceSequence:
    """Intervals for a growing experiment that may be looked at, and stopped, at any time.

    Parameters
    ----------
    clusters : ndarray, L
        Clusters seen at each look, not decreasing. A cluster counts once: a look must take whole
        clusters, or the estimate's influence must be summed anew over all of a cluster's rows.
    estimates, standard_errors : ndarray, L
        From all rows up to the look, clustered.
    options : AnytimeOptions

    Raises
    ------
    DataError
        If lengths differ, clusters decrease, or a value is not finite.
    """
    clusters, estimates = np.asarray(clusters, float), np.asarray(estimates, float)
    errors = np.asarray(standard_errors, float)
    if not clusters.shape == estimates.shape == errors.shape or clusters.ndim != 1:
        raise DataError(
            f"Looks of shapes {clusters.shape}, {estimates.shape} and {errors.shape}; expected "
            "one number of clusters, one estimate and one standard error a look."
        )
    if np.any(np.diff(clusters) < 0):
        raise DataError("The number of clusters falls between looks; order the looks by time.")
    open_looks = clusters >= options.first_look
    for values in (estimates[open_looks], errors[open_looks]):
        if not np.all(np.isfinite(values)):
            raise DataError("A look has an estimate or a standard error that is not finite.")
    rho = mixture_scale(options.confidence, options.tightest_at)
    lower, upper = np.full(clusters.shape, -np.inf), np.full(clusters.shape, np.inf)
    p_values = np.ones(clusters.shape)
    width = boundary(clusters[open_looks], rho, options.confidence) * errors[open_looks]
    lower[open_looks] = estimates[open_looks] - width
    upper[open_looks] = estimates[open_looks] + width
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(estimates == 0, 0.0, estimates / errors)[open_looks]
    p_values[open_looks] = any_look_p_values(clusters[open_looks] * rho**2, statistic)
    return ConfidenceSequence(
        clusters=clusters,
        estimates=estimates,
        lower=lower,
        upper=upper,
        p_values=np.minimum.accumulate(p_values) if len(p_values) else p_values,
        rho=rho,
        confidence=options.confidence,
    )


def any_look_p_values(
    mixture: np.ndarray | float, statistic: np.ndarray, one_sided: bool = False
) -> np.ndarray:
    """The level at which the interval, or the bound, just reaches zero.

    Parameters
    ----------
    mixture : float or ndarray
        ``x = t rho^2`` for t clusters.
    statistic : ndarray
        Estimate over standard error.
    one_sided : bool
        Against "not above zero": of :func:`one_sided_boundary`, as p of
        ``log(1/2 + sqrt(x + 1) / (2 p)) = x / (x + 1) z^2 / 2`` for z above zero.
    """
    x = np.asarray(mixture, float)
    half = x / (x + 1) * np.square(statistic) / 2
    if not one_sided:
        return np.exp(np.minimum(0.5 * np.log1p(x) - half, 0.0))
    found = np.sqrt(x + 1) / (2 * np.exp(np.minimum(half, 700.0)) - 1)
    return np.where(statistic > 0, np.minimum(found, 1.0), 1.0)
