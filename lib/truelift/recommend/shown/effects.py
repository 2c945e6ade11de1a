"""From sums to effects of being shown: by item, category and context, shrunken, with clustered errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from truelift.errors import NotSupportedError
from truelift.inference.shrinkage import Shrunken, shrunken
from truelift.lake.states import State, add_states
from truelift.recommend.shown.rows import Shelf
from truelift.recommend.shown.sums import OTHER, OWN, HowMade, places

#: Purchases after lists below which nothing is said.
FEWEST_PURCHASES = 50
#: tau^2 of effects that judge lists: so wide that only what was never shown is taken for its category.
_WIDE = 1.0
_SAME_LISTS = 1e-3
_LEAST = 1e-3


@dataclass(frozen=True, eq=False)
class ShownEffects:
    """What showing an item first adds to the purchases from its category after a list.

    Parameters
    ----------
    estimate, error : ndarray, 2 x items + 1
        Mean and standard deviation given the data, by item index; in lists made where its own category
        was looked at (or, without contexts, never), and in all others. An item that was not shown
        has its category's.
    times : ndarray, 2 x items + 1
        How often it was shown there.
    pull : ndarray, 2 x items + 1
        How much of a change of its category's mean an item's effect follows; 1: all, nothing else is known.
    centre, centre_error : ndarray, 2 x categories
        The mean over a category's items, and its error.
    chance : ndarray, 2 x categories
        Of a purchase from the category after a list without its items.
    context_share : ndarray, categories
        Of lists, by the category that their context names; all 0 where contexts name none.
    eyes : ndarray, slots
        How much slots are looked at.
    lists, purchases : float
    clustering : float
        By how much users who come again widen the variance, at most over categories.
    """

    estimate: np.ndarray
    error: np.ndarray
    times: np.ndarray
    pull: np.ndarray
    centre: np.ndarray
    centre_error: np.ndarray
    chance: np.ndarray
    context_share: np.ndarray
    eyes: np.ndarray
    lists: float
    purchases: float
    clustering: float

    def error_of_sum(self, weights: np.ndarray, category: np.ndarray) -> float:
        """Standard error of ``sum of weights x estimate`` (weights 2 x items + 1), also as items share a mean."""
        variance = float(((weights * self.error) ** 2).sum())
        moved = weights * self.pull
        for stratum in (OWN, OTHER):
            c = len(self.centre_error[stratum])
            together = np.bincount(category, moved[stratum], c) ** 2
            apart = np.bincount(category, moved[stratum] ** 2, c)
            variance += float(((together - apart) * self.centre_error[stratum] ** 2).sum())
        return float(np.sqrt(max(variance, 0.0)))

    def interval(self, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends of ``estimate``."""
        half = half_width(confidence) * self.error
        return self.estimate - half, self.estimate + half


def half_width(confidence: float) -> float:
    """Of an interval, in standard errors."""
    return float(special.ndtri(0.5 + confidence / 2))


