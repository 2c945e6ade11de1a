"""Simultaneous bands and adjusted p-values over any set of estimates, by the largest |t|.

The estimates are taken as jointly normal with a common scale error: a multivariate t with the
covariance matrix's correlations (Hothorn, Bretz & Westfall 2008). Step-down p-values follow
Westfall & Young (1993) and Romano & Wolf (2005).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from truelift.errors import ConfigError, DataError
from truelift.inference.arguments import (
    checked_covariance,
    checked_degrees,
    checked_estimates,
    checked_share,
)
from truelift.inference.directions import (
    CorrelationRoot,
    density,
    exceeds,
    projections,
    quantile,
)

if TYPE_CHECKING:
    import pandas as pd

DRAWS = 20_000
_FEWEST_DRAWS = 100


@dataclass(frozen=True)
class SimultaneousQuantile:
    """What a standard error is multiplied by so that all intervals hold at once.

    Parameters
    ----------
    value : float
        The quantile of the largest |t|.
    monte_carlo_error : float
        Standard error of ``value`` from having simulated; zero for one estimate.
    pointwise, sidak : float
        Student's quantile for one estimate, and the one that needs no correlations; ``value``
        lies between them.
    estimates, rank : int
        Estimates with a variance above zero, and the rank of their correlation matrix.
    draws : int
        Directions simulated.
    """

    value: float
    monte_carlo_error: float
    pointwise: float
    sidak: float
    estimates: int
    rank: int
    draws: int

    def __repr__(self) -> str:
        return (
            f"SimultaneousQuantile({self.value:.4f} ± {self.monte_carlo_error:.4f} for "
            f"{self.estimates} estimates of rank {self.rank}; pointwise {self.pointwise:.4f}, "
            f"Sidak {self.sidak:.4f})"
        )


@dataclass(frozen=True, eq=False)
class SimultaneousBands:
    """Intervals that hold for all estimates at once, with adjusted p-values.

    Parameters
    ----------
    names : tuple of str
    estimates, standard_errors, lower, upper : ndarray, m
        In the estimates' units.
    p_values, p_values_adjusted : ndarray, m
        Two-sided against zero: each alone, and step-down over all.
    quantile : SimultaneousQuantile
    degrees_of_freedom, confidence : float
    """

    names: tuple[str, ...]
    estimates: np.ndarray
    standard_errors: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    p_values: np.ndarray
    p_values_adjusted: np.ndarray
    quantile: SimultaneousQuantile
    degrees_of_freedom: float
    confidence: float

    def __repr__(self) -> str:
        away = int(np.count_nonzero((self.lower > 0) | (self.upper < 0)))
        return (
            f"SimultaneousBands({len(self.names)} estimates at {self.confidence:.0%} together, "
            f"{away} away from zero, {self.quantile!r})"
        )

    def to_pandas(self) -> pd.DataFrame:
        """One row an estimate."""
        import pandas as pd

        columns = ["estimates", "standard_errors", "lower", "upper", "p_values"]
        table = pd.DataFrame({name: getattr(self, name) for name in columns})
        table.insert(0, "name", list(self.names))
        table["p_values_adjusted"] = self.p_values_adjusted
        return table


def simultaneous_quantile(
    covariance: np.ndarray | None,
    degrees_of_freedom: float,
    confidence: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
    factor: np.ndarray | None = None,
) -> SimultaneousQuantile:
    """The ``confidence`` quantile of the largest |t| over the estimates.

    Parameters
    ----------
    covariance : ndarray, m x m, optional
        May be singular; estimates whose variance is zero are certain and take no part.
    degrees_of_freedom : float
        G - 1 for G clusters; ``inf`` for the normal distribution.
    confidence : float
    draws : int
        Random directions; memory does not grow with them beyond eight bytes each, and time as
        draws * m * rank: 20,000 take about a second at m = 200 and 20 at m = 2,000 of full rank.
    seed : int
    factor : ndarray, m x r, optional
        In place of ``covariance``: any matrix with ``factor @ factor.T`` proportional to it. With
        r well below m the m x m matrix is never made.

    Returns
    -------
    SimultaneousQuantile

    Raises
    ------
    DataError
        If the matrix is no covariance matrix.
    ConfigError
        If ``confidence`` is not between 0 and 1 or there are fewer than 100 draws.
    """
    checked_share(confidence, "confidence")
    degrees = checked_degrees(degrees_of_freedom)
    root, _ = _correlation_root(covariance, factor, draws)
    m, rank = root.estimates, root.rank
    pointwise = float(special.stdtrit(degrees, 0.5 + confidence / 2))
    # Sidak's inequality holds for this t as well: it holds given the scale, and the m factors
    # all grow with the scale. What lies outside these bounds is simulation error.
    sidak = float(special.stdtrit(degrees, 0.5 + confidence ** (1 / max(m, 1)) / 2))
    if rank <= 1:
        return SimultaneousQuantile(pointwise, 0.0, pointwise, sidak, m, rank, draws)
    reach = np.concatenate([part.max(axis=1) for part in projections(root, draws, seed)])

    value = quantile(reach, rank, degrees, confidence, pointwise, sidak)
    spread = float(exceeds(value, reach, rank, degrees).std()) / np.sqrt(draws)
    error = spread / float(density(value, reach, rank, degrees).mean())
    return SimultaneousQuantile(value, error, pointwise, sidak, m, rank, draws)


def adjusted_p_values(
    estimates: np.ndarray,
    covariance: np.ndarray,
    degrees_of_freedom: float,
    draws: int = DRAWS,
    seed: int = 0,
    step_down: bool = True,
) -> np.ndarray:
    """Two-sided p-values against zero, adjusted for looking at all estimates.

    The j-th largest |t| is compared with the largest |t| among itself and the smaller ones
    (``step_down``) or among all (single step); the family-wise error rate is controlled strongly.

    Parameters
    ----------
    estimates : ndarray, m
    covariance : ndarray, m x m
    degrees_of_freedom : float
    draws, seed : int
    step_down : bool

    Returns
    -------
    ndarray, m
        An estimate with variance zero gets 1 if it is zero and 0 otherwise.
    """
    checked_estimates(estimates, covariance)
    degrees = checked_degrees(degrees_of_freedom)
    root, used = _correlation_root(covariance, None, draws)
    adjusted = np.where(estimates == 0, 1.0, 0.0)
    if not root.estimates:
        return adjusted
    statistic = np.abs(estimates[used]) / np.sqrt(np.diag(covariance)[used])
    order = np.argsort(-statistic, kind="stable")
    ordered = statistic[order]
    m, rank = root.estimates, root.rank
    family = np.arange(m, 0, -1) if step_down else np.full(m, m)
    total = np.zeros(m)
    for part in projections(root, draws, seed):
        if step_down:
            reach = np.maximum.accumulate(part[:, order[::-1]], axis=1)[:, ::-1]
        else:
            reach = part.max(axis=1, keepdims=True)
        # A reach of exactly zero never exceeds; the floor keeps 0/0 out.
        total += exceeds(ordered, np.maximum(reach, 1e-150), rank, degrees).sum(axis=0)
    alone = two_sided(ordered, degrees)
    sidak = -np.expm1(family * np.log1p(-np.minimum(alone, 1 - 1e-16)))
    bounded = np.clip(total / draws, alone, np.maximum(sidak, alone))
    found = np.empty(m)
    found[order] = np.maximum.accumulate(bounded)
    adjusted[used] = np.minimum(found, 1.0)
    return adjusted


def simultaneous_bands(
    estimates: np.ndarray,
    covariance: np.ndarray,
    degrees_of_freedom: float,
    confidence: float = 0.95,
    names: tuple[str, ...] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> SimultaneousBands:
    """Bands and adjusted p-values of m estimates; see the functions above for the parameters."""
    checked_estimates(estimates, covariance)
    quantile = simultaneous_quantile(covariance, degrees_of_freedom, confidence, draws, seed)
    error = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    certain = error == 0
    statistic = np.abs(estimates) / np.where(certain, 1.0, error)
    p_values = np.where(
        certain, np.where(estimates == 0, 1.0, 0.0), two_sided(statistic, degrees_of_freedom)
    )
    return SimultaneousBands(
        names=names or tuple(f"estimate {i}" for i in range(len(estimates))),
        estimates=estimates,
        standard_errors=error,
        lower=estimates - quantile.value * error,
        upper=estimates + quantile.value * error,
        p_values=p_values,
        p_values_adjusted=adjusted_p_values(estimates, covariance, degrees_of_freedom, draws, seed),
        quantile=quantile,
        degrees_of_freedom=degrees_of_freedom,
        confidence=confidence,
    )


def two_sided(statistic: np.ndarray, degrees_of_freedom: float) -> np.ndarray:
    """Probability that Student's t is beyond ±``statistic``."""
    return 2 * special.stdtr(degrees_of_freedom, -np.abs(statistic))


def _correlation_root(
    covariance: np.ndarray | None, factor: np.ndarray | None, draws: int
) -> tuple[CorrelationRoot, np.ndarray]:
    """The root for the estimates with a variance, and which ones those are."""
    if draws < _FEWEST_DRAWS:
        raise ConfigError(f"draws is {draws}; expected at least {_FEWEST_DRAWS}.")
    if (covariance is None) == (factor is None):
        raise DataError("Give either a covariance matrix or a factor of it, and not both.")
    if factor is not None:
        used = np.any(factor != 0, axis=1)
        return CorrelationRoot.of_factor(factor[used]), used
    assert covariance is not None
    checked_covariance(covariance)
    used = np.diag(covariance) > 0
    return CorrelationRoot.of_covariance(covariance[np.ix_(used, used)]), used
