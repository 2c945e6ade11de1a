"""Ratios of estimates: relative lift by the delta method, cost-effectiveness by Fieller's sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from truelift.errors import DataError
from truelift.inference.arguments import (
    checked_degrees,
    checked_estimates,
    checked_share,
)


@dataclass(frozen=True)
class RelativeLift:
    """``theta_a / theta_0 - 1`` with two intervals.

    Parameters
    ----------
    lift, standard_error : float
        As shares: 0.1 is ten per cent more than the baseline.
    lower, upper : float
        ``lift`` ± quantile times standard error.
    log_lower, log_upper : float
        The interval made for ``log(theta_a / theta_0)`` and carried back; it stays above -1. NaN
        where the two means differ in sign.
    confidence : float
    """

    lift: float
    standard_error: float
    lower: float
    upper: float
    log_lower: float
    log_upper: float
    confidence: float

    def __repr__(self) -> str:
        return (
            f"RelativeLift({self.lift:+.2%} [{self.lower:+.2%}, {self.upper:+.2%}] at "
            f"{self.confidence:.0%}, on the log scale [{self.log_lower:+.2%}, "
            f"{self.log_upper:+.2%}])"
        )


@dataclass(frozen=True)
class FiellerSet:
    """The ratios that the data do not reject.

    Parameters
    ----------
    kind : str
        ``'bounded'``: from ``lower`` to ``upper``; ``'outside'``: all up to ``lower`` and all from
        ``upper``; ``'above'`` and ``'below'``: a half-line with one finite bound; ``'all'``: every
        ratio.
    lower, upper : float
        As ``kind`` says; infinite where there is no bound.
    """

    kind: str
    lower: float
    upper: float

    def __contains__(self, ratio: float) -> bool:
        if self.kind == "outside":
            return ratio <= self.lower or ratio >= self.upper
        return self.lower <= ratio <= self.upper

    @property
    def bounded(self) -> bool:
        """Whether the set is an interval with two finite ends."""
        return self.kind == "bounded"

    def __repr__(self) -> str:
        texts = {
            "bounded": f"from {self.lower:.4g} to {self.upper:.4g}",
            "outside": f"unbounded: anything but between {self.lower:.4g} and {self.upper:.4g}",
            "above": f"unbounded: {self.lower:.4g} or more",
            "below": f"unbounded: {self.upper:.4g} or less",
            "all": "unbounded: the data rule out no ratio",
        }
        return f"FiellerSet({texts[self.kind]})"


@dataclass(frozen=True)
class EffectRatio:
    """One effect in units of another, such as value gained for each unit of cost.

    Parameters
    ----------
    ratio : float
        Numerator by denominator; NaN if the denominator is exactly zero.
    standard_error : float
        By the delta method; of no use where ``fieller`` is not bounded.
    fieller : FiellerSet
    denominator_statistic : float
        Denominator by its standard error.
    confidence : float
    """

    ratio: float
    standard_error: float
    fieller: FiellerSet
    denominator_statistic: float
    confidence: float

    def __repr__(self) -> str:
        weak = "" if self.fieller.bounded else "; the denominator may be zero"
        return (
            f"EffectRatio({self.ratio:.4g}, at {self.confidence:.0%} {self.fieller!r}, "
            f"t of the denominator {self.denominator_statistic:.2f}{weak})"
        )


def delta_covariance(gradient: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """``D V D'``: covariance (p, p) of p smooth functions with the Jacobian D (p, m)."""
    product = gradient @ covariance @ gradient.T
    return (product + product.T) / 2


def relative_lift(
    estimates: np.ndarray,
    covariance: np.ndarray,
    degrees_of_freedom: float,
    treated: int = 1,
    control: int = 0,
    confidence: float = 0.95,
) -> RelativeLift:
    """Relative lift of one arm's mean over another's, by the delta method.

    With ``r = theta_a / theta_0`` the gradient is ``(1, -r) / theta_0``, and that of ``log r`` is
    ``(1 / theta_a, -1 / theta_0)``.

    Parameters
    ----------
    estimates : ndarray, m
        Arm means.
    covariance : ndarray, m x m
    degrees_of_freedom : float
    treated, control : int
        Positions of the two means.
    confidence : float

    Raises
    ------
    DataError
        If the control's mean is zero.
    """
    checked_estimates(estimates, covariance)
    quantile = _quantile(degrees_of_freedom, confidence)
    top, base = float(estimates[treated]), float(estimates[control])
    if base == 0:
        raise DataError(
            "The control's mean is zero, so that there is no relative lift; report the difference."
        )
    pair = covariance[np.ix_([treated, control], [treated, control])]
    ratio = top / base
    error = _error(np.array([1.0, -ratio]) / base, pair)
    log_lower = log_upper = float("nan")
    if ratio > 0:
        log_error = _error(np.array([1 / top, -1 / base]), pair)
        log_lower = float(ratio * np.exp(-quantile * log_error) - 1)
        log_upper = float(ratio * np.exp(quantile * log_error) - 1)
    return RelativeLift(
        lift=ratio - 1,
        standard_error=error,
        lower=ratio - 1 - quantile * error,
        upper=ratio - 1 + quantile * error,
        log_lower=log_lower,
        log_upper=log_upper,
        confidence=confidence,
    )


