"""What the next lists would bring, from the last round's logs, before they are played.

A model says what a list adds (``worth.py``); for what the model misses, an item i in slot k of a list in
context x is taken to add ``e_k delta(x, i)`` to the purchases of its category, and a list the sum of its
items (the position-based model; Li, Abbasi-Yadkori, Kveton et al. 2018). Then an item's expected
attention ``z(x, i) = sum_k e_k p_k(i | x)`` is all that a policy means for that, ``w = z' / z`` is its
weight, and a new order of the same items costs little:

    V = mean of Y + E'[f] - f(list) + sum_k (w(a_k) - 1)(Y_c - m_xc - (f_c(list) - its mean)),

c the category of the item in slot k, f the model's worth, E' its mean under the next policy; less the mean
of the visits without a list. **What chose the next lists may not judge them**: users are in four folds; a
fold is judged with the model, and with the policy, that the other three make (as policies on units that
did not choose them). One visit a user and round; errors are clustered by user. What was hardly ever shown
has weights of hundreds and few visits that decide: Student's t has as many degrees of freedom as visits
really count, ``(sum psi^2)^2 / sum psi^4 - 1`` in either group, put together by Welch and Satterthwaite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from truelift.arrays.compiled import compiled
from truelift.inference.clusters import ClusterSums
from truelift.loop.worth import ListModel
from truelift.policy.off_policy.inference import ratios_of
from truelift.policy.off_policy.intervals import student_interval
from truelift.simulate.shop_world.lists import ListPolicy, draw_lists
from truelift.simulate.shop_world.shop import Played, Shop

State = dict[str, np.ndarray]
_DRAWS = 200


@dataclass(frozen=True)
class Forecast:
    """Additional purchases a visit, with the interval of its estimate."""

    estimate: float
    error: float
    lower: float
    upper: float


@dataclass(frozen=True, eq=False)
class Outlook:
    """What a policy means in every context.

    Parameters
    ----------
    attention : ndarray, X x I
        z: chances of slots times how much they are looked at.
    context, items : ndarray, d and d x L
        Some of its lists, 200 a context.
    """

    attention: np.ndarray
    context: np.ndarray
    items: np.ndarray

    def worth(self, model: ListModel) -> np.ndarray:
        """Mean of what its lists add by a model (X x categories)."""
        added = model.worth(self.context, self.items)
        return added.reshape(len(self.attention), _DRAWS, -1).mean(axis=1)


def outlook_of(shop: Shop, policy: ListPolicy, moment: int, eyes: np.ndarray) -> Outlook:
    """Means over drawn lists; a slot's chances given those before it are exact."""
    x, n, length = shop.contexts, shop.world.items, shop.world.list_length
    context = np.repeat(np.arange(x), _DRAWS).astype(np.int32)
    count = len(context)
    public = ListPolicy(policy.name, policy.weights, policy.explore)
    available = shop.sold(moment)
    items, _ = draw_lists(
        public, length, shop.seed ^ 0x0FF, moment, np.arange(count), context, available,
        np.zeros(count), np.zeros(n), np.zeros(count, np.bool_),
    )  # fmt: skip
    found = np.zeros((x, n))
    _attention(public.weights, public.explore, context, available, items, eyes, found)
    return Outlook(found / _DRAWS, context, items)


@compiled
def _attention(weights, explore, context, available, items, eyes, found):  # type: ignore[no-untyped-def]
    n = weights.shape[1]
    left = np.empty(n, np.bool_)
    for v in range(len(items)):
        row = weights[context[v]]
        count = 0
        for i in range(n):
            left[i] = available[i]
            count += available[i]
        for k in range(items.shape[1]):
            total = 0.0
            for i in range(n):
                if left[i]:
                    total += row[i]
            share = explore if total > 0.0 else 1.0
            for i in range(n):
                if left[i]:
                    ranked = (1.0 - share) * row[i] / total if total > 0.0 else 0.0
                    found[context[v], i] += eyes[k] * (share / count + ranked)
            left[items[v, k]] = False
            count -= 1


