"""Intervals of a policy's value: for many events, for few, for every look, and for any distribution.

**Few events.** A mean of rare rewards is skewed, and its own variance rises with it: sixteen clicks
have a normal interval that misses to one side. Wilson's idea (1927) is to ask for each value m whether
the estimate lies within its own standard error: ``(estimate - m)^2 <= t^2 V(m)`` where V is the
variance *at m*. Here ``V(m) = V h(m) / h(estimate)`` with V the clustered variance at the estimate, so
that weights and clusters count as an effective number of trials (Korn & Graubard 1998; Franco, Little,
Louis & Slud 2019); ``h(m) = (m - low)(high - m)`` where the rewards have two bounds, and ``m - low``
where they have one, or where weights make the variance (IPS).

t has ``G* - 1`` degrees of freedom with ``G* = (sum psi^2)^3 / (sum psi^3)^2``: n for n equal events. What
skewness takes from the coverage of a mean by its own error asks for ``z (z^4 + 2 z^2 - 3) / 18`` more of the
quantile, by G* (Hall 1992, the second term of the studentised mean's expansion), and Student's t gives ``(z^3 + z) / 4``
by as many degrees: 2.1 and 2.4 at 95%. Heavy tails that lie on both sides take nothing, so weights alone cost no degrees.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from truelift.inference.arguments import checked_share


def student_interval(
    estimate: np.ndarray, error: np.ndarray, degrees: np.ndarray, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate ± t times its standard error."""
    half = special.stdtrit(degrees, 0.5 + checked_share(confidence, "confidence") / 2) * error
    return estimate - half, estimate + half


def score_interval(
    estimate: np.ndarray, error: np.ndarray, degrees: np.ndarray, confidence: float,
    low: float, high: float | np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Wilson's interval with the variance of clusters and weights; see the module.

    Parameters
    ----------
    estimate, error, degrees : ndarray, m
    confidence : float
    low : float
        The least reward.
    high : float or ndarray, m
        The greatest one; infinite where there is none.

    Returns
    -------
    lower, upper : ndarray, m
        Student's interval where an estimate does not lie between the bounds.
    """
    t = special.stdtrit(degrees, 0.5 + checked_share(confidence, "confidence") / 2)
    lower, upper = student_interval(estimate, error, degrees, confidence)
    top = np.broadcast_to(np.asarray(high, float), np.shape(estimate))
    inside = (estimate > low) & (estimate < top) & (error > 0)
    above = np.where(inside, estimate - low, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        below = np.where(np.isfinite(top), top - estimate, np.inf)
        # c = t^2 V / h(estimate): the roots of (above - x)^2 = c x, or of = c x (span - x).
        poisson = t**2 * error**2 / above
        scale = np.where(np.isfinite(below), poisson / below, 0.0)
        span = np.where(np.isfinite(top), top - low, 0.0)
        linear = np.where(np.isfinite(top), scale * span, poisson)
        middle = above + linear / 2
        root = np.sqrt(np.maximum(middle**2 - (1 + scale) * above**2, 0.0))
        from_low = low + (middle - root) / (1 + scale)
        to_high = low + (middle + root) / (1 + scale)
    return np.where(inside, from_low, lower), np.where(inside, to_high, upper)


def bernstein_bound(
    mean: float, variance: float, clusters: int, largest: float, confidence: float
) -> float:
    """A lower bound for any distribution, of Maurer & Pontil (2009, Theorem 4).

    ``mean - sqrt(2 s^2 L / G) - 7 R L / (3 (G - 1))`` with ``L = log(2 / (1 - confidence))``.

    Parameters
    ----------
    mean : float
        Of G independent clusters' sums.
    variance : float
        s^2, of the clusters' sums.
    clusters : int
        G.
    largest : float
        R: all sums lie within a range of this length. It has to be known, not seen.
    confidence : float
    """
    logarithm = np.log(2 / (1 - checked_share(confidence, "confidence")))
    if clusters < 2:
        return -np.inf
    spread = np.sqrt(2 * max(variance, 0.0) * logarithm / clusters)
    return float(mean - spread - 7 * largest * logarithm / (3 * (clusters - 1)))
