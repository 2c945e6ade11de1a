"""What a round's logs say, as sums by context and item: they add up over blocks and rounds.

In the market of a category the purchase Y of a visit is regressed on which of its items were on the
list, an item in slot k counting ``e_k`` (how much slot k is looked at, with the first as 1). Lists that
follow what nobody records are weighted by ``w = q(list | context) / p(list)``, q what the policy does
without it: then either the chances or the regression may be wrong (Robins, Sued, Lei-Gomez & Rotnitzky
2007, "weighted regression").
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from truelift.arrays.compiled import compiled
from truelift.simulate.shop_world.lists import ListPolicy, chances_of
from truelift.simulate.shop_world.shop import Played, Shop


@dataclass(frozen=True, eq=False)
class Evidence:
    """Sums by context (X), item (I), item of the same category (W).

    Parameters
    ----------
    visits, squares : ndarray, X
        Sums of weights, and of their squares.
    purchases : ndarray, X x categories
        Weighted visits with a purchase in the category.
    shown : ndarray, X x I
        Weighted sums of ``e_k``.
    gram : ndarray, X x I x W
        Of products of ``e_k`` with those of items of the same category on the same list.
    bought_with : ndarray, X x I
        Of ``e_k`` times the category's purchase.
    looks, clicks, attributed : ndarray, X x I
        Sums of ``e_k``, of clicks, and of clicks followed by a purchase of the item, unweighted.
    bought : ndarray, X x I
        Purchases of the item, with or without a list.
    asked : ndarray, X
        Visits, unweighted.
    """

    visits: np.ndarray
    squares: np.ndarray
    purchases: np.ndarray
    shown: np.ndarray
    gram: np.ndarray
    bought_with: np.ndarray
    looks: np.ndarray
    clicks: np.ndarray
    attributed: np.ndarray
    bought: np.ndarray
    asked: np.ndarray

    def plus(self, other: Evidence, memory: float = 1.0) -> Evidence:
        """This evidence, as much as is remembered of it, and another."""
        return Evidence(
            *(memory * getattr(self, f.name) + getattr(other, f.name) for f in fields(self))
        )


def no_evidence(shop: Shop) -> Evidence:
    """Nothing yet."""
    x, n, c = shop.contexts, shop.world.items, shop.world.categories
    widest = int(np.bincount(shop.goods.category).max())
    shapes = ((x,), (x,), (x, c), (x, n), (x, n, widest), *[(x, n)] * 5, (x,))
    return Evidence(*[np.zeros(shape) for shape in shapes])


def evidence_of(
    shop: Shop, played: Played, policy: ListPolicy | None, eyes: np.ndarray, propensities: bool
) -> Evidence:
    """Sums of a round of a block of users.

    Parameters
    ----------
    eyes : ndarray, L
        ``e_k``.
    propensities : bool
        Whether chances were logged.
    """
    found, goods, visits, came = no_evidence(shop), shop.goods, played.visits, played.responses
    weight = np.ones(len(visits))
    if policy is not None and policy.tilt and propensities:
        public = ListPolicy(policy.name, policy.weights, policy.explore)
        stated = chances_of(public, played.items, visits.context, shop.sold(played.moment))
        weight = stated.prod(axis=1) / played.chances.prod(axis=1)
    within = np.arange(shop.world.items) - np.searchsorted(goods.category, goods.category)
    _add(
        visits.context, played.items, came.clicked, came.bought, weight, eyes, goods.category, within,
        *(getattr(found, f.name) for f in fields(found)),
    )  # fmt: skip
    return found


def eyes_on_slots(played: list[Played], length: int) -> np.ndarray:
    """How often slots are clicked under lists drawn uniformly, against the first slot (L).

    By the chances that were logged: ``sum of clicks / p`` over ``sum of 1 / p``, slot by slot.
    """
    top, bottom = np.zeros(length), np.zeros(length)
    for one in played:
        inverse = np.where(one.items >= 0, 1.0 / one.chances, 0.0)
        top += (inverse * one.responses.clicked).sum(axis=0)
        bottom += inverse.sum(axis=0)
    rate = (top + 1e-9) / np.maximum(bottom, 1e-9)
    # A slot further down is not looked at more.
    return np.minimum.accumulate(np.clip(rate / rate[0], 0.02, 1.0))


@compiled
def _add(  # type: ignore[no-untyped-def]
    context, items, clicked, bought, weight, eyes, category, within,
    visits, squares, purchases, shown, gram, bought_with, looks, clicks, attributed, every, asked,
):  # fmt: skip
    slots = items.shape[1]
    for v in range(len(context)):
        x, w = context[v], weight[v]
        visits[x] += w
        squares[x] += w * w
        asked[x] += 1.0
        for c in range(bought.shape[1]):
            if bought[v, c] >= 0:
                purchases[x, c] += w
                every[x, bought[v, c]] += 1.0
        for k in range(slots):
            i = items[v, k]
            if i < 0:
                continue
            c = category[i]
            shown[x, i] += w * eyes[k]
            looks[x, i] += eyes[k]
            if clicked[v, k]:
                clicks[x, i] += 1.0
                if bought[v, c] == i:
                    attributed[x, i] += 1.0
            if bought[v, c] >= 0:
                bought_with[x, i] += w * eyes[k]
            for m in range(slots):
                j = items[v, m]
                if j >= 0 and category[j] == c:
                    gram[x, i, within[j]] += w * eyes[k] * eyes[m]
