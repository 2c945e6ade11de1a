"""Dials of the shop, so that its logs have a lake's marginals (simulated minimum distance).

Each marginal has its own dials: how often people come, how much they buy, how unequal items are, what is
clicked. A marginal's dials are chosen by Nelder and Mead's simplex (1965), the others held, and once more after
all have moved; by the sum of all distances, each as a share of what it was at first, for a dial may gain in one
marginal what it loses in another (few know rare items, and who knows few items has small baskets). Chance is looked up and not drawn anew, so two worlds differ by
their dials alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import optimize

from truelift.errors import NotSupportedError
from truelift.simulate.calibration.marginals import (
    MOST_BASKET,
    Marginals,
    distances,
    visit_counts,
)
from truelift.simulate.shop_world.lists import random_lists
from truelift.simulate.shop_world.parameters import ShopWorld
from truelift.simulate.shop_world.shop import Shop

if TYPE_CHECKING:
    import pandas as pd

#: A marginal's dials, with where they may lie and the simplex's first step.
DIALS: dict[str, dict[str, tuple[float, float, float]]] = {
    "gaps": {"visit": (-7.0, 4.0, 1.5), "visit_spread": (0.0, 3.0, 0.5)},
    "baskets": {"quality": (-9.0, 3.0, 1.0), "errand": (0.0, 3.0, 0.5)},
    "popularity": {"popularity": (0.0, 3.0, 0.4)},
    "clicks": {"click": (-9.0, 3.0, -1.5), "position": (0.0, 4.0, 0.4)},
}
UNITS = {
    "gaps": "rounds", "baskets": "items", "popularity": "area between Lorenz curves",
    "clicks": "clicks a showing",
}  # fmt: skip
_SWEEPS, _RESAMPLES = 2, 40
#: Categories and known items of a fitted world, and slots of its lists.
_MOST, _MOST_SLOTS = 64, 32


@dataclass(frozen=True)
class Fitted:
    """A marginal before and after, beside what a resample of the lake's own users comes to."""

    marginal: str
    before: float
    after: float
    floor: float

    @property
    def unit(self) -> str:
        """Of the distance."""
        return UNITS[self.marginal]


@dataclass(frozen=True, eq=False)
class Calibration:
    """A world with a lake's marginals.

    Parameters
    ----------
    world, start : ShopWorld
        The fitted one, and the one that was begun from.
    marginals : tuple of Fitted
    users, rounds : int
        How many were simulated to compare.
    """

    world: ShopWorld
    start: ShopWorld
    marginals: tuple[Fitted, ...]
    users: int
    rounds: int

    @property
    def dials(self) -> dict[str, tuple[float, float]]:
        """What was changed: from, to."""
        pairs = {k: (getattr(self.start, k), getattr(self.world, k)) for k in vars(self.start)}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    def to_pandas(self) -> pd.DataFrame:
        """A row a marginal."""
        import pandas as pd

        return pd.DataFrame([{**vars(m), "unit": m.unit} for m in self.marginals])

    def __repr__(self) -> str:
        lines = [f"{'marginal':>12} {'before':>10} {'after':>10} {'resampled':>10}"]
        lines += [
            f"{m.marginal:>12} {m.before:10.4f} {m.after:10.4f} {m.floor:10.4f}  {m.unit}"
            for m in self.marginals
        ]
        lines += [f"{name:>12} {old:10g} {new:10g}" for name, (old, new) in self.dials.items()]
        return "\n".join(lines)


def played(world: ShopWorld, rounds: int, cap: int, seed: int, lists: bool) -> Marginals:
    """Marginals of a world's own logs, with lists by lot or without any."""
    shop = Shop(world, seed)
    policy = random_lists(shop.contexts, world.items) if lists else None
    people = shop.people(np.arange(world.users))
    users, moments, items = [], [], []
    sold = np.zeros(world.items)
    slots = world.list_length if lists else 0
    shown, clicked = np.zeros(slots), np.zeros(slots)
    for moment in range(rounds):
        round_ = shop.play(people, policy, moment)
        bought = round_.responses.bought
        users.append(np.repeat(round_.visits.user, bought.shape[1]))
        items.append(bought.ravel())
        moments.append(np.full(bought.size, moment))
        sold += np.bincount(bought[bought >= 0], minlength=world.items)
        if lists:
            shown += (round_.items >= 0).sum(axis=0)
            clicked += round_.responses.clicked.sum(axis=0)
    user, when, item = (np.concatenate(part) for part in (users, moments, items))
    counts = visit_counts(user, when, item, rounds - 1, cap)
    return Marginals(**counts, sold=sold, shown=shown, clicked=clicked)


def with_room(world: ShopWorld, lake: Marginals, users: int) -> ShopWorld:
    """The world with so many users, slots, categories and known items that the lake's baskets fit into it."""
    found = replace(world, users=users)
    slots = len(lake.shown)
    if slots:
        found = replace(found, list_length=slots, items=max(found.items, 2 * slots))
    if lake.baskets[1:].sum() > 0:
        reached = np.cumsum(lake.baskets[1:]) / lake.baskets[1:].sum()
        most = int(np.searchsorted(reached, 0.99)) + 1
        categories = int(np.clip(most, found.categories, _MOST))
        found = replace(
            found, categories=categories, items=max(found.items, 4 * categories),
            familiar=int(np.clip(2 * most, found.familiar, _MOST)),
        )  # fmt: skip
    return found


