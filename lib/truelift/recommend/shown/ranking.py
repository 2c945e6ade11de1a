"""Lists by what they add: slot by slot, beside what the list has already, with a share drawn by lot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.arrays.keys import mix
from truelift.recommend.limits.bounds import Bounds
from truelift.recommend.shown.effects import OTHER, OWN, ShownEffects

_LEAST = 1e-3
#: What a user's own history is held against, in events, when it says which category he looks at.
_PRIOR = 5.0
_SPAN = float(2**64)


@dataclass(frozen=True)
class RankBy:
    """By what lists are ranked; see :class:`~truelift.settings.recommend.RecommendOptions`."""

    by: str = "effect"
    weight: float = 0.5
    explore: float = 0.1
    margin: float = 0.3
    cost: float = 0.0
    seed: int = 7
    most_of_category: int | None = None


@dataclass(frozen=True, eq=False)
class Lists:
    """Lists of users (n x slots), with what the numbers in a row of ``gold.recommendations`` are.

    Parameters
    ----------
    items : ndarray of int
        By index; 0 is an empty place.
    score : ndarray
        By which the item stood in its slot.
    effect, error : ndarray
        Of being shown first and alone, for this user.
    propensity : ndarray
        The chance of the item in its slot, given those before it.
    by_lot : ndarray of bool
        Whether the slot was drawn uniformly.
    bounds : Bounds, optional
        What limited them.
    """

    items: np.ndarray
    score: np.ndarray
    effect: np.ndarray
    error: np.ndarray
    propensity: np.ndarray
    by_lot: np.ndarray
    bounds: Bounds | None = None


def context_shares(
    owner: np.ndarray, items: np.ndarray, users: int, category: np.ndarray, effects: ShownEffects
) -> np.ndarray:
    """How likely the next list is made where each category is looked at (users x categories).

    A user's share of events in it, held against five of everybody's lists; 0 where contexts name no
    category.
    """
    c = len(effects.context_share)
    if not effects.context_share.any():
        return np.zeros((users, c))
    own = np.bincount(owner * c + category[items], minlength=users * c).reshape(users, c)
    named = effects.context_share > 0
    own = own * named
    usual = effects.context_share / effects.context_share.sum()
    found = (own + _PRIOR * usual) / (own.sum(axis=1, keepdims=True) + _PRIOR)
    return np.asarray(found * effects.context_share.sum())


def effects_for(
    effects: ShownEffects, shares: np.ndarray, category: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Effect and error of every item for each user (n x items + 1), and the chance without (n x categories)."""
    own = shares[:, category]
    estimate = own * effects.estimate[OWN] + (1 - own) * effects.estimate[OTHER]
    variance = (own * effects.error[OWN]) ** 2 + ((1 - own) * effects.error[OTHER]) ** 2
    chance = shares * effects.chance[OWN] + (1 - shares) * effects.chance[OTHER]
    return estimate, np.sqrt(variance), chance


