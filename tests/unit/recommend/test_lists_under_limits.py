"""Lists keep to budget, stock, rules and floors, whoever else asks, and say with which chance what was drawn."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from tests.unit.recommend.test_ranking_by_effect import CATEGORY, effects
from truelift.arrays.keys import mix
from truelift.recommend.limits.bounds import Bounds
from truelift.recommend.limits.limits import MICRO, Cutoffs, Limits, Rules, budget_place
from truelift.recommend.limits.settled import kept, settled
from truelift.recommend.shown.ranking import Lists, RankBy, ranked_lists


def end_of_queue(queue: np.ndarray, amount: np.ndarray, available: int) -> int | None:
    """The place of the first who gets nothing; None where there is enough for all.

    Parameters
    ----------
    queue : ndarray of int64, n
        Places; all who share one get nothing where one of them does not.
    amount : ndarray of int64, n
        What each asks for.
    available : int
    """
    order = np.argsort(queue, kind="stable")
    beyond = np.flatnonzero(np.cumsum(amount[order]) > available)
    return int(queue[order[beyond[0]]]) if len(beyond) else None


@dataclass(frozen=True)
class Shop:
    """Relevance of items to users, and how lists are made, in so many parts."""

    relevance: np.ndarray
    how: RankBy
    limits: Limits
    count: int
    parts: int = 1

    def lists(self, cutoffs: Cutoffs, after: Cutoffs | None = None) -> list[Lists]:
        found = []
        for own in np.array_split(np.arange(len(self.relevance)), self.parts):
            users, score = mix(own.astype(np.uint64)), self.relevance[own]
            usable = np.isfinite(score)
            usable[:, 0] = False
            keys = np.array([f"u{u}" for u in own], dtype=object)
            bounds = Bounds(self.limits, cutoffs, keys, users, usable, self.count, self.how.seed)
            category = np.zeros(score.shape[1], int)
            made = ranked_lists(
                self.how, None, category, np.zeros((len(own), 1)), users, self.count, usable, score, bounds=bounds,
            )  # fmt: skip
            found.append(
                replace(made, items=np.where(bounds.kept(made.items, after), made.items, 0))
            )
        return found

    def settle(self, rounds: int = 16):
        return settled(self.limits, lambda *ends: ArraysAsked(self, self.lists(*ends)), rounds)

    def items(self, rounds: int = 16) -> np.ndarray:
        return np.concatenate([part.items for part in self.settle(rounds).lists.parts])


class ArraysAsked:
    """Lists in arrays, part by part."""

    def __init__(self, shop: Shop, parts: list[Lists]) -> None:
        self.shop, self.parts = shop, parts

    def taken(self):
        counts = Counter(i for part in self.parts for i in part.items[part.items > 0].tolist())
        return {i: (n, n * int(self.shop.limits.micro[i])) for i, n in counts.items()}

    def ends_of_stock(self, units):
        places = {i: [] for i in units}
        for part in self.parts:
            for user, slot in zip(*np.nonzero(part.items), strict=True):
                item = int(part.items[user, slot])
                if item in places:
                    places[item].append(
                        int(part.bounds.stock_places(np.array([user]), np.array([item]))[0])
                    )
        return {
            i: end_of_queue(np.array(p), np.ones(len(p), np.int64), units[i])
            for i, p in places.items()
        }

    def end_of_budget(self, units):
        queue = np.concatenate([p.bounds.budget_queue[p.items > 0] for p in self.parts])
        cost = np.concatenate([self.shop.limits.micro[p.items[p.items > 0]] for p in self.parts])
        return end_of_queue(queue, cost, units)

    def close(self) -> None:
        pass


def limits(items: int, **given) -> Limits:
    plain = {
        "cost": np.zeros(items + 1), "stock": np.full(items + 1, -1), "provider": np.zeros(items + 1, int),
    }  # fmt: skip
    return Limits(**{**plain, **given})


def relevance(users: int, items: int, seed: int = 1) -> np.ndarray:
    found = np.random.default_rng(seed).permuted(
        np.tile(np.arange(1.0, items + 2), (users, 1)), axis=1
    )
    return found / (items + 2)


PLAIN = RankBy("relevance", explore=0.0, seed=5)


def test_units_go_as_if_users_asked_one_by_one_and_those_whom_it_gains_most_were_first():
    """Deferred acceptance in plain Python, one place a user."""
    users, items = 60, 7
    own = limits(items, stock=np.array([-1, 3, 9, 0, 12, 5, 4, 8]))
    shop = Shop(relevance(users, items), PLAIN, own, 1)
    made = shop.settle(rounds=100)
    (part,) = made.lists.parts
    lots = part.bounds.stock_places(np.arange(users)[:, None], np.arange(items + 1)[None])
    wishes = [(np.argsort(-shop.relevance[u, 1:]) + 1).tolist() for u in range(users)]
    holds: dict[int, list[int]] = {i: [] for i in range(1, items + 1)}
    waiting = list(range(users))
    while waiting:
        user = waiting.pop()
        if not wishes[user]:
            continue
        item = wishes[user].pop(0)
        holds[item].append(user)
        if len(holds[item]) > own.stock[item]:
            last = max(holds[item], key=lambda u: lots[u, item])
            holds[item].remove(last)
            waiting.append(last)
    expected = np.zeros(users, int)
    for item, those in holds.items():
        expected[those] = item
    assert (expected == 0).sum() == users - 41
    assert made.after is None
    assert part.items[:, 0].tolist() == expected.tolist()


def test_units_go_where_they_gain_most():
    """Beside the best of all ways to share them out."""
    users, items = 300, 20
    units = np.r_[-1, np.random.default_rng(1).multinomial(200, np.ones(items) / items)]
    taste = np.random.default_rng(2).random((users, items + 1))
    shop = Shop(taste, PLAIN, limits(items, stock=units), 1)
    got = shop.items()
    seats = np.repeat(np.arange(1, items + 1), units[1:])
    rows, columns = linear_sum_assignment(-taste[:, seats])
    assert (got > 0).sum() == 200
    value = np.take_along_axis(taste, got, axis=1)[got > 0].sum()
    assert value > 0.97 * taste[rows, seats[columns]].sum()


def test_the_budget_goes_where_a_list_gains_most_for_its_cost():
    users, items = 40, 6
    cost = np.array([0.0, 1.0, 2.0, 0.5, 3.0, 0.0, 1.5])
    own = limits(items, cost=cost, budget=30.0)
    shop = Shop(np.random.default_rng(2).random((users, items + 1)), PLAIN, own, 3)
    found = shop.items()
    # In plain Python: places in the order of their gain for a cost, never above that of the place before.
    asked = np.argsort(-shop.relevance[:, 1:], axis=1)[:, :3] + 1
    places = []
    for user, wanted in enumerate(asked):
        falling = np.inf
        for slot, item in enumerate(wanted):
            if cost[item]:
                falling = min(falling, shop.relevance[user, item] / cost[item])
                places.append((-falling, user, slot, cost[item]))
    paid, spent = set(), 0.0
    for _, user, slot, price in sorted(places):
        if spent + price > 30.0:
            break
        paid.add((user, slot))
        spent += price
    assert set(zip(*(part.tolist() for part in np.nonzero(cost[found])), strict=True)) == paid
    assert all(found[user, slot] == asked[user, slot] for user, slot in paid)
    assert cost[found].sum() == spent <= 30.0


def test_floors_cost_as_little_relevance_as_they_can():
    """Every list against all lists that keep the floors."""
    users, items, count = 25, 7, 4
    provider = np.array([0, 1, 1, 2, 2, 0, 0, 0])
    own = limits(items, provider=provider, floors=np.array([0.25, 0.5]), names=("a", "b"))
    shop = Shop(relevance(users, items), PLAIN, own, count)
    for user, got in enumerate(shop.items()):
        best = max(
            (
                those for those in combinations(range(1, items + 1), count)
                if np.isin(those, [1, 2]).sum() >= 1 and np.isin(those, [3, 4]).sum() >= 2
            ),
            key=lambda those: shop.relevance[user, list(those)].sum(),
        )  # fmt: skip
        assert sorted(got.tolist()) == sorted(best)


def test_rules_deny_and_allow_by_group():
    denied, allowed = np.zeros((3, 5), bool), np.zeros((3, 5), bool)
    denied[0, 1], denied[1, 2] = True, True
    allowed[2, [3, 1]] = True
    rules = Rules({"u0": (1,), "u1": (2,)}, denied, allowed, np.array([False, False, True]))
    shop = Shop(relevance(3, 4), PLAIN, limits(4, rules=rules), 4)
    assert [sorted(set(row.tolist()) - {0}) for row in shop.items()] == [[3, 4], [3], [2, 3, 4]]


@st.composite
def shops(draw):
    users, items, count = draw(st.integers(1, 30)), draw(st.integers(2, 7)), draw(st.integers(1, 5))
    generator = np.random.default_rng(draw(st.integers(0, 10**6)))
    score = relevance(users, items, int(generator.integers(10**6)))
    score[generator.random(score.shape) < 0.1] = -np.inf
    share = draw(st.sampled_from([(0.2, 0.3), (0.5, 0.5), (0.34, 0.1)]))
    cost = np.r_[0.0, generator.choice([0.0, 0.1, 0.3, 1.0], items)]
    own = limits(
        items,
        cost=cost,
        stock=np.r_[-1, generator.integers(-1, users + 1, items)],
        budget=draw(st.none() | st.floats(0.1, float(users))),
        budget_per_user=draw(st.none() | st.sampled_from([0.1, 0.4, 1.1])),
        **draw(
            st.just({})
            | st.just({
                "provider": np.r_[0, generator.integers(0, 3, items)], "floors": np.array(share),
                "names": ("a", "b"),
            })
        ),
    )  # fmt: skip
    explore = draw(st.sampled_from([0.0, 0.3, 1.0]))
    return Shop(
        score, RankBy("relevance", explore=explore, seed=draw(st.integers(0, 99))), own, count
    )


@settings(max_examples=60, deadline=None)
@given(shops(), st.sampled_from([1, 3, 12]))
def test_no_limit_is_ever_broken_however_users_are_shared_out(shop, rounds):
    own, made = shop.limits, shop.settle(rounds)
    found = np.concatenate([part.items for part in made.lists.parts])
    times = np.bincount(found[found > 0], minlength=len(own.stock))
    assert (times[own.stock >= 0] <= own.stock[own.stock >= 0]).all()
    assert own.budget is None or own.micro[found].sum() <= own.units
    if own.budget_per_user is not None:
        assert (own.micro[found].sum(axis=1) <= round(own.budget_per_user * MICRO)).all()
    for number, floor in enumerate(own.floors, start=1):
        mine = ((found > 0) & (own.provider[found] == number)).sum(axis=1)
        assert (mine >= np.ceil(floor * (found > 0).sum(axis=1) - 1e-9)).all()
    for user, row in enumerate(found):
        there = row[row > 0]
        assert len(set(there.tolist())) == len(there)
        assert np.isfinite(shop.relevance[user, there]).all()
    chances = np.concatenate([part.propensity for part in made.lists.parts])[found > 0]
    assert ((chances > 0) & (chances <= 1)).all()
    assert (replace(shop, parts=min(7, len(found))).items(rounds) == found).all()


def test_chances_are_those_among_what_the_limits_leave():
    """Each item's inverse chances count the users to whom it was left."""
    users, items = 8_000, 5
    own = limits(items, stock=np.array([-1, 600, -1, 1_600, -1, 120]))
    score = np.tile(np.array([0.0, 0.5, 0.1, 0.4, 0.2, 0.3]), (users, 1))
    shop = Shop(score, RankBy("relevance", explore=0.4, seed=3), own, 1)
    made = shop.settle()
    (part,) = made.lists.parts
    places = part.bounds.stock_places(np.arange(users)[:, None], np.arange(items + 1)[None])
    left = places < made.cutoffs.stock
    left[:, 0] = False
    assert left.sum(axis=0)[[1, 3, 5]].max() < users
    for item in range(1, items + 1):
        got = part.items[:, 0] == item
        inverse = 1 / part.propensity[got, 0]
        spread = np.sqrt((inverse**2).sum())
        assert abs(inverse.sum() - left[:, item].sum()) < 4 * spread
    times = np.bincount(part.items[:, 0], minlength=items + 1)
    assert times[[1, 3, 5]].tolist() == [600, 1_600, 120]  # nothing lies about unused