def calibrate(
    groups: list[Marginals], world: ShopWorld, seed: int, users: int, rounds: int,
    tell: Callable[[str], None] = lambda text: None, trials: int = 40,
) -> Calibration:  # fmt: skip
    """Fit a world's dials to a lake's marginals.

    Parameters
    ----------
    groups : list of Marginals
        Of disjoint groups of the lake's users; their sum is the lake, and resamples are made of them.
    world : ShopWorld
        To begin from; dials that have no marginal stay.
    seed : int
    users, rounds : int
        Simulated to compare; gaps are followed as long as the lake's were.
    trials : int
        Worlds tried for a marginal in each of two sweeps.

    Raises
    ------
    NotSupportedError
        If the lake knows of none of the marginals.
    """
    # A list of the world has no more slots; clicks further down are not compared.
    groups = [
        replace(g, shown=g.shown[:_MOST_SLOTS], clicked=g.clicked[:_MOST_SLOTS]) for g in groups
    ]
    lake = added(groups)
    browsing = lake.browsing
    target = lake.distributions(browsing)
    cap, lists = len(lake.gaps) - 2, "clicks" in target
    if not target:
        raise NotSupportedError(
            "calibrate_world: found fewer than 50 purchases, 50 returns of users and 25 clicks on lists, so "
            "there is nothing to fit. Expected --purchase and --click to name the lake's types of events."
        )
    slots = np.maximum(lake.shown, 1e-9)

    def apart(tried: ShopWorld) -> dict[str, float]:
        found = played(tried, rounds, cap, seed, lists)
        return distances(target, found.distributions(browsing), slots)

    tried = with_room(world, lake, users)
    before = apart(tried)

    def whole(tried: ShopWorld) -> float:
        found = apart(tried)
        # Nobody comes, or nobody buys: further away than anything.
        return sum(
            found.get(name, MOST_BASKET) / max(before.get(name, 1.0), 1e-9) for name in target
        )

    for sweep in range(_SWEEPS):
        for name, dials in DIALS.items():
            if name in target:
                tell(f"{name}, sweep {sweep + 1} of {_SWEEPS}")
                tried = _nearest(tried, dials, whole, trials, 0.5**sweep)
    after, floors = apart(tried), resampled(groups, target, browsing, slots, seed)
    nan = float("nan")
    fitted = tuple(
        Fitted(name, before.get(name, nan), after.get(name, nan), floors[name])
        for name in DIALS
        if name in target
    )
    return Calibration(replace(tried, users=world.users), world, fitted, users, rounds)


def _nearest(
    world: ShopWorld, dials: dict[str, tuple[float, float, float]],
    apart: Callable[[ShopWorld], float], trials: int, step: float,
) -> ShopWorld:  # fmt: skip
    """The world with some dials where it is nearest."""
    low, high, first = (np.array(part) for part in zip(*dials.values(), strict=True))
    start = np.array([getattr(world, dial) for dial in dials])
    best: tuple[float, ShopWorld] = (np.inf, world)

    def distance(values: np.ndarray) -> float:
        nonlocal best
        kept = np.clip(values, low, high)
        moved: dict[str, Any] = {d: round(float(v), 4) for d, v in zip(dials, kept, strict=True)}
        other = replace(world, **moved)
        found = apart(other)
        if found < best[0]:
            best = (found, other)
        return found + 0.1 * float(np.abs(values - kept).sum())

    corners = np.vstack([start, start + step * np.diag(first)])
    optimize.minimize(
        distance, start, method="Nelder-Mead",
        options={"initial_simplex": corners, "maxfev": trials, "xatol": 0.01, "fatol": 1e-5},
    )  # fmt: skip
    return best[1]


def resampled(
    groups: list[Marginals], target: dict[str, np.ndarray], browsing: bool, slots: np.ndarray,
    seed: int,
) -> dict[str, float]:  # fmt: skip
    """Mean distances of the lake from itself, its groups of users drawn anew."""
    random = np.random.default_rng([seed, 9])
    found: dict[str, list[float]] = {name: [] for name in target}
    for _ in range(_RESAMPLES):
        drawn = added([groups[g] for g in random.integers(0, len(groups), len(groups))])
        for name, value in distances(target, drawn.distributions(browsing), slots).items():
            found[name].append(value)
    return {
        name: float(np.mean(values)) if values else float("nan") for name, values in found.items()
    }


def added(groups: list[Marginals]) -> Marginals:
    """Of all users of several groups."""
    names = ("baskets", "gaps", "buyers_gaps", "sold", "shown", "clicked")
    return Marginals(**{n: np.sum([getattr(g, n) for g in groups], axis=0) for n in names})
