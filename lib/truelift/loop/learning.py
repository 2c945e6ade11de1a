"""From evidence to effects of being shown, and to rates of clicks, shrunken by empirical Bayes.

What is alike is taken together: an item in visits to its own category where nothing of it was bought
lately, where something was, and in all other visits (three strata). In a stratum the effects of a
category's items are normal around the category's mean (``inference/shrinkage.py``); G is the Gram matrix of
the lists, each context's own mean taken out, and weights inflate the variance ``s^2`` of a purchase by
``sum w^2 / sum w``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from truelift.inference.shrinkage import shrunken
from truelift.loop.evidence import Evidence
from truelift.simulate.shop_world.shop import Shop

OWN, LATELY, OTHER = range(3)
STRATA = 3


@dataclass(frozen=True, eq=False)
class Effects:
    """What showing an item first adds to the purchases of a visit, by stratum and item.

    Parameters
    ----------
    estimate, error : ndarray, 3 x I
        Mean and standard deviation given the data.
    spread : ndarray, 3
        tau.
    """

    estimate: np.ndarray
    error: np.ndarray
    spread: np.ndarray

    def interval(self, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends."""
        half = special.ndtri(0.5 + confidence / 2) * self.error
        return self.estimate - half, self.estimate + half


def strata_of(shop: Shop) -> np.ndarray:
    """The stratum of every item in every context (X x I)."""
    context = np.arange(shop.contexts)
    own = context[:, None] // 2 == shop.goods.category[None]
    return np.where(own, np.where(context[:, None] % 2 == 1, LATELY, OWN), OTHER)


def by_context(shop: Shop, table: np.ndarray) -> np.ndarray:
    """A table by stratum and item as one by context and item (X x I)."""
    return np.take_along_axis(table, strata_of(shop), axis=0)


def by_stratum(shop: Shop, sums: np.ndarray) -> np.ndarray:
    """Sums by context and item added up by stratum and item (3 x I)."""
    strata = strata_of(shop)
    return np.stack([np.where(strata == s, sums, 0.0).sum(axis=0) for s in range(STRATA)])


def effects_of(shop: Shop, evidence: Evidence) -> Effects:
    """The effect of every item's being shown, from weighted regressions in each category."""
    n = shop.world.items
    estimate, error, spread = np.zeros((STRATA, n)), np.zeros((STRATA, n)), np.zeros(STRATA)
    for stratum in range(STRATA):
        parts = [_market(shop, evidence, c, stratum) for c in range(shop.world.categories)]
        found = shrunken(parts)
        estimate[stratum] = np.concatenate(found.mean)
        error[stratum] = np.sqrt(np.concatenate(found.variance))
        spread[stratum] = np.sqrt(found.spread)
    return Effects(estimate, error, spread)


def _market(
    shop: Shop, evidence: Evidence, category: int, stratum: int
) -> tuple[np.ndarray, np.ndarray]:
    """``G / s^2`` and ``b / s^2`` of a category's items, with the means of contexts taken out."""
    contexts = {
        OWN: [2 * category],
        LATELY: [2 * category + 1],
        OTHER: [x for x in range(shop.contexts) if x // 2 != category],
    }[stratum]
    items = np.flatnonzero(shop.goods.category == category)
    count, own = len(items), 0.0
    gram, rhs, visits, squares = np.zeros((count, count)), np.zeros(count), 0.0, 0.0
    for x in contexts:
        n = evidence.visits[x]
        if n <= 0:
            continue
        shown, bought = evidence.shown[x, items], evidence.purchases[x, category]
        gram += evidence.gram[x, items, :count] - np.outer(shown, shown) / n
        rhs += evidence.bought_with[x, items] - shown * bought / n
        own += bought - bought**2 / n
        visits += n
        squares += evidence.squares[x]
    if visits <= 0 or own <= 0:
        return np.zeros((count, count)), np.zeros(count)
    variance = own / visits * max(squares / visits, 1.0)
    return gram / variance, rhs / variance


def shrunken_rates(
    shop: Shop, events: np.ndarray, trials: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rates by stratum and item, as Gamma shapes and rates: prior by the category's moments.

    Parameters
    ----------
    events, trials : ndarray, X x I

    Returns
    -------
    shape, rate : ndarray, 3 x I
        The rate's mean given the data is their quotient (Robbins 1956; Poisson-Gamma).
    """
    count, out_of = by_stratum(shop, events), by_stratum(shop, trials)
    shape, rate = np.empty_like(count), np.empty_like(count)
    for stratum in range(STRATA):
        for category in range(shop.world.categories):
            own = shop.goods.category == category
            y, t = count[stratum, own], out_of[stratum, own]
            total = t.sum()
            mean = (y.sum() + 0.5) / (total + 5.0)
            raw = np.where(t > 0, y / np.maximum(t, 1e-9), mean)
            excess = (t * (raw - mean) ** 2).sum() - (t > 0).sum() * mean
            slack = total - (t**2).sum() / max(total, 1e-9)
            between = max(excess / max(slack, 1e-9), 1e-3 * mean**2)
            shape[stratum, own] = mean**2 / between + y
            rate[stratum, own] = mean / between + t
    return shape, rate
