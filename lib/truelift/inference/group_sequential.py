"""Planned looks at a growing experiment: bounds that keep the level over all of them.

The statistics of K looks at the information shares ``t_1 < .. < t_K`` are jointly normal with
``Z_k ~ N(drift * sqrt(t_k), 1)`` and independent increments of ``sqrt(t_k) Z_k``. So the density of
the statistic among experiments that are still running follows from that of the look before by one
integral (Armitage, McPherson & Rowe 1969), here on the grid of Jennison & Turnbull (2000, chapter
19). Spending functions are Lan & DeMets' (1983), which need neither the number nor the times of the
looks in advance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import optimize, special

from truelift.errors import ConfigError, DataError
from truelift.inference.arguments import checked_share

SPENDING = ("obrien_fleming", "pocock")
# The grid reaches so far beyond the mean that what lies outside is below 1e-12.
_NODES = 24
# A bound that nothing is spent for, in standard errors.
_FAR = 10.0


@dataclass(frozen=True)
class SequentialBounds:
    """Critical values of the planned looks.

    Parameters
    ----------
    fractions : tuple of float, K
        Share of the planned information at each look.
    critical : tuple of float, K
        The statistic beyond which a look ends the experiment, in standard errors.
    spent : tuple of float, K
        Level that is spent up to each look.
    level : float
    two_sided : bool
    """

    fractions: tuple[float, ...]
    critical: tuple[float, ...]
    spent: tuple[float, ...]
    level: float
    two_sided: bool


def spending(name: str, level: float, fractions: np.ndarray) -> np.ndarray:
    """Level of one side that may be spent up to each share of the information.

    ``'obrien_fleming'``: ``2 (1 - Phi(z_{1 - level/2} / sqrt(t)))``; ``'pocock'``:
    ``level * log(1 + (e - 1) t)``.
    """
    t = np.clip(np.asarray(fractions, float), 1e-12, 1.0)
    if name == "obrien_fleming":
        return 2 * special.ndtr(special.ndtri(level / 2) / np.sqrt(t))
    if name == "pocock":
        return level * np.log1p((np.e - 1) * t)
    raise ConfigError(f"spending: found {name!r}, expected one of {', '.join(SPENDING)}.")


def spending_bounds(
    fractions: Sequence[float], name: str, level: float = 0.05, two_sided: bool = True
) -> SequentialBounds:
    """Bounds by a spending function; the looks may be at any shares of the information.

    Parameters
    ----------
    fractions : sequence of float, K
        Rising, above 0 and up to 1. At 1 all of the level is spent.
    name : str
        Of :data:`SPENDING`.
    level : float
        Of both sides together if ``two_sided``; each side gets half of it.
    two_sided : bool

    Raises
    ------
    DataError
        If the shares do not rise, or leave 0 to 1.
    """
    shares = checked_fractions(fractions)
    checked_share(level, "level")
    side = level / 2 if two_sided else level
    spent = spending(name, side, np.array(shares))
    return _spent_bounds(shares, tuple(float(s) for s in spent), level, two_sided)


@lru_cache(maxsize=512)
def _spent_bounds(
    shares: tuple[float, ...], spent: tuple[float, ...], level: float, two_sided: bool
) -> SequentialBounds:
    running = _Running(two_sided)
    critical: list[float] = []
    before = 0.0
    for share, upto in zip(shares, spent, strict=True):
        critical.append(running.bound(share, max(upto - before, 0.0)))
        running = running.after(share, critical[-1])
        before = upto
    sides = 2 if two_sided else 1
    return SequentialBounds(
        shares, tuple(critical), tuple(sides * s for s in spent), level, two_sided
    )


def constant_bounds(
    looks: int, name: str, level: float = 0.05, two_sided: bool = True
) -> SequentialBounds:
    """The bounds of Pocock (1977), equal at all looks, or of O'Brien & Fleming (1979).

    O'Brien and Fleming's are ``c / sqrt(t)``. The looks are equally spaced, and their number is fixed
    in advance.
    """
    if looks < 1 or name not in SPENDING:
        raise ConfigError(
            f"{looks} looks by {name!r}; expected at least one, by one of {', '.join(SPENDING)}."
        )
    fractions = (np.arange(looks) + 1.0) / looks
    shape = np.ones(looks) if name == "pocock" else 1 / np.sqrt(fractions)

    def excess(constant: float) -> float:
        found = crossing(fractions, constant * shape, 0.0, two_sided)
        return float(found.sum()) - level

    constant = optimize.brentq(excess, 0.5, _FAR / 2, xtol=1e-10)
    critical = constant * shape
    spent = np.cumsum(crossing(fractions, critical, 0.0, two_sided))
    return SequentialBounds(
        tuple(fractions), tuple(critical), tuple(spent), level, two_sided
    )  # fmt: skip


def crossing(
    fractions: Sequence[float] | np.ndarray,
    critical: Sequence[float] | np.ndarray,
    drift: float,
    two_sided: bool = True,
) -> np.ndarray:
    """Chance that each look is the first one beyond its bound (K).

    Parameters
    ----------
    fractions, critical : K numbers
    drift : float
        Expected statistic at the share 1.
    two_sided : bool
        Otherwise only the upper bound counts.
    """
    running = _Running(two_sided, drift)
    found = []
    for share, bound in zip(fractions, critical, strict=True):
        found.append(running.beyond(float(share), float(bound)))
        running = running.after(float(share), float(bound))
    return np.array(found)


def sequential_power(bounds: SequentialBounds, drift: float) -> float:
    """Chance that some look is beyond its bound in the direction of the drift or the other."""
    return float(crossing(bounds.fractions, bounds.critical, drift, bounds.two_sided).sum())


def required_drift(bounds: SequentialBounds, target: float) -> float:
    """Expected statistic at the share 1 with which the chance of crossing is ``target``."""
    checked_share(target, "target")

    def missing(drift: float) -> float:
        return sequential_power(bounds, drift) - target

    return float(optimize.brentq(missing, 0.0, 2 * _FAR, xtol=1e-9))


def inflation(bounds: SequentialBounds, target: float) -> float:
    """How many times the sample of one look the last planned look takes for the same power."""
    alone = fixed_drift(bounds.level, target, bounds.two_sided)
    return (required_drift(bounds, target) / alone) ** 2


def fixed_drift(level: float, target: float, two_sided: bool = True) -> float:
    """Expected statistic with which one look has the power ``target``."""
    quantile = -special.ndtri(level / 2 if two_sided else level)

    def missing(drift: float) -> float:
        below = special.ndtr(-quantile - drift) if two_sided else 0.0
        return float(special.ndtr(drift - quantile) + below) - target

    return float(optimize.brentq(missing, 0.0, 2 * _FAR, xtol=1e-12))


def expected_fraction(bounds: SequentialBounds, drift: float) -> float:
    """Mean share of the planned information at which an experiment with this drift ends."""
    stops = crossing(bounds.fractions, bounds.critical, drift, bounds.two_sided)
    return float(stops @ np.array(bounds.fractions) + (1 - stops.sum()) * bounds.fractions[-1])


def repeated_p_value(
    statistics: Sequence[float], fractions: Sequence[float], name: str, two_sided: bool = True
) -> float:
    """The smallest level at which one of the looks so far would have been beyond its bound."""
    found = np.asarray(statistics, float)
    found = np.abs(found) if two_sided else found

    def crosses(level: float) -> bool:
        bounds = spending_bounds(fractions, name, level, two_sided)
        return bool(np.any(found >= np.array(bounds.critical)))

    low, high = np.log(1e-10), np.log(0.999)
    if not crosses(float(np.exp(high))):
        return 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if crosses(float(np.exp(middle))) else (middle, high)
    return float(np.exp(high))


def checked_fractions(fractions: Sequence[float]) -> tuple[float, ...]:
    """Shares of the information as they must be.

    Raises
    ------
    DataError
    """
    shares = tuple(float(f) for f in fractions)
    rising = all(a < b for a, b in zip((0.0, *shares), shares, strict=False))
    if not shares or not rising or shares[-1] > 1 + 1e-12:
        raise DataError(
            f"Looks at the shares {list(shares)} of the planned information; expected rising numbers "
            "above 0 and up to 1."
        )
    return shares


class _Running:
    """Experiments that no look has ended: the density of the last statistic, on a grid."""

    def __init__(
        self,
        two_sided: bool,
        drift: float = 0.0,
        share: float = 0.0,
        points: np.ndarray | None = None,
        weights: np.ndarray | None = None,
    ):
        self._two_sided, self._drift, self._share = two_sided, drift, share
        self._points = np.zeros(1) if points is None else points
        # Of each point: its density times its part of the integral.
        self._weights = np.ones(1) if weights is None else weights

    def _standardised(self, share: float, at: np.ndarray) -> np.ndarray:
        """(points, values): the increment's distance from its mean, in its standard deviation."""
        step = share - self._share
        moved = at * np.sqrt(share) - (self._points * np.sqrt(self._share))[:, None]
        return (moved - self._drift * step) / np.sqrt(step)

    def beyond(self, share: float, bound: float) -> float:
        """Chance to be beyond the bound at a look."""
        above = special.ndtr(-self._standardised(share, np.array([bound])))[:, 0]
        if self._two_sided:
            above = above + special.ndtr(self._standardised(share, np.array([-bound])))[:, 0]
        return float(self._weights @ above)

    def bound(self, share: float, spend: float) -> float:
        """The bound that spends so much on each side."""
        sides = 2 if self._two_sided else 1
        if spend <= 1e-14 or self.beyond(share, _FAR) >= sides * spend:
            return _FAR
        excess: Callable[[float], float] = lambda c: self.beyond(share, c) - sides * spend  # noqa: E731
        return float(optimize.brentq(excess, -_FAR, _FAR, xtol=1e-10))

    def after(self, share: float, bound: float) -> _Running:
        """What still runs after a look."""
        centre = self._drift * np.sqrt(share)
        points, parts = _grid(centre, -bound if self._two_sided else -np.inf, bound)
        if not len(points):
            return _Running(self._two_sided, self._drift, share, np.zeros(1), np.zeros(1))
        z = self._standardised(share, points)
        scale = np.sqrt(share / (share - self._share)) / np.sqrt(2 * np.pi)
        density = scale * (self._weights @ np.exp(-0.5 * z**2))
        return _Running(self._two_sided, self._drift, share, points, density * parts)


def _grid(centre: float, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Points between two bounds and their parts of an integral: Simpson's rule on J & T's grid."""
    r = _NODES
    i = np.arange(1, 6 * r)
    tail = 3 + 4 * np.log(r / np.where(i < r, i, 6 * r - i))
    x = np.where(i < r, -tail, np.where(i > 5 * r, tail, -3 + 3 * (i - r) / (2 * r)))
    x = x + centre
    inside = x[(x > low) & (x < high)]
    ends = [end for end in (low, high) if np.isfinite(end) and x[0] < end < x[-1]]
    odd = np.unique(np.concatenate([inside, ends]))
    if len(odd) < 2:
        return np.zeros(0), np.zeros(0)
    width = np.diff(odd)
    points = np.empty(2 * len(odd) - 1)
    points[::2], points[1::2] = odd, odd[:-1] + width / 2
    parts = np.zeros(len(points))
    parts[1::2] = 4 * width / 6
    parts[:-1:2] += width / 6
    parts[2::2] += width / 6
    return points, parts
