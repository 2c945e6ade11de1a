"""How much an unobserved confounder could move an estimate: omitted-variable-bias bounds.

An estimate that leaves out confounders differs from the truth by at most
``|rho| sqrt(cf_y cf_d / (1 - cf_d)) sqrt(sigma2 nu2)``: ``sigma2`` is the residual variance of
the outcome, ``nu2`` the mean square of the Riesz representer, ``cf_y`` the share of the residual
variance that the confounders explain, ``cf_d`` the share of the representer's mean square that
they add, ``rho`` the correlation of the two gaps (Chernozhukov, Cinelli, Newey, Sharma &
Syrgkanis 2022, "Long story short: omitted variable bias in causal machine learning").

``nu2`` is estimated by ``E[2 m(W, alpha) - alpha^2]``, which errs only by the square of the
representer's error. With several arms ``sigma2`` is over the units of the contrast's two arms, for
elsewhere the representer is zero; its gap to the truth is then all that the bound needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from truelift.arrays.distributions import stats
from truelift.effects.credibility.blocks import ContrastLines
from truelift.effects.credibility.results import (
    CovariateBenchmark,
    OmittedVariableBounds,
)
from truelift.effects.credibility.target import Target
from truelift.errors import ConfigError, DataError


@dataclass(frozen=True)
class SensitivityElements:
    """All that the bounds of one estimate need.

    Parameters
    ----------
    estimate : float
    sigma2, nu2 : float
        Residual variance of the outcome; mean square of the Riesz representer.
    variance, bias_variance, covariance : float
        Clustered variances of the estimate and of ``bias = sqrt(sigma2 nu2)``, and their
        covariance, with the factor G / (G - 1).
    clusters : int
        G.
    plug_in : bool
        Whether ``nu2`` is the plain mean square, because the doubly robust one was not above 0.
    """

    estimate: float
    sigma2: float
    nu2: float
    variance: float
    bias_variance: float
    covariance: float
    clusters: int
    plug_in: bool = False

    @property
    def bias(self) -> float:
        """``sqrt(sigma2 nu2)``: the largest bias for a confounding strength of one."""
        return float(np.sqrt(self.sigma2 * self.nu2))

    def bound_error(self, strength: float, side: int) -> float:
        """Standard error of ``estimate + side * strength * bias``."""
        variance = (
            self.variance + 2 * side * strength * self.covariance + strength**2 * self.bias_variance
        )
        return float(np.sqrt(max(variance, 0.0)))


def sensitivity_elements(
    total: np.ndarray,
    cross: np.ndarray,
    clusters: int,
    lines: ContrastLines,
    target: Target,
    share_known: bool = False,
) -> SensitivityElements:
    """The elements of one estimate from sums over clusters.

    Parameters
    ----------
    total : ndarray, lines
    cross : ndarray, lines x lines
        Sums over clusters of S and S S', with S the cluster's sums of
        :func:`~.blocks.contrast_lines`.
    clusters : int
    lines : ContrastLines
    target : Target
    share_known : bool
        For the ATT, leave out that the arm's share is itself estimated, as DoubleML does.

    Raises
    ------
    DataError
        If there are fewer than two clusters or no unit in the arm.
    """
    estimand, contrast, outcome, scale = *target.place, target.scale
    numerator, denominator = lines.estimate(estimand, contrast, outcome)
    bottom = float(total[denominator])
    if clusters < 2 or bottom <= 0:
        raise DataError(
            f"Omitted-variable bounds of the {estimand} of arm {contrast}: found {clusters} clusters "
            f"and {bottom:.0f} units it is about, expected at least two clusters and one unit. "
            "Use more data, or leave the arm out."
        )
    rows = np.zeros((2, len(lines)))
    estimate = total[numerator] / bottom
    rows[0, numerator], rows[0, denominator] = 1.0 / bottom, -estimate / bottom

    units = float(total[0])
    place = lines.residual(contrast, outcome)
    sigma2 = total[place] / units
    sigma_row = np.zeros(len(lines))
    sigma_row[place], sigma_row[0] = 1.0 / units, -sigma2 / units
    nu2, nu_row, plug_in = _riesz_square(total, lines, estimand, contrast, share_known)
    bias = np.sqrt(sigma2 * nu2)
    if bias > 0:
        rows[1] = (sigma2 * nu_row + nu2 * sigma_row) / (2.0 * bias)
    covariance = rows @ cross @ rows.T * (clusters / (clusters - 1))
    return SensitivityElements(
        estimate=float(scale * estimate),
        sigma2=float(scale**2 * sigma2),
        nu2=float(nu2),
        variance=float(scale**2 * covariance[0, 0]),
        bias_variance=float(scale**2 * covariance[1, 1]),
        covariance=float(scale**2 * covariance[0, 1]),
        clusters=int(clusters),
        plug_in=plug_in,
    )


def _riesz_square(
    total: np.ndarray, lines: ContrastLines, estimand: str, contrast: int, share_known: bool
) -> tuple[float, np.ndarray, bool]:
    moment, square = lines.riesz(estimand, contrast)
    row, units = np.zeros(len(lines)), float(total[0])
    plug_in = bool(2.0 * total[moment] <= total[square])
    signs = (0.0, 1.0) if plug_in else (2.0, -1.0)
    value = signs[0] * total[moment] + signs[1] * total[square]
    if estimand == "ATE":
        row[[moment, square]] = np.array(signs) / units
        row[0] = -value / units**2
        return float(value / units), row, plug_in
    treated = float(total[contrast])
    nu2 = units * value / treated**2
    row[[moment, square]] = np.array(signs) * units / treated**2
    if share_known:
        row[0] = -nu2 / units
    else:
        row[0], row[contrast] = nu2 / units, -2.0 * nu2 / treated
    return float(nu2), row, plug_in


def confounding_strength(cf_y: float, cf_d: float, rho: float = 1.0) -> float:
    """``|rho| sqrt(cf_y cf_d / (1 - cf_d))``.

    Raises
    ------
    ConfigError
        If ``cf_y`` or ``cf_d`` is outside [0, 1), or ``rho`` outside [-1, 1].
    """
    for name, value in (("cf_y", cf_y), ("cf_d", cf_d)):
        if not 0.0 <= value < 1.0:
            raise ConfigError(
                f"Omitted-variable bounds, {name}: found {value:g}, expected a share in [0, 1)."
            )
    if not -1.0 <= rho <= 1.0:
        raise ConfigError(
            f"Omitted-variable bounds, rho: found {rho:g}, expected a correlation in [-1, 1]."
        )
    return float(abs(rho) * np.sqrt(cf_y * cf_d / (1.0 - cf_d)))


def omitted_variable_bounds(
    elements: SensitivityElements,
    cf_y: float = 0.03,
    cf_d: float = 0.03,
    rho: float = 1.0,
    null: float = 0.0,
    confidence: float = 0.95,
    target: Target | None = None,
) -> OmittedVariableBounds:
    """Bounds under one assumed confounder, and the robustness values.

    ``RV`` is the strength ``cf_y = cf_d`` at which the nearer bound reaches ``null``, ``RVa`` that
    at which its confidence bound does. Each confidence bound holds on its side at level
    ``confidence``, with Student's t and G - 1 degrees of freedom.
    """
    target = target or Target()
    strength = confounding_strength(cf_y, cf_d, rho)
    quantile = float(stats.t.ppf(confidence, elements.clusters - 1))
    lower, upper = (elements.estimate + side * strength * elements.bias for side in (-1, 1))
    value, value_confident = robustness_values(elements, rho, null, confidence)
    return OmittedVariableBounds(
        estimand=target.estimand,
        outcome=target.outcome_name,
        contrast=target.contrast_name,
        estimate=elements.estimate,
        standard_error=elements.bound_error(0.0, 1),
        cf_y=cf_y,
        cf_d=cf_d,
        rho=rho,
        lower=lower,
        upper=upper,
        ci_lower=lower - quantile * elements.bound_error(strength, -1),
        ci_upper=upper + quantile * elements.bound_error(strength, 1),
        robustness_value=value,
        robustness_value_confident=value_confident,
        null=null,
        confidence=confidence,
        sigma2=elements.sigma2,
        nu2=elements.nu2,
    )


def robustness_values(
    elements: SensitivityElements, rho: float = 1.0, null: float = 0.0, confidence: float = 0.95
) -> tuple[float, float]:
    """RV and RVa: equal strengths that bring the bound, or its confidence bound, to ``null``.

    A strength s is that of ``v = cf_y = cf_d`` with ``rho^2 v^2 / (1 - v) = s^2``, so with
    ``f = s / |rho|``, ``v = (sqrt(f^4 + 4 f^2) - f^2) / 2``. The confidence bound is concave in s
    and falls without end, so it meets ``null`` once, or the interval holds it from the start.
    """
    confounding_strength(0.0, 0.0, rho)
    distance = abs(elements.estimate - null)
    if rho == 0 or elements.bias == 0:
        return (1.0 if distance > 0 else 0.0), (1.0 if distance > 0 else 0.0)
    side = -1 if elements.estimate >= null else 1
    quantile = float(stats.t.ppf(confidence, elements.clusters - 1))

    def left(strength: float) -> float:
        error = elements.bound_error(strength, side)
        return distance - strength * elements.bias - quantile * error

    meeting = distance / elements.bias
    confident = brentq(left, 0.0, meeting, xtol=1e-14) if left(0.0) > 0 else 0.0
    return _equal_strengths(meeting / abs(rho)), _equal_strengths(confident / abs(rho))


def _equal_strengths(f: float) -> float:
    # The same root without the difference of two large numbers.
    return float(2.0 * f / (f + np.sqrt(f**2 + 4.0)))


def covariate_benchmark(
    long: SensitivityElements, short: SensitivityElements, covariates: str
) -> CovariateBenchmark:
    """The strength that observed covariates have, as a yardstick for unobserved ones.

    Gain statistics of leaving a group of covariates out: ``cf_y = (sigma2_short - sigma2_long) /
    sigma2_long``, ``cf_d = (nu2_long - nu2_short) / nu2_short``, both held to [0, 1];
    ``rho = |change| / sqrt((sigma2_short - sigma2_long)(nu2_long - nu2_short))`` with the sign of
    the change, held to [-1, 1] and 1 where a gain is not positive.

    Parameters
    ----------
    long, short : SensitivityElements
        With all covariates, and without the group.
    covariates : str
        The group's name.
    """
    change = short.estimate - long.estimate
    gain_y, gain_d = short.sigma2 - long.sigma2, long.nu2 - short.nu2
    size = abs(change) / np.sqrt(gain_y * gain_d) if gain_y > 0 and gain_d > 0 else 1.0
    cf_y = gain_y / long.sigma2 if long.sigma2 > 0 else 0.0
    return CovariateBenchmark(
        covariates=covariates,
        cf_y=float(np.clip(cf_y, 0.0, 1.0)),
        cf_d=float(np.clip(gain_d / short.nu2, 0.0, 1.0)),
        rho=float(np.sign(change) * np.clip(size, 0.0, 1.0)),
        change=float(change),
    )