def effects_of_being_shown(
    shelf: Shelf, made: HowMade, states: Sequence[State], shrink: bool = True, half: bool = False
) -> ShownEffects:
    """Effects from the second pass's states, one a group of users.

    Without ``shrink`` they are not drawn to anything: without bias, as a judge of lists has to be, and
    not what lists should be chosen by.

    A category's effects are shrunken with the variance of a purchase, widened by what users who come again
    make of it: the sum over groups of squared scores against what independent lists would give, in
    each category and stratum, and never below 1.

    Raises
    ------
    NotSupportedError
        Where hardly anything was bought after lists, or lists were always the same.
    """
    total = add_states(states)
    purchases = float(total["purchases"].sum())
    fewest = FEWEST_PURCHASES // 2 if half else FEWEST_PURCHASES
    if purchases < fewest:
        raise NotSupportedError(
            f"gold.exposures: found {purchases:,.0f} purchases after {total['visits'].sum():,.0f} lists"
            f"{' of one half of the users' * half}, expected {fewest} at least. See recommend.effects (purchase, window_seconds)."
        )
    n, c = len(made.among), shelf.categories
    category = shelf.category[made.among]
    estimate, error = np.zeros((2, shelf.items)), np.zeros((2, shelf.items))
    times = np.zeros((2, shelf.items))
    times[:, made.among] = total["times"]
    pull = np.ones((2, shelf.items))
    centre, centre_error, chance = np.zeros((2, c)), np.zeros((2, c)), np.zeros((2, c))
    widest = 1.0
    by_stratum = [list(_markets(shelf, total, category, stratum)) for stratum in (OWN, OTHER)]
    informative = sum(float(m.gram.trace()) for markets in by_stratum for m in markets)
    if informative < _SAME_LISTS * total["gram"][:, np.arange(n), places(category)[0]].sum():
        raise NotSupportedError(
            "gold.exposures: in every context the lists were always the same, so nothing can be said of "
            "what they change. Have a share of slots filled by lot (recommend.explore), and log its "
            "chances."
        )
    for stratum, markets in enumerate(by_stratum):
        first = shrunken([m.parts(1.0) for m in markets])
        by_user = [
            max(m.clustering(theta, states), 1.0)
            for m, theta in zip(markets, first.mean, strict=True)
        ]
        widest = max(widest, *by_user)
        found = shrunken(
            [m.parts(d) for m, d in zip(markets, by_user, strict=True)],
            careful=True,
            spread=None if shrink else _WIDE,
        ).with_groups()
        _fill(estimate, error, pull, centre, centre_error, stratum, shelf, made, markets, found)
        brought = np.zeros(c)
        for m, theta in zip(markets, found.mean, strict=True):
            brought[m.category] = m.shown(total) @ theta
        for code in range(c):
            cells = _cells(shelf, code, stratum)
            visits = total["visits"][cells].sum()
            bought = total["purchases"][cells, code].sum() - brought[code]
            chance[stratum, code] = bought / visits if visits > 0 else 0.0
    share = np.zeros(c)
    named = shelf.cell_category >= 0
    np.add.at(share, shelf.cell_category[named], total["visits"][named])
    share /= max(total["visits"].sum(), 1e-300)
    return ShownEffects(
        estimate, error, times, pull, centre, centre_error, np.clip(chance, _LEAST, 1 - _LEAST), share,
        made.eyes, float(total["visits"].sum()), purchases, widest,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Market:
    """The regression of one category in one stratum, the cells' means taken out."""

    category: int
    stratum: int
    items: np.ndarray
    within: np.ndarray
    cells: np.ndarray
    gram: np.ndarray
    rhs: np.ndarray
    variance: float
    mean_shown: np.ndarray
    mean_bought: np.ndarray

    def parts(self, wider: float) -> tuple[np.ndarray, np.ndarray]:
        """``G / s^2`` and ``b / s^2``."""
        if self.variance <= 0:
            return np.zeros_like(self.gram), np.zeros_like(self.rhs)
        return self.gram / (self.variance * wider), self.rhs / (self.variance * wider)

    def shown(self, state: State) -> np.ndarray:
        """How much of the items was shown in its cells."""
        return np.asarray(state["shown"][np.ix_(self.cells, self.items)].sum(axis=0))

    def clustering(self, theta: np.ndarray, states: Sequence[State]) -> float:
        """Variance of the scores by groups of users, against that of independent lists."""
        expected = self.variance * self.gram.trace()
        if expected <= 0 or len(states) < 2:
            return 1.0
        squares = sum(float((self._score(s, theta) ** 2).sum()) for s in states)
        return squares * len(states) / (len(states) - 1) / expected

    def _score(self, state: State, theta: np.ndarray) -> np.ndarray:
        """Sum over a group of ``w (T - mean T) (Y - mean Y - (T - mean T)' theta)``."""
        visits = state["visits"][self.cells]
        shown = state["shown"][np.ix_(self.cells, self.items)]
        bought = state["purchases"][self.cells, self.category]
        raw = state["bought_with"][self.stratum, self.items]
        cross = state["gram"][self.stratum, self.items][:, self.within] @ theta
        usual = self.mean_shown @ theta
        rest = bought - self.mean_bought * visits - shown @ theta + usual * visits
        return np.asarray(
            raw - self.mean_bought @ shown - cross + usual @ shown - self.mean_shown.T @ rest
        )


def _cells(shelf: Shelf, category: int, stratum: int) -> np.ndarray:
    own = shelf.cell_category == category
    return np.flatnonzero(own if stratum == OWN else ~own)


def _markets(shelf: Shelf, total: State, category: np.ndarray, stratum: int) -> Iterator[_Market]:
    within, _ = places(category)
    for code in np.unique(category):
        items, cells = np.flatnonzero(category == code), _cells(shelf, int(code), stratum)
        visits = total["visits"][cells]
        shown = total["shown"][np.ix_(cells, items)]
        bought = total["purchases"][cells, code]
        some = np.maximum(visits, 1e-300)
        mean_shown, mean_bought = shown / some[:, None], bought / some
        gram = total["gram"][stratum, items][:, within[items]] - shown.T @ mean_shown
        rhs = total["bought_with"][stratum, items] - shown.T @ mean_bought
        own, weight = float((bought - bought * mean_bought).sum()), float(visits.sum())
        variance = 0.0
        if weight > 0:
            squares = float(total["squares"][cells].sum())
            variance = own / weight * max(squares / weight, 1.0)
        yield _Market(
            int(code), stratum, items, within[items], cells, gram, rhs, variance, mean_shown,
            mean_bought,
        )  # fmt: skip


def _fill(
    estimate: np.ndarray, error: np.ndarray, pull: np.ndarray, centre: np.ndarray, centre_error: np.ndarray,
    stratum: int, shelf: Shelf, made: HowMade, markets: Sequence[_Market], found: Shrunken,
) -> None:  # fmt: skip
    """Items that were shown have their own effect, others that of their category, or of all."""
    some = found.precision > 0
    every = float(found.centre[some].mean()) if some.any() else 0.0
    centre[stratum] = every
    centre_error[stratum] = np.sqrt(1.0 / found.precision[some].min()) if some.any() else 0.0
    for place, market in enumerate(markets):
        centre[stratum, market.category] = found.centre[place]
        if found.precision[place] > 0:
            centre_error[stratum, market.category] = found.precision[place] ** -0.5
    estimate[stratum] = centre[stratum, shelf.category]
    error[stratum] = np.sqrt(centre_error[stratum, shelf.category] ** 2 + found.spread)
    for place, market in enumerate(markets):
        own = made.among[market.items]
        estimate[stratum, own] = found.mean[place]
        error[stratum, own] = np.sqrt(found.variance[place])
        pull[stratum, own] = found.pull[place]