def rates_of(shop: Shop, played: Sequence[Played]) -> np.ndarray:
    """Purchases by category of a visit with a list, in every context (X x categories)."""
    top, bottom = np.zeros((shop.contexts, shop.world.categories)), np.zeros(shop.contexts)
    for one in played:
        listed = one.items[:, 0] >= 0
        context = one.visits.context[listed]
        np.add.at(top, context, one.responses.bought[listed] >= 0)
        bottom += np.bincount(context, minlength=shop.contexts)
    return top / np.maximum(bottom, 1.0)[:, None]


def forecast_state(
    shop: Shop,
    played: Played,
    model: ListModel,
    present: Outlook,
    planned: Outlook,
    rates: np.ndarray,
) -> State:
    """Sums by user and their products, which add up over disjoint sets of users.

    Parameters
    ----------
    shop : Shop
    played : Played
        Users who had no part in the model and in what is planned.
    model : ListModel
    present, planned : Outlook
        Of the policy that was played, and of the next one.
    rates : ndarray, X x categories
    """
    visits, context = played.visits, played.visits.context
    bought = (played.responses.bought >= 0).astype(float)
    purchases = bought.sum(axis=1)
    listed = played.items[:, 0] >= 0
    items = np.maximum(played.items, 0)
    place = (context[:, None], items)
    ratio = planned.attention[place] / np.maximum(present.attention[place], 1e-12)
    modelled = model.worth(context, played.items)
    usual, coming = present.worth(model), planned.worth(model)
    rest = bought - rates[context] - (modelled - usual[context])
    own = np.take_along_axis(rest, shop.goods.category[items], axis=1)
    moved = (coming - usual).sum(axis=1)[context]
    worth = purchases + moved + ((ratio - 1.0) * own).sum(axis=1)
    worth -= (modelled - usual[context]).sum(axis=1)
    lines = np.stack([listed * worth, listed, ~listed * purchases, ~listed]).astype(float)
    sums = ClusterSums(4)
    sums.add(visits.user.astype(np.uint64), lines)
    _, by_user = sums.finish()
    return {
        "total": by_user.sum(axis=1),
        "cross": by_user @ by_user.T,
        "powers": np.stack([_powers(*by_user[:2]), _powers(*by_user[2:])]),
        "clusters": np.array([float(by_user.shape[1])]),
    }


def forecast_of(state: State, confidence: float) -> Forecast | None:
    """The forecast; None where hardly a visit was without a list, or with one."""
    if min(state["total"][1], state["total"][3]) < 2:
        return None
    found, covariance = ratios_of([[(0, 1)], [(2, 3)]], state)
    variance = np.maximum(np.diag(covariance), 0.0)
    error = float(np.sqrt(max(variance.sum() - 2 * covariance[0, 1], 0.0)))
    estimate = float(found[0] - found[1])
    # (N - theta D)^4 of a ratio's clusters, from the sums of their products.
    signs = np.array([[1.0, -4 * t, 6 * t**2, -4 * t**3, t**4] for t in found])
    fourth = (signs * state["powers"]).sum(axis=1) / state["total"][[1, 3]] ** 4
    effective = np.maximum(variance**2 / np.maximum(fourth, 1e-300) - 1.0, 1.0)
    degrees = variance.sum() ** 2 / max(float((variance**2 / effective).sum()), 1e-300)
    low, high = student_interval(
        np.array([estimate]), np.array([error]), np.array([max(degrees, 1.0)]), confidence
    )
    return Forecast(estimate, error, float(low[0]), float(high[0]))


def _powers(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Sums of ``N^4, N^3 D, N^2 D^2, N D^3, D^4``."""
    return np.array([(top ** (4 - k) * bottom**k).sum() for k in range(5)])
