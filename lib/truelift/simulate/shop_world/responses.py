"""What people do with a list: look, click, buy (or not, or without it), answer; and what they become.

Each category is a market of its own with an outside option of utility 0. Considered are the items that
a user knows and those of the list that he looked at; with ``V = quality + need + intent - thrift log
price + hidden + persuasion if seen - annoyance of the category`` the choice is a nested logit (McFadden
1978) with dissimilarity ``d = 1 - substitution``:

    P(nest m) = I_m^d / (1 + sum I^d),   I_m = sum over its items of exp(V / d).

A nest is chosen by Gumbel's maximum over ``d log I_m`` and the outside option, then an item in it over
``V / d``.

Where sales use stock up, visitors of a branch are served in the order of the clock: what was the last one is
neither considered nor bought by who comes later, known or on his list. So a list costs what it sells others.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from truelift.simulate.shop_world.catalogue import Catalogue
from truelift.simulate.shop_world.noise import (
    ANSWER,
    ATTEND,
    CLICK,
    DELAY,
    DRIFT,
    FORGET,
    ITEM,
    LEAVE,
    NEST,
    OUTSIDE,
    PRICE,
    STOCK,
    compiled,
    gumbel,
    normal,
    other_moment,
    stream,
    uniform,
)
from truelift.simulate.shop_world.parameters import ShopWorld
from truelift.simulate.shop_world.people import LONG_AGO, People
from truelift.simulate.shop_world.visits import Visits

_MOST_WAITING = 20


@dataclass(frozen=True, eq=False)
class Responses:
    """What came of the lists of a round.

    Parameters
    ----------
    seen, clicked : ndarray of bool, v x L
        Nobody records what was seen.
    bought : ndarray of int32, v x categories
        The item, or -1.
    chance, chance_without : ndarray, v x categories
        Chance of a purchase given what was seen, and without a list: truth that no log has.
    satisfied : ndarray of int8, v
        The answer: 1, 0, or -1 for none.
    waits : ndarray of int8, v
        Rounds until the answer is there.
    mood : ndarray of float32, v
        What the answer is about.
    """

    seen: np.ndarray
    clicked: np.ndarray
    bought: np.ndarray
    chance: np.ndarray
    chance_without: np.ndarray
    satisfied: np.ndarray
    waits: np.ndarray
    mood: np.ndarray

    def part(self, rows: np.ndarray) -> Responses:
        """Those of some visits."""
        return Responses(*(getattr(self, f.name)[rows] for f in fields(self)))


@dataclass(frozen=True, eq=False)
class Market:
    """What items cost in a round and whether they are there: the same for all."""

    log_price: np.ndarray
    in_stock: np.ndarray

    @property
    def price(self) -> np.ndarray:
        return np.exp(self.log_price)


def market_of(world: ShopWorld, goods: Catalogue, seed: int, moment: int) -> Market:
    """Prices, some reduced, and what is in stock: never less than a list."""
    log_price, stock = np.log(goods.price), goods.available(moment)
    _market(seed, moment, world.promotion, world.discount, world.stockout, log_price, stock)
    if stock.sum() < world.list_length:
        stock = goods.available(moment)
    return Market(log_price, stock)


@compiled
def _market(seed, moment, promotion, discount, stockout, log_price, stock):  # type: ignore[no-untyped-def]
    prices, stocks = stream(seed, moment, PRICE), stream(seed, moment, STOCK)
    for i in range(len(stock)):
        if uniform(prices, 0, i) < promotion:
            log_price[i] += np.log(max(1.0 - discount, 0.01))
        stock[i] &= uniform(stocks, 0, i) >= stockout


def respond(
    world: ShopWorld, goods: Catalogue, market: Market, people: People, visits: Visits,
    items: np.ndarray, seed: int, moment: int, draw: int = 0,
) -> Responses:  # fmt: skip
    """What visitors do with their lists, whoever made them; people and shelves stay as they are.

    Parameters
    ----------
    items : ndarray of int32, v x L
        -1 for an empty slot.
    draw : int
        0 for what happens; others for what else could have happened to the same people.
    """
    v, c, length = len(visits), world.categories, items.shape[1]
    answers = np.full(v, -1, np.int8), np.zeros(v, np.int8)
    order = np.argsort(visits.clock, kind="stable") if world.stock else np.arange(v)
    found = Responses(
        np.zeros((v, length), np.bool_), np.zeros((v, length), np.bool_),
        np.full((v, c), -1, np.int32), np.zeros((v, c)), np.zeros((v, c)), *answers,
        np.zeros(v, np.float32),
    )  # fmt: skip
    _respond(
        seed, other_moment(moment, draw), visits.row, people.user, visits.context, items,
        order, visits.errand, people.branch, people.shelf.copy(), people.trust, people.hidden, people.thrift, people.need, people.known, people.fatigue,
        goods.category, goods.nest, goods.quality, goods.appeal, goods.persuasion, goods.annoyance,
        goods.push, market.log_price, market.in_stock, int(goods.nest.max()) + 1, _dials(world),
        found.seen, found.clicked, found.bought, found.chance, found.chance_without, found.satisfied,
        found.waits, found.mood,
    )  # fmt: skip
    return found


def _dials(world: ShopWorld) -> np.ndarray:
    return np.array(
        [
            world.position, world.patience, world.tiring, 1.0 - world.substitution, world.intent,
            world.hidden, world.answer, world.delay, world.click,
        ]
    )  # fmt: skip


@compiled
def utility(quality, need, thrift, log_price, hidden, push, intent):  # type: ignore[no-untyped-def]
    """Of an item, unseen."""
    # Log prices are about 2 in the middle.
    return quality + need + intent - thrift * (log_price - 2.0) + hidden * push


@compiled
def attention(slot, trust, fatigue, position, tiring):  # type: ignore[no-untyped-def]
    """Chance that a slot (from 0) is looked at, before clicks."""
    return trust * (1.0 + slot) ** -position * tiring**fatigue


@compiled
def _respond(  # type: ignore[no-untyped-def]
    seed, moment, row, user, context, items, order, errand, branch, shelf, trust, hidden, thrift, need, known, fatigue,
    category, nest, quality, appeal, persuasion, annoyance, push, log_price, in_stock, nests, dials,
    seen, clicked, bought, chance, chance_without, satisfied, waits, mood,
):  # fmt: skip
    position, patience, tiring, d, intent, sway, answer, delay, ready = dials
    limited = len(shelf) > 0
    attends, clicks = stream(seed, moment, ATTEND), stream(seed, moment, CLICK)
    of_nests, outside = stream(seed, moment, NEST), stream(seed, moment, OUTSIDE)
    of_items, answers = stream(seed, moment, ITEM), stream(seed, moment, ANSWER)
    delays = stream(seed, moment, DELAY)
    slots, knows, categories = items.shape[1], known.shape[1], need.shape[1]
    most = slots + knows
    choice, value, plain = np.empty(most, np.int64), np.empty(most), np.empty(most)
    inside, without = np.zeros(nests), np.zeros(nests)
    touched = np.empty(most, np.int64)
    spoilt = np.zeros(categories)
    best, best_nest = np.empty(categories), np.empty(categories, np.int64)
    for at in range(len(row)):
        v = order[at]
        p = row[v]
        u = user[p]
        opened = context[v] // 2
        count = 0
        for j in range(knows):
            i = known[p, j]
            again = not in_stock[i] or (limited and shelf[branch[p], i] <= 0)
            for m in range(count):
                again |= choice[m] == i
            if not again:
                choice[count] = i
                count += 1
        unlisted = count
        annoyed, shown = 0.0, False
        open_eyes = 1.0
        for c in range(categories):
            spoilt[c] = 0.0
        for k in range(slots):
            i = items[v, k]
            if i < 0:
                continue
            shown = True
            look = attention(k, trust[p], fatigue[p], position, tiring) * open_eyes
            if uniform(attends, u, i) >= look:
                continue
            seen[v, k] = True
            c = category[i]
            place = -1
            for m in range(count):
                if choice[m] == i:
                    place = m
            wish = ready + 0.6 * need[p, c] + 0.8 * (c == opened) + 0.6 * (place >= 0) + appeal[i]
            if uniform(clicks, u, i) < 1.0 / (1.0 + np.exp(-wish)):
                clicked[v, k] = True
                open_eyes *= patience
            if place < 0 and in_stock[i] and not (limited and shelf[branch[p], i] <= 0):
                choice[count] = i
                count += 1
            spoilt[c] += annoyance[i]
            annoyed += annoyance[i]
        touches = 0
        for m in range(count):
            i = choice[m]
            c = category[i]
            plain[m] = utility(
                quality[i], need[p, c], thrift[p], log_price[i], sway * hidden[p], push[c],
                intent * (c == opened) + errand[v],
            )  # fmt: skip
            value[m] = plain[m] - spoilt[c]
        for k in range(slots):
            if seen[v, k]:
                for m in range(count):
                    if choice[m] == items[v, k]:
                        value[m] += persuasion[items[v, k]]
        for m in range(count):
            g = nest[choice[m]]
            if inside[g] == 0.0:
                touched[touches] = m
                touches += 1
            inside[g] += np.exp(value[m] / d)
            if m < unlisted:
                without[g] += np.exp(plain[m] / d)
        for c in range(categories):
            chance[v, c] = 0.0
            chance_without[v, c] = 0.0
            best[c] = -np.inf
        for t in range(touches):
            i = choice[touched[t]]
            g, c = nest[i], category[i]
            scale = d * np.log(inside[g])
            chance[v, c] += np.exp(scale)
            if without[g] > 0.0:
                chance_without[v, c] += without[g] ** d
            score = scale + gumbel(of_nests, u, g)
            if score > best[c]:
                best[c], best_nest[c] = score, g
            inside[g], without[g] = 0.0, 0.0
        purchases = 0
        for c in range(categories):
            if chance[v, c] == 0.0:
                continue
            chance[v, c] /= 1.0 + chance[v, c]
            chance_without[v, c] /= 1.0 + chance_without[v, c]
            if best[c] <= gumbel(outside, u, c):
                continue
            top = -np.inf
            for m in range(count):
                if nest[choice[m]] == best_nest[c]:
                    score = value[m] / d + gumbel(of_items, u, choice[m])
                    if score > top:
                        top = score
                        bought[v, c] = choice[m]
            purchases += 1
            if limited:
                shelf[branch[p], bought[v, c]] -= 1
        felt = -0.2 + 0.5 * min(purchases, 3) - 0.8 * annoyed - 0.02 * fatigue[p] * shown
        mood[v] = felt
        happy = felt + 0.7 * normal(answers, u, 0) > 0.0
        if uniform(answers, u, 2) < (answer if happy else 0.5 * answer):
            satisfied[v] = happy
            while waits[v] < _MOST_WAITING and uniform(delays, u, waits[v]) < delay:
                waits[v] += 1


def go_on(
    world: ShopWorld, people: People, visits: Visits, items: np.ndarray, responses: Responses,
    seed: int, moment: int,
) -> None:  # fmt: skip
    """People as they are when the round is over, in place.

    Needs go back towards tastes and seasons and drift on; purchases satiate, feed tastes and make
    items known; lists tire; mood follows the visit; some leave for good. Shelves hold what was not
    sold, or are filled again.
    """
    shown = (items >= 0).any(axis=1)
    _go_on(
        seed, moment, visits.row, shown, responses.bought, responses.mood,
        people.user, people.enters, people.taste, people.need, people.known, people.since,
        people.fatigue, people.mood, people.gone,
        np.array(
            [
                world.carry, world.drift, world.season, float(world.season_rounds), world.satiation,
                world.feed, world.leave,
            ]
        ),
    )  # fmt: skip
    if world.stock and len(people.branch):
        visit, category = np.nonzero(responses.bought >= 0)
        sold = people.branch[visits.row[visit]], responses.bought[visit, category]
        np.subtract.at(people.shelf, sold, 1)
        if (moment + 1) % world.restock == 0:
            people.shelf[people.branch.min() : people.branch.max() + 1] = world.stock


@compiled
def _go_on(  # type: ignore[no-untyped-def]
    seed, moment, row, shown, bought, felt, user, enters, taste, need, known, since, fatigue, mood, gone,
    dials,
):  # fmt: skip
    carry, drift, season, period, satiation, feed, leave = dials
    drifts, forgets = stream(seed, moment, DRIFT), stream(seed, moment, FORGET)
    leaves = stream(seed, moment, LEAVE)
    categories = need.shape[1]
    seasons = np.empty(categories)
    for c in range(categories):
        seasons[c] = season * np.sin(2 * np.pi * ((moment + 1) / period + c / categories))
    for i in range(len(user)):
        if gone[i] or enters[i] > moment:
            continue
        for c in range(categories):
            calm = taste[i, c] + seasons[c]
            need[i, c] = calm + carry * (need[i, c] - calm)
            if drift > 0.0:
                need[i, c] += drift * normal(drifts, user[i], c)
            if since[i, c] < LONG_AGO:
                since[i, c] += 1
        fatigue[i] *= 0.8
        mood[i] *= 0.9
        gone[i] = uniform(leaves, user[i], 0) < leave * np.exp(-mood[i])
    for v in range(len(row)):
        p = row[v]
        fatigue[p] += shown[v]
        mood[p] += 0.3 * felt[v]
        for c in range(categories):
            item = bought[v, c]
            if item < 0:
                continue
            since[p, c] = 0
            need[p, c] -= satiation
            # Tastes are fed less the further they have grown.
            taste[p, c] += feed * max(0.0, 1.0 - taste[p, c] / 3.0)
            new = True
            for j in range(known.shape[1]):
                new &= known[p, j] != item
            if new:
                slot = int(uniform(forgets, user[p], c) * known.shape[1])
                known[p, slot] = item
