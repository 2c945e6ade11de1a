"""Several arms against one control: the level of each comparison that keeps that of all (Dunnett 1955).

The statistics of a control with the share ``s_0`` and arms with ``s_a`` have the correlations
``b_a b_c`` with ``b_a = sqrt(s_a / (s_a + s_0))``. So given one common variable they are independent,
and the chance that none exceeds a bound is an integral over it, and over the common scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import optimize, special

from truelift.inference.arguments import checked_degrees, checked_share

_NORMAL_ABOVE = 2000.0
_POINTS = 100


def dunnett_quantile(
    shares: Sequence[float], degrees_of_freedom: float, level: float = 0.05, two_sided: bool = True
) -> float:
    """What a statistic is compared with so that all comparisons together keep the level.

    Parameters
    ----------
    shares : sequence of float
        Of the arms, the control first; only their ratios count.
    degrees_of_freedom : float
    level : float
    two_sided : bool
    """
    checked_share(level, "level")
    degrees = checked_degrees(degrees_of_freedom)
    return _quantile(tuple(float(s) for s in shares), degrees, level, two_sided)


@lru_cache(maxsize=512)
def _quantile(shares: tuple[float, ...], degrees: float, level: float, two_sided: bool) -> float:
    parts = np.array(shares)
    b = np.sqrt(parts[1:] / (parts[1:] + parts[0]))

    def missing(quantile: float) -> float:
        return _none_beyond(quantile, b, degrees, two_sided) - (1 - level)

    tail = level / 2 if two_sided else level
    low = -float(special.stdtrit(degrees, tail))
    high = -float(special.stdtrit(degrees, tail / len(b)))
    if len(b) == 1:
        return low
    return float(optimize.brentq(missing, low - 0.01, high + 0.01, xtol=1e-9))


def level_of_each(
    shares: Sequence[float],
    degrees_of_freedom: float,
    level: float,
    two_sided: bool,
    correction: str,
) -> float:
    """Level of one comparison by Dunnett, by Bonferroni, or without a correction."""
    arms = len(shares) - 1
    if arms == 1 or correction == "none":
        return level
    if correction == "bonferroni":
        return level / arms
    quantile = dunnett_quantile(shares, degrees_of_freedom, level, two_sided)
    return float((2 if two_sided else 1) * special.stdtr(degrees_of_freedom, -quantile))


def _none_beyond(quantile: float, b: np.ndarray, degrees: float, two_sided: bool) -> float:
    common = np.linspace(-8.5, 8.5, 341)
    weights = np.exp(-(common**2) / 2)
    weights /= weights.sum()
    scales = np.ones(1)
    if degrees < _NORMAL_ABOVE:
        middles = (np.arange(_POINTS) + 0.5) / _POINTS
        scales = np.sqrt(2 * special.gammaincinv(degrees / 2, middles) / degrees)
    bound = quantile * scales[:, None, None]
    left, moved = np.sqrt(1 - b**2), b * common[:, None]
    inside = special.ndtr((bound + moved) / left)
    if two_sided:
        inside = inside - special.ndtr((-bound + moved) / left)
    return float((np.prod(inside, axis=2) @ weights).mean())
