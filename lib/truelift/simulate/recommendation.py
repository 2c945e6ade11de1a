"""Semi-synthetic worlds of recommendation: real people and items, outcomes of which both sides are known.

The field's worlds: Sato, Takemori, Singh & Ohkuma (RecSys 2020) take the purchases of a grocery
with and without its mailer, and turn the rates of a user and an item into chances; Sato (RecSys
2021) does the same with the ratings of films. Everything here is an array over users and items.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.errors import DataError
from truelift.models.factors.shown import ShownLog


@dataclass(frozen=True, eq=False)
class RecommendationWorld:
    """Chances of every user and item.

    Parameters
    ----------
    chance : ndarray, (users, items)
        Of being shown.
    if_shown, if_not : ndarray, (users, items)
        Of the outcome, either way.
    groups : ndarray of int, items
        A category of each item; zeros where none are known.
    """

    chance: np.ndarray
    if_shown: np.ndarray
    if_not: np.ndarray
    groups: np.ndarray

    @property
    def effect(self) -> np.ndarray:
        """What being shown adds to the chance of the outcome: the truth that lists are held to."""
        return self.if_shown - self.if_not

    def draw(self, seed: int) -> ShownLog:
        """A round: who is shown what, and what came of it."""
        rng = np.random.default_rng(seed)
        shown = rng.random(self.chance.shape) < self.chance
        luck = rng.random(self.chance.shape)
        bought = luck < np.where(shown, self.if_shown, self.if_not)
        return ShownLog(shown, bought, self.chance)


def world_of_counts(
    visits: np.ndarray,
    shown: np.ndarray,
    bought: np.ndarray,
    bought_shown: np.ndarray,
    groups: np.ndarray,
    prior: float = 0.4,
    capping: float = 1e-6,
) -> RecommendationWorld:
    """Rates of a user and an item as chances, drawn towards those of the item.

    ``(k + prior mean_i(k)) / (n + prior mean_i(n))`` for outcomes k of n visits with the item shown,
    without, and for shown visits of all; means over users.

    Parameters
    ----------
    visits : ndarray, users
        Visits of each user.
    shown, bought, bought_shown : ndarray, (users, items)
        Visits in which the item was shown, was bought, and both.
    groups : ndarray of int, items
    prior : float
        Weight of the item's mean.
    capping : float
        Least chance of being shown, and of not being shown.
    """
    items = shown.shape[1]
    every = np.repeat(np.asarray(visits, float)[:, None], items, axis=1)
    for name, part, whole in (
        ("shown", shown, every), ("bought_shown", bought_shown, shown),
        ("bought_shown", bought_shown, bought),
    ):  # fmt: skip
        if np.any(part > whole):
            raise DataError(f"{name}: found counts above those they are part of, expected none.")

    def rate(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        above = part + prior * part.mean(axis=0)
        below = whole + prior * whole.mean(axis=0)
        return np.clip(np.divide(above, below, out=np.zeros_like(above), where=below > 0), 0.0, 1.0)

    chance = np.clip(rate(shown, every), capping, 1 - capping)
    if_not = rate(bought - bought_shown, every - shown)
    return RecommendationWorld(chance, rate(bought_shown, shown), if_not, np.asarray(groups))


def world_of_ratings(
    rating: np.ndarray, seen: np.ndarray, shown: float = 100.0, capping: float = 1e-6
) -> RecommendationWorld:
    """Predicted ratings and chances of having seen a film, as chances with and without its being shown.

    Shown, a film is watched with ``1 / (1 + exp(5 - rating))``; without, with the chance of being
    seen. It is shown in inverse proportion to its rank by the mean of both, ``shown`` films a user.

    Parameters
    ----------
    rating, seen : ndarray, (users, items)
    shown : float
        Expected number of films shown to a user.
    capping : float
        As for :func:`world_of_counts`.
    """
    users, items = rating.shape
    if_shown = 1 / (1 + np.exp(5.0 - rating))
    order = np.argsort(-(if_shown + seen), axis=1, kind="stable")
    rank = np.empty((users, items))
    np.put_along_axis(rank, order, np.arange(1.0, items + 1)[None].repeat(users, 0), axis=1)
    each = 1 / np.arange(1.0, items + 1)
    scale = shown / each.sum()
    for _ in range(100):  # what a chance of one leaves over goes to the others
        total = np.minimum(scale * each, 1.0).sum()
        if total > shown - 1e-9:
            break
        scale *= shown / total
    chance = np.clip(np.minimum(scale / rank, 1.0), capping, 1 - capping)
    return RecommendationWorld(chance, if_shown, seen, np.zeros(items, int))