def test_what_lists_use_of_each_limit_is_said():
    own = limits(
        3, cost=np.array([0, 0.5, 0.5, 1]), stock=np.array([-1, 2, 5, -1]), budget=9.0,
        provider=np.array([0, 1, 0, 0]), floors=np.array([0.2]), names=("a",),
    )  # fmt: skip
    found = kept(own, {1: (2, 1_000_000), 2: (1, 500_000), 3: (2, 2_000_000)}, ("x", "y", "z"))
    assert [(k.used, k.limit, k.kind) for k in found] == [
        (3.5, 9.0, "most"), (3.0, 7.0, "most"), (0.4, 0.2, "least"),
    ]  # fmt: skip
    assert found[1].name == "stock of 2 items; 1 used up (x)"


def test_lots_are_even_where_the_best_costs_too_much_and_then_leaves_with_its_category():
    """A slot that the budget does not reach has none behind it that lots may pay for, though a free one is best there."""
    users = mix(np.arange(4_000, dtype=np.uint64))
    score = np.tile([0.0, 0.9, 0.1, 0.5, 0.4, 0.3], (len(users), 1))
    usable = score > 0
    own = limits(5, cost=np.array([0.0, 1, 0, 0, 0, 1]), budget=1.0)
    ends = Cutoffs(Cutoffs.open(own).stock, budget_place(np.array([100.0]), users[:1], 0)[0])
    bounds = Bounds(own, ends, users.astype(str).astype(object), users, usable, 2, 5)
    how = replace(PLAIN, explore=1.0, most_of_category=1)
    made = ranked_lists(
        how, None, np.array([0, 1, 1, 2, 3, 4]), np.zeros((len(users), 5)), users, 2, usable, score, bounds=bounds,
    )  # fmt: skip
    then = made.items[:, 0] == 2
    for item in (3, 4):
        got = then & (made.items[:, 1] == item)
        assert set(made.propensity[got, 1]) == {0.5}
        assert abs(got.sum() - then.sum() / 2) < 2 * np.sqrt(then.sum())