def effect_ratio(
    estimates: np.ndarray,
    covariance: np.ndarray,
    degrees_of_freedom: float,
    numerator: int = 0,
    denominator: int = 1,
    confidence: float = 0.95,
) -> EffectRatio:
    """Ratio of two effects, such as incremental value per incremental cost, with Fieller's set.

    A ratio whose two effects are both negative reads like one whose effects are both positive:
    look at the signs before acting on it, or use :func:`net_benefit`.

    Parameters
    ----------
    estimates : ndarray, m
        Effects.
    covariance : ndarray, m x m
    degrees_of_freedom : float
    numerator, denominator : int
        Positions of the two effects.
    confidence : float
    """
    checked_estimates(estimates, covariance)
    quantile = _quantile(degrees_of_freedom, confidence)
    a, b = float(estimates[numerator]), float(estimates[denominator])
    pair = covariance[np.ix_([numerator, denominator], [numerator, denominator])]
    ratio = a / b if b else float("nan")
    error = _error(np.array([1.0, -ratio]) / b, pair) if b else float("inf")
    spread = float(np.sqrt(max(pair[1, 1], 0.0)))
    statistic = b / spread if spread else (float(np.sign(b)) * np.inf if b else 0.0)
    return EffectRatio(
        ratio, error, fieller_set(a, b, pair, quantile), float(statistic), confidence
    )


def fieller_set(
    numerator: float, denominator: float, covariance: np.ndarray, quantile: float
) -> FiellerSet:
    """Ratios r with ``|a - r b|`` at most ``quantile`` of its standard errors (Fieller 1954).

    These solve ``A r^2 - 2 B r + C <= 0`` with ``A = b^2 - q^2 V_bb``, ``B = a b - q^2 V_ab`` and
    ``C = a^2 - q^2 V_aa``. The set is bounded exactly when the denominator differs from zero at
    that quantile.

    Parameters
    ----------
    numerator, denominator : float
    covariance : ndarray, 2 x 2
        Of numerator and denominator.
    quantile : float
        Of Student's t.
    """
    # Both effects in their own standard errors (or sizes, if certain): A, B and C then have no
    # units, and a comparison with zero means the same for dollars and for cents.
    unit_a = float(np.sqrt(max(covariance[0, 0], 0.0))) or abs(numerator) or 1.0
    unit_b = float(np.sqrt(max(covariance[1, 1], 0.0))) or abs(denominator) or 1.0
    a, b = numerator / unit_a, denominator / unit_b
    scaled = covariance / np.outer([unit_a, unit_b], [unit_a, unit_b])
    square = quantile**2
    leading = b * b - square * scaled[1, 1]
    middle = a * b - square * scaled[0, 1]
    constant = a * a - square * scaled[0, 0]
    unit = unit_a / unit_b
    if leading == 0:
        if middle == 0:
            return FiellerSet("all", -np.inf, np.inf)
        bound = constant / (2 * middle) * unit
        if middle > 0:
            return FiellerSet("above", bound, np.inf)
        return FiellerSet("below", -np.inf, bound)
    discriminant = middle * middle - leading * constant
    if leading < 0 and discriminant <= 0:
        return FiellerSet("all", -np.inf, np.inf)
    root = float(np.sqrt(max(discriminant, 0.0)))
    # The root away from cancellation first; the other from the product of the roots.
    far = middle + (root if middle >= 0 else -root)
    first, second = sorted((far / leading, constant / far if far else 0.0))
    return FiellerSet("bounded" if leading > 0 else "outside", first * unit, second * unit)


def net_benefit(
    estimates: np.ndarray,
    covariance: np.ndarray,
    worth: float,
    value: int = 0,
    cost: int = 1,
) -> tuple[float, float]:
    """``value - worth * cost`` and its standard error: no ratio, so no weak denominator.

    Parameters
    ----------
    estimates : ndarray, m
    covariance : ndarray, m x m
    worth : float
        Value that one unit of cost must bring.
    value, cost : int
        Positions of the two effects.
    """
    checked_estimates(estimates, covariance)
    weights = np.array([1.0, -worth])
    pair = covariance[np.ix_([value, cost], [value, cost])]
    return float(estimates[value] - worth * estimates[cost]), _error(weights, pair)


def _error(gradient: np.ndarray, covariance: np.ndarray) -> float:
    return float(np.sqrt(max(float(gradient @ covariance @ gradient), 0.0)))


def _quantile(degrees_of_freedom: float, confidence: float) -> float:
    checked_share(confidence, "confidence")
    return float(special.stdtrit(checked_degrees(degrees_of_freedom), 0.5 + confidence / 2))