def ranked_lists(
    how: RankBy, effects: ShownEffects | None, category: np.ndarray, shares: np.ndarray,
    users: np.ndarray, count: int, usable: np.ndarray, relevance: np.ndarray | None = None,
    price: np.ndarray | None = None, bounds: Bounds | None = None,
) -> Lists:  # fmt: skip
    """Lists of ``count`` items for users.

    Items of a category share its buyers: with odds ``o`` of a purchase without them and ``phi`` what an
    item that is looked at adds to the odds, an item in slot k adds ``P(now + e_k phi) - P(now)``, ``P(o) =
    o / (1 + o)``, beside what is on the list already (docs/loop.md). With chance ``explore`` a slot is
    drawn uniformly of the items that are left, by a hash of seed, user and item. With
    ``most_of_category`` what is left has no item of a category that is on the list so often already.

    Parameters
    ----------
    how : RankBy
    effects : ShownEffects, optional
        None: by relevance, and effects are not numbers.
    category : ndarray of int, items + 1
    shares : ndarray, n x categories
        From :func:`context_shares`.
    users : ndarray of uint64, n
        Hashes of the users' keys.
    count : int
    usable : ndarray of bool, n x items + 1
        Items that a user may get.
    relevance : ndarray, n x items + 1, optional
        Chances by the sequence model; a mixture needs them.
    price : ndarray, items + 1, optional
        For ``value``.
    bounds : Bounds, optional
        What these users' lists may hold; chances are those among what may come into a slot.
    """
    n, width = usable.shape
    if effects is None:
        estimate, error, eyes = np.full((n, width), np.nan), np.full((n, width), np.nan), np.ones(1)
        chance = np.full(shares.shape, 0.5)
    else:
        estimate, error, chance = effects_for(effects, shares, category)
        eyes = effects.eyes
    now = chance / (1 - chance)
    with_item = np.clip(chance[:, category] + estimate, _LEAST / 2, 1 - _LEAST)
    added = with_item / (1 - with_item) - now[:, category]
    left = usable.copy()
    left[:, 0] = False
    places = np.arange(n)
    out = Lists(
        np.zeros((n, count), np.int64), np.full((n, count), -np.inf), np.zeros((n, count)),
        np.zeros((n, count)), np.ones((n, count)), np.zeros((n, count), bool), bounds,
    )  # fmt: skip
    cost = how.cost if bounds is None else bounds.cost
    held = np.zeros((n, int(category.max(initial=0)) + 1), np.int64)
    lots = mix((users ^ np.uint64(how.seed))[:, None] + np.arange(width, dtype=np.uint64)[None])
    for slot in range(min(count, width - 1)):
        eye = eyes[min(slot, len(eyes) - 1)]
        odds = now[:, category]
        after = np.maximum(odds + eye * added, 0.0)
        score = after / (1 + after) - odds / (1 + odds)
        if effects is None or how.by == "relevance":
            assert relevance is not None
            score = relevance
        elif how.by == "value":
            assert price is not None
            score = how.margin * price * score - cost
        elif how.by == "mixture":
            assert relevance is not None
            score = how.weight * _unit(score, usable) + (1 - how.weight) * _unit(relevance, usable)
        menu = left if bounds is None else bounds.menu(slot, left, score)
        score = np.where(menu, score, -np.inf)
        best = score.argmax(axis=1)
        # A slot that costs more than it brings stays empty, but for what is tried by lot and what a floor asks for.
        worth = (score[places, best] > 0) if how.by == "value" else np.ones(n, bool)
        if bounds is not None:
            worth |= bounds.owed
        coin = mix(users ^ mix(np.array([how.seed, slot, 0xC01], np.uint64)).sum(dtype=np.uint64))
        by_lot = coin / _SPAN < how.explore
        remain = menu.sum(axis=1)
        chosen = np.where(by_lot, np.where(menu, lots, np.uint64(2**64 - 1)).argmin(axis=1), best)
        there = (remain > 0) & (by_lot | worth)
        top = how.explore / np.maximum(remain, 1) + (1 - how.explore) * (worth & (chosen == best))
        out.items[:, slot] = np.where(there, chosen, 0)
        out.score[:, slot] = score[places, chosen]
        out.effect[:, slot], out.error[:, slot] = estimate[places, chosen], error[places, chosen]
        out.propensity[:, slot] = top
        out.by_lot[:, slot] = by_lot & there
        left[places[there], chosen[there]] = False
        if bounds is not None:
            bounds.take(there, chosen)
        own = category[chosen]
        if how.most_of_category is not None:
            held[places[there], own[there]] += 1
            full = held >= how.most_of_category
            full[:, 0] = False  # of no category
            left &= ~full[:, category]
        more = np.where(there, eye * added[places, chosen], 0.0)
        now[places, own] = np.maximum(now[places, own] + more, 0.0)
    return out


def _unit(values: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Values of a user in standard deviations over the items that he may get."""
    count = np.maximum(usable.sum(axis=1, keepdims=True), 1)
    kept = np.where(usable, values, 0.0)
    mean = kept.sum(axis=1, keepdims=True) / count
    spread = np.sqrt(np.where(usable, (values - mean) ** 2, 0.0).sum(axis=1, keepdims=True) / count)
    return np.asarray((values - mean) / np.maximum(spread, 1e-12))
