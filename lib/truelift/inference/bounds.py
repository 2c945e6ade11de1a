"""Intervals for a number that data and assumptions only bound."""

from __future__ import annotations

import numpy as np
from scipy import optimize
from scipy.stats import t as student


def bounded_interval(
    lower: float, upper: float, errors: tuple[float, float], confidence: float,
    degrees: float = np.inf,
) -> tuple[float, float]:  # fmt: skip
    """An interval that holds the number itself, wherever it lies between its bounds (Imbens & Manski 2004).

    ``[lower - c s_l, upper + c s_u]`` with ``F(c + (upper - lower) / max(s_l, s_u)) - F(-c)`` the level: wide bounds
    ask for a one-sided quantile, for the number cannot be near both. Bounds that cross by chance count as one
    point (Stoye 2009).

    Parameters
    ----------
    lower, upper : float
        Estimates of the bounds.
    errors : (float, float)
        Their standard errors; 0 for a bound that is known.
    confidence : float
    degrees : float
        Of freedom of Student's F.
    """
    largest = max(errors)
    if largest <= 0:
        return lower, upper
    apart = max(upper - lower, 0.0) / largest
    two_sided = float(student.ppf(0.5 + confidence / 2.0, degrees))

    def excess(c: float) -> float:
        return float(student.cdf(c + apart, degrees) - student.cdf(-c, degrees)) - confidence

    c = two_sided if excess(two_sided) <= 1e-12 else float(optimize.brentq(excess, 0.0, two_sided))
    return lower - c * errors[0], upper + c * errors[1]
