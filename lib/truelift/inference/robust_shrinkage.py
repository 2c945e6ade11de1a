"""Empirical Bayes for a row of estimates, with intervals that do not rest on normal effects.

Estimates ``y_i ~ N(theta_i, s_i^2)`` are drawn towards their centre: ``c + w_i (y_i - c)`` with ``w_i = m2 / (m2 +
s_i^2)`` and m2 the second moment of ``theta - c``. Of the effects' distribution the intervals take m2 and the
kurtosis alone: half of an interval is ``w_i s_i`` times the number that no distribution with these moments makes
miss more often than the level says (Armstrong, Kolesar & Plagborg-Moller 2022). They hold on average over the row,
each single effect need not be covered as often.

Errors may have a part in common, as those of arms against one control: it moves the centre with the estimates, tells
nothing of the spread, and is not shrunken. Its variance is taken out of ``s_i^2``, and stays in the interval whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize
from scipy.interpolate import PchipInterpolator
from scipy.stats import norm

_POINTS = 121
#: Numbers at which the critical value is found; between them it is interpolated.
_KNOTS = 12


@dataclass(frozen=True, eq=False)
class RobustShrunken:
    """Shrunken estimates.

    Parameters
    ----------
    values, half : ndarray, n
        Estimates, and half of their intervals.
    errors : ndarray, n
        Standard errors, without the bias of shrinking.
    weights : ndarray, n
        How much of the distance to the centre is kept.
    centre, second_moment, kurtosis : float
        Of the effects.
    """

    values: np.ndarray
    half: np.ndarray
    errors: np.ndarray
    weights: np.ndarray
    centre: float
    second_moment: float
    kurtosis: float


def robust_shrinkage(
    values: np.ndarray, errors: np.ndarray, confidence: float, common: float = 0.0
) -> RobustShrunken:
    """Shrink estimates of several effects towards their precision-weighted mean.

    Parameters
    ----------
    values, errors : ndarray, n
        Estimates, and their standard errors, all above 0.
    confidence : float
    common : float
        Variance of the error that all estimates share, below the least of ``errors**2``.
    """
    variance = errors**2 - common
    weight = 1.0 / variance
    total = weight.sum()
    centre = float((weight * values).sum() / total)
    apart = values - centre
    second = float((weight * (apart**2 - variance)).sum() / total)
    # The least that can be told from none: of the posterior mean given that there is some (section 4.2).
    second = max(
        second, float(2 * (weight**2 * variance**2).sum() / (total * (weight * variance).sum()))
    )
    fourth = float((weight * (apart**4 - 6 * variance * apart**2 + 3 * variance**2)).sum() / total)
    least = 32 * (weight**2 * variance**4).sum() / (total * (weight * variance**2).sum())
    kurtosis = max(fourth / second**2, 1.0 + float(least) / second**2)
    kept = second / (second + variance)
    noise = kept**2 * variance + common
    # Bias over standard deviation of the shrunken estimate has this second moment.
    bias = (1.0 - kept) ** 2 * second / noise
    critical = _critical_values(bias, kurtosis, confidence)
    after = np.sqrt(noise)
    return RobustShrunken(
        centre + kept * apart, critical * after, after, kept, centre, second, kurtosis
    )


def _critical_values(bias: np.ndarray, kurtosis: float, confidence: float) -> np.ndarray:
    """Critical values of many second moments."""
    knots = np.unique(bias)
    if len(knots) > _KNOTS:
        knots = np.geomspace(bias.min(), bias.max(), _KNOTS)
    found = [critical_value(b, kurtosis, confidence) for b in knots.tolist()]
    if len(knots) == 1:
        return np.full(len(bias), found[0])
    return PchipInterpolator(np.log(knots), found, extrapolate=True)(np.log(bias))


def critical_value(second_moment: float, kurtosis: float, confidence: float) -> float:
    """The number c with ``sup P(|Z + b| > c) = 1 - confidence`` over all b of these moments.

    Parameters
    ----------
    second_moment : float
        ``E b^2``.
    kurtosis : float
        ``E b^4 / (E b^2)^2``, at least 1.
    confidence : float
    """
    alpha = 1.0 - confidence
    low = float(norm.ppf(1.0 - alpha / 2.0))
    # Chebyshev's inequality: no distribution with this second moment asks for more.
    high = np.sqrt((1.0 + second_moment) / alpha) + 1.0
    return float(
        optimize.brentq(
            lambda c: most_missed(second_moment, kurtosis, c) - alpha, low - 1e-9, high, xtol=1e-6
        )
    )


def most_missed(second_moment: float, kurtosis: float, critical: float) -> float:
    """The largest ``P(|Z + b| > c)`` over all b with ``E b^2`` and kurtosis given.

    In ``t = b^2`` it is a problem of moments. A parabola that lies nowhere below ``P(|Z + sqrt(t)| > c)`` and
    touches it at x bounds the mean by its own; the least such bound over x is the answer (duality).
    """
    largest = (critical + 6.0) ** 2
    # Even in b: where the probability bends.
    at = np.linspace(0.0, np.sqrt(largest), _POINTS) ** 2
    value, slope = _missed(at, critical), _missed_slope(at, critical)
    gap = at[None, :] - at[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        bend = (value[None, :] - value[:, None] - gap * slope[:, None]) / gap**2
    np.fill_diagonal(bend, -np.inf)
    steepest = np.maximum(np.nanmax(bend, axis=1), 0.0)
    distance = second_moment - at
    spread = (kurtosis - 1.0) * second_moment**2
    bound = value + slope * distance + steepest * (distance**2 + spread)
    # Lines bound it whatever the fourth moment is; the steepest from t = 0 is the concave hull's first.
    lines = np.append(slope[slope >= 0], ((value[1:] - value[0]) / at[1:]).max())
    straight = (value[None, :] - lines[:, None] * at[None, :]).max(axis=1) + lines * second_moment
    return float(min(bound.min(), straight.min(), 1.0))


def _missed(t: np.ndarray, critical: float) -> np.ndarray:
    b = np.sqrt(t)
    return norm.sf(critical - b) + norm.cdf(-critical - b)


def _missed_slope(t: np.ndarray, critical: float) -> np.ndarray:
    """By t: ``(phi(c - b) - phi(c + b)) / 2b``, at b = 0 its limit ``c phi(c)``."""
    b = np.sqrt(t)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (norm.pdf(critical - b) - norm.pdf(critical + b)) / (2.0 * b)
    return np.where(b > 0, found, critical * norm.pdf(critical))