def test_a_budget_is_spent_to_the_last_item_also_where_slots_are_drawn_and_shelves_run_out():
    cost = np.r_[np.zeros(41), np.full(20, 0.7)]
    units = np.r_[-1, np.arange(1, 31) % 5, np.full(30, -1)]
    own = limits(60, cost=cost, budget=20.0, stock=units)
    for seed in range(8):
        score = np.exp(3 * np.random.default_rng(seed).random((61, 61)))
        made = Shop(score, RankBy("relevance", explore=0.2, seed=seed), own, 4)
        assert (cost[made.items()] > 0).sum() == 28


def test_by_value_a_floor_s_item_stands_on_a_list_also_where_it_does_not_bring_what_it_costs():
    """Else everything else would go for its sake; a list on which nothing pays stays empty."""
    users, usable = (
        mix(np.arange(2, dtype=np.uint64)),
        np.array([[False, *[True] * 5], [*[False] * 4, True, True]]),
    )
    own = limits(
        5, cost=np.r_[0.0, np.full(5, 0.05)], provider=np.array([0, 0, 0, 0, 1, 1]),
        floors=np.array([0.25]), names=("new",),
    )  # fmt: skip
    keys = np.array(["a", "b"], dtype=object)
    bounds = Bounds(own, Cutoffs.open(own), keys, users, usable, 4, 5)
    made = ranked_lists(
        RankBy("value", explore=0.0, margin=1.0, cost=0.05), effects(0.5, 0.4, 0.01, 0.02, 0.01),
        CATEGORY, np.tile([0.0, 0.5, 0.5], (2, 1)), users, 4, usable, None, np.ones(6), bounds,
    )  # fmt: skip
    assert bounds.kept(made.items, None).any(axis=1).tolist() == [True, False]
    assert made.items.tolist() == [[1, 0, 0, 4], [0, 0, 0, 0]]
    assert made.score[0, 3] < 0
    assert (made.propensity[0, [0, 3]] == 1).all()
