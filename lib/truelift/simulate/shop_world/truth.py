"""What is true in a shop: the worth of any lists, of items in a list, of policies, with its own error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.arrays.compiled import compiled
from truelift.simulate.shop_world.lists import ListPolicy
from truelift.simulate.shop_world.people import People
from truelift.simulate.shop_world.responses import attention, utility
from truelift.simulate.shop_world.shop import Shop
from truelift.simulate.shop_world.visits import Visits


@dataclass(frozen=True)
class TrueValue:
    """Purchases a visit under a policy, by brute force.

    Parameters
    ----------
    value, additional : float
        With lists, and what lists add to no list at all, over the visits of a round. Where sales use stock
        up, no list means that nobody has one: what a list sells to one it may take from another.
    error, additional_error : float
        Monte Carlo standard errors (over draws of lists and attention; the visits are given).
    visits, draws : int
    """

    value: float
    additional: float
    error: float
    additional_error: float
    visits: int
    draws: int


def policy_value(
    shop: Shop, people: People, policy: ListPolicy, moment: int, draws: int = 8
) -> TrueValue:
    """The worth of a policy for those who visit in a round, all of whom get a list.

    Lists and attention are drawn anew ``draws`` times; purchases are exact given these.
    """
    visits = shop.visits(people, moment)
    found = np.empty((draws, 2))
    none = np.full((len(visits), shop.world.list_length), -1, np.int32)
    for draw in range(draws):
        # Draw 0 is the one that is played.
        lists, _ = shop.lists(policy, people, visits, moment, holdout=False, draw=draw + 1)
        came = shop.respond(people, visits, lists, moment, draw + 1)
        whole = came.chance.sum(axis=1)
        without = (
            came if shop.world.stock == 0 else shop.respond(people, visits, none, moment, draw + 1)
        )
        found[draw] = whole.mean(), (whole - without.chance_without.sum(axis=1)).mean()
    mean = found.mean(axis=0)
    error = found.std(axis=0, ddof=1) / np.sqrt(draws) if draws > 1 else np.full(2, np.nan)
    return TrueValue(
        float(mean[0]), float(mean[1]), float(error[0]), float(error[1]), len(visits), draws
    )


def item_effects(
    shop: Shop, people: People, visits: Visits, moment: int, slot: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """What showing an item alone adds to the purchases of a visit, exactly, by context.

    Returns
    -------
    effect : ndarray, contexts x items
        Mean over visits of the chance that the slot is looked at, times what the item then adds to
        the purchases of its category; where sales use stock up, by the shelves at the round's begin.
    visits : ndarray, contexts
    """
    world, goods, market = shop.world, shop.goods, shop.market(moment)
    total = np.zeros((shop.contexts, world.items))
    count = np.zeros(shop.contexts)
    _effects(
        visits.row, visits.context, slot, people.trust, people.hidden, people.thrift, people.need,
        people.known, people.fatigue, goods.category, goods.nest, goods.quality, goods.persuasion,
        goods.annoyance, goods.push, market.log_price, market.in_stock, visits.errand,
        people.branch, people.shelf, int(goods.nest.max()) + 1,
        np.array(
            [world.position, world.tiring, 1.0 - world.substitution, world.intent, world.hidden]
        ),
        total, count,
    )  # fmt: skip
    return total / np.maximum(count, 1.0)[:, None], count


@compiled
def _effects(  # type: ignore[no-untyped-def]
    row, context, slot, trust, hidden, thrift, need, known, fatigue, category, nest, quality,
    persuasion, annoyance, push, log_price, in_stock, errand, branch, shelf, nests, dials, total, count,
):  # fmt: skip
    position, tiring, d, intent, sway = dials
    limited = len(shelf) > 0
    categories, knows = need.shape[1], known.shape[1]
    inside = np.zeros(nests)
    odds = np.zeros(categories)
    own = np.empty(knows, np.int64)
    for v in range(len(row)):
        p, opened = row[v], context[v] // 2
        inside[:] = 0.0
        odds[:] = 0.0
        unlisted = 0
        for j in range(knows):
            i = known[p, j]
            again = not in_stock[i] or (limited and shelf[branch[p], i] <= 0)
            for m in range(unlisted):
                again |= own[m] == i
            if again:
                continue
            own[unlisted] = i
            unlisted += 1
            c = category[i]
            inside[nest[i]] += np.exp(
                utility(quality[i], need[p, c], thrift[p], log_price[i], sway * hidden[p], push[c],
                        intent * (c == opened) + errand[v]) / d
            )  # fmt: skip
        for m in range(unlisted):
            i = own[m]
            first = True
            for j in range(m):
                first &= nest[own[j]] != nest[i]
            if first:
                odds[category[i]] += inside[nest[i]] ** d
        look = attention(slot, trust[p], fatigue[p], position, tiring)
        count[context[v]] += 1.0
        for i in range(len(category)):
            c, g = category[i], nest[i]
            familiar = False
            for m in range(unlisted):
                familiar |= own[m] == i
            before = odds[c]
            spoil = np.exp(-annoyance[i]) if annoyance[i] > 0.0 else 1.0
            after = before
            if in_stock[i] and not (limited and shelf[branch[p], i] <= 0):
                v_item = np.exp(
                    utility(quality[i], need[p, c], thrift[p], log_price[i], sway * hidden[p], push[c],
                            intent * (c == opened) + errand[v]) / d
                )  # fmt: skip
                with_item = inside[g] + v_item * (
                    np.exp(persuasion[i] / d) - (1.0 if familiar else 0.0)
                )
                after = before - (inside[g] ** d if inside[g] > 0.0 else 0.0) + with_item**d
            after *= spoil  # all utilities of the category fall by as much: odds by its exponential
            total[context[v], i] += look * (after / (1.0 + after) - before / (1.0 + before))
