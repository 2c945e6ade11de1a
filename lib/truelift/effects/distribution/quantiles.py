"""Quantiles of an outcome under every arm, and means beyond them, doubly robust.

The quantile q of arm a at level t solves ``F_a(q) = t`` for the doubly robust distribution function F_a (the
arm's mean of ``1[Y <= q]``). A grid of numbers finds where it lies; there the regressions are fitted anew, at q
and beside it, so that they are wanted at a few points alone (localised; Kallus, Mao & Uehara 2024). The influence
on q is minus that on F_a(q) over the density, which is the slope between the points beside it, as far apart as
Hall and Sheather (1988) advise. Where the points are a rounding apart there is no density: the outcome has one
value too often (Firpo 2007; Belloni, Chernozhukov, Fernandez-Val & Hansen 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from truelift.effects.distribution.arm_means import ArmMeans, Below, Beyond, Function, arm_means
from truelift.effects.look import Sight

_GRID = 40
_ROUNDS = 3
#: Standard errors of a proportion by which the distribution function may miss the level where it is solved.
_CLOSE = 0.25


@dataclass(frozen=True, eq=False)
class Point:
    """One quantile of one arm.

    Parameters
    ----------
    outcome : str
    arm : int
    level : float
    low, at, high : float
        The numbers at which the distribution function is estimated.
    """

    outcome: str
    arm: int
    level: float
    low: float
    at: float
    high: float

    @property
    def functions(self) -> tuple[Function, ...]:
        """What is averaged under the arm."""
        below = [Below(self.outcome, number) for number in (self.low, self.at, self.high)]
        return (*below, Beyond(self.outcome, self.at, 1.0 - self.level))


@dataclass(frozen=True, eq=False)
class ArmQuantiles:
    """Quantiles of one outcome by arm and level, and means beyond them, with their joint covariance.

    Parameters
    ----------
    quantile, beyond : ndarray, A x K
    covariance : ndarray, 2AK x 2AK
        Quantiles first, arm after arm.
    clusters : int
    """

    quantile: np.ndarray
    beyond: np.ndarray
    covariance: np.ndarray
    clusters: int


def bandwidth(level: float, units: float) -> float:
    """How far beside a level the density is taken (Hall & Sheather 1988), within the distribution.

    Parameters
    ----------
    level : float
    units : float
        Of the arm.
    """
    z = norm.ppf(level)
    wide = norm.ppf(0.975) ** (2 / 3) * (1.5 * norm.pdf(z) ** 2 / (2 * z**2 + 1)) ** (1 / 3)
    return float(min(wide * units ** (-1 / 3), 0.5 * level, 0.5 * (1.0 - level)))


def inverted(at: np.ndarray, shares: np.ndarray, level: float) -> float:
    """Where a distribution function, known at ascending numbers and made monotone, reaches a level."""
    rising = np.sort(np.clip(shares, 0.0, 1.0))
    kept = np.concatenate([[True], np.diff(rising) > 0])
    return float(np.interp(level, rising[kept], at[kept]))


def arm_quantiles(
    sight: Sight, outcome: str, drawn: np.ndarray, levels: Sequence[float], units: np.ndarray
) -> ArmQuantiles:
    """Quantiles of an outcome under every arm.

    Parameters
    ----------
    sight : Sight
    outcome : str
    drawn : ndarray
        Some of its values.
    levels : sequence of float
    units : ndarray, A
        Units of each arm.
    """
    points = _first_points(sight, outcome, drawn, levels, units)
    found = _at(sight, points)
    for _ in range(_ROUNDS - 1):
        if _close(points, found, units):
            break
        points = _moved(points, found)
        found = _at(sight, points)
    return _solved(points, found, len(units))


def _first_points(
    sight: Sight, outcome: str, drawn: np.ndarray, levels: Sequence[float], units: np.ndarray
) -> list[Point]:
    inner = np.linspace(0.0, 1.0, _GRID)
    near = [level + side for level in levels for side in (-0.02, 0.0, 0.02)]
    grid = np.unique(np.quantile(drawn, np.clip(np.concatenate([inner, near]), 0.0, 1.0)))
    arms = range(len(units))
    shares = arm_means(sight, [(a, Below(outcome, g)) for a in arms for g in grid.tolist()])
    by_arm = shares.values.reshape(len(units), len(grid))
    # The least value has a share of its own: what lies below it has none.
    points = []
    for a in arms:
        for level in levels:
            h = bandwidth(level, float(units[a]))
            low, at, high = (inverted(grid, by_arm[a], level + side) for side in (-h, 0.0, h))
            points.append(Point(outcome, a, level, low, at, high))
    return points


def _at(sight: Sight, points: Sequence[Point]) -> ArmMeans:
    return arm_means(sight, [(p.arm, f) for p in points for f in p.functions])


def _shares(found: ArmMeans, place: int) -> np.ndarray:
    return found.values[4 * place : 4 * place + 3]


def _close(points: Sequence[Point], found: ArmMeans, units: np.ndarray) -> bool:
    return all(
        abs(_shares(found, i)[1] - p.level)
        <= _CLOSE * np.sqrt(p.level * (1.0 - p.level) / units[p.arm])
        for i, p in enumerate(points)
    )


def _root(point: Point, shares: np.ndarray) -> float:
    slope = (shares[2] - shares[0]) / (point.high - point.low)
    # One step of Newton's: between points the function is taken for straight.
    return float(point.at + (point.level - shares[1]) / slope)


def _moved(points: Sequence[Point], found: ArmMeans) -> list[Point]:
    moved = []
    for i, p in enumerate(points):
        shares = _shares(found, i)
        if p.high <= p.low or shares[2] <= shares[0]:
            moved.append(p)  # nothing to go by; the others move on
            continue
        by = float(np.clip(_root(p, shares), p.low, p.high)) - p.at
        moved.append(Point(p.outcome, p.arm, p.level, p.low + by, p.at + by, p.high + by))
    return moved


def _solved(points: Sequence[Point], found: ArmMeans, arms: int) -> ArmQuantiles:
    count = len(points)
    rows = np.zeros((2 * count, len(found.values)))
    values = np.full(2 * count, np.nan)
    for i, p in enumerate(points):
        shares = _shares(found, i)
        if p.high <= p.low or shares[2] <= shares[0]:
            continue
        root = _root(p, shares)
        # Beyond the points the slope between them says nothing of where the level is met.
        if p.low <= root <= p.high:
            rows[count + i, 4 * i + 3] = 1.0
            values[count + i] = found.values[4 * i + 3]
            values[i] = root
            rows[i, 4 * i + 1] = -(p.high - p.low) / (shares[2] - shares[0])
    shape = (arms, count // arms)
    return ArmQuantiles(
        values[:count].reshape(shape),
        values[count:].reshape(shape),
        rows @ found.covariance @ rows.T,
        found.clusters,
    )
