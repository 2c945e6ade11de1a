"""What a whole list adds: items of one category share its buyers, so a second one adds less.

In context x a visit ends with a purchase in category c with odds ``o(x, c)`` without its items on the list.
An item that adds ``theta`` to the chance when it is shown first adds ``phi`` to the odds; a list adds

    sum_c [ P(o_c + sum of e_k phi of its items in c) - P(o_c) ],   P(o) = o / (1 + o).

It is the shape of a logit with an outside option; its parts come from logs alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.arrays.compiled import compiled
from truelift.loop.evidence import Evidence
from truelift.loop.learning import Effects, by_context
from truelift.simulate.shop_world.shop import Shop

_LEAST = 1e-3


@dataclass(frozen=True, eq=False)
class ListModel:
    """Odds without the list, and what items add to them.

    Parameters
    ----------
    odds : ndarray, X x categories
    added : ndarray, X x I
        phi.
    category : ndarray of int32, I
    eyes : ndarray, L
    """

    odds: np.ndarray
    added: np.ndarray
    category: np.ndarray
    eyes: np.ndarray

    def worth(self, context: np.ndarray, items: np.ndarray) -> np.ndarray:
        """What lists add, by category (v x categories)."""
        found = np.zeros((len(items), self.odds.shape[1]))
        _worth(self.odds, self.added, self.category, self.eyes, context, items, found)
        return found

    def best(
        self, there: np.ndarray, length: int, value: np.ndarray, cost: np.ndarray
    ) -> np.ndarray:
        """The list of each context, slot by slot what adds most (X x length).

        Parameters
        ----------
        there : ndarray of bool, I
        length : int
        value : ndarray, I
            Of a purchase that an item brings.
        cost : ndarray, I
            Of a slot with it.
        """
        chosen = np.empty((len(self.odds), length), np.int64)
        _best(self.odds, self.added, self.category, self.eyes, there, value, cost, chosen)
        return chosen


def list_model(shop: Shop, evidence: Evidence, effects: Effects, eyes: np.ndarray) -> ListModel:
    """The model that effects and rates of purchases make."""
    theta, category = by_context(shop, effects.estimate), shop.goods.category
    visits = np.maximum(evidence.visits, 1.0)[:, None]
    brought = np.zeros(evidence.purchases.shape)
    np.add.at(brought.T, category, (evidence.shown * theta).T)
    return model_of((evidence.purchases - brought) / visits, theta, category, eyes)


def model_of(
    without: np.ndarray, theta: np.ndarray, category: np.ndarray, eyes: np.ndarray
) -> ListModel:
    """The model of chances of purchases without a list (X x categories) and effects (X x I)."""
    without = np.clip(without, _LEAST, 1 - _LEAST)
    odds = without / (1 - without)
    # An item that is looked at adds theta to the chance.
    chance = np.clip(without[:, category] + theta, _LEAST / 2, 1 - _LEAST)
    return ListModel(odds, chance / (1 - chance) - odds[:, category], category, eyes)


@compiled
def _worth(odds, added, category, eyes, context, items, found):  # type: ignore[no-untyped-def]
    for v in range(len(items)):
        x = context[v]
        for k in range(items.shape[1]):
            i = items[v, k]
            if i >= 0:
                found[v, category[i]] += eyes[k] * added[x, i]
        for c in range(found.shape[1]):
            if found[v, c] != 0.0:
                odd = max(odds[x, c] + found[v, c], 0.0)
                found[v, c] = odd / (1.0 + odd) - odds[x, c] / (1.0 + odds[x, c])


@compiled
def _best(odds, added, category, eyes, there, value, cost, chosen):  # type: ignore[no-untyped-def]
    contexts, items = added.shape
    for x in range(contexts):
        now = odds[x].copy()
        left = there.copy()
        for k in range(chosen.shape[1]):
            best, which = -np.inf, -1
            for i in range(items):
                if not left[i]:
                    continue
                c = category[i]
                odd = max(now[c] + eyes[k] * added[x, i], 0.0)
                gain = value[i] * (odd / (1.0 + odd) - now[c] / (1.0 + now[c])) - cost[i]
                if gain > best:
                    best, which = gain, i
            chosen[x, k] = which
            left[which] = False
            c = category[which]
            now[c] = max(now[c] + eyes[k] * added[x, which], 0.0)
