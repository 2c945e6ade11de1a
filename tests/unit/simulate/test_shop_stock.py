"""Stock that sales use up: who comes first is served, what is sold out sells nothing, and truth knows it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from truelift.errors import ConfigError
from truelift.loop.options import LoopOptions
from truelift.loop.rounds import run_strategy
from truelift.simulate.shop_world.lists import ListPolicy, by_scores, random_lists
from truelift.simulate.shop_world.parameters import ShopWorld
from truelift.simulate.shop_world.shop import Played, Shop
from truelift.simulate.shop_world.truth import item_effects, policy_value

SCARCE = ShopWorld(
    users=2_000, items=24, categories=3, list_length=3, stock=2, branch=10, restock=2,
    quality=-1.0, stockout=0.0,
)  # fmt: skip


def popular(shop: Shop) -> ListPolicy:
    """One order for all: everybody is shown the same few items."""
    scores = np.tile(np.arange(shop.world.items, dtype=float), (shop.contexts, 1))
    return by_scores("popular", scores, 0.1, 1.0)


def rounds(shop: Shop, partitions: int, count: int = 3) -> list[list[Played]]:
    policy = popular(shop)
    found = []
    for users in np.array_split(np.arange(shop.world.users), partitions):
        people = shop.people(users)
        found.append([shop.play(people, policy, moment) for moment in range(count)])
    return [list(parts) for parts in zip(*found, strict=True)]


def logged(found: list[list[Played]]) -> bytes:
    return b"".join(
        np.concatenate([getattr(p.responses, name) for p in parts]).tobytes()
        for parts in found
        for name in ("bought", "clicked", "seen", "chance", "chance_without", "satisfied")
    )


def test_one_eight_and_two_hundred_partitions_of_branches_give_the_same_bytes():
    shop = Shop(SCARCE, 5)
    one = logged(rounds(shop, 1))
    assert one == logged(rounds(shop, 8)) == logged(rounds(shop, 200))
    assert one != logged(rounds(Shop(replace(SCARCE, stock=0), 5), 1))


def test_blocks_of_a_loop_do_not_part_a_branch(monkeypatch):
    shop, options = Shop(SCARCE, 5), LoopOptions(rounds=2)
    whole = run_strategy(shop, "popularity", options)
    monkeypatch.setattr("truelift.loop.rounds.BLOCK", 301)
    parts = run_strategy(shop, "popularity", options, threads=2)
    for row, same in zip(parts, whole, strict=True):
        assert row["purchases"] == same["purchases"]
        assert row["additional"] == pytest.approx(same["additional"], abs=1e-12)
    assert [len(p.user) for p in shop.blocks(301)] == [310] * 6 + [140]


def test_a_shelf_sells_what_it_holds_to_who_comes_first_until_it_is_filled_again():
    shop = Shop(SCARCE, 5)
    sold_out = 0
    left = {}
    for moment, (played,) in enumerate(rounds(shop, 1, 4)):
        if moment % SCARCE.restock == 0:
            left = {}
        visits, bought = played.visits, played.responses.bought
        for v in np.argsort(visits.clock):
            branch = visits.user[v] // SCARCE.branch
            for item in bought[v][bought[v] >= 0]:
                left[branch, item] = left.get((branch, item), SCARCE.stock) - 1
                assert left[branch, item] >= 0
                sold_out += left[branch, item] == 0
    assert sold_out > 500


def test_a_list_of_what_is_sold_out_brings_nothing_and_keeps_its_other_items():
    shop = Shop(ShopWorld(users=300, items=24, categories=3, list_length=3, stock=500,
                          annoying_share=0.0, stockout=0.0), 3)  # fmt: skip
    people = shop.people(np.arange(300))
    people.shelf[:, [2, 9]] = 0
    visits = shop.visits(people, 0)
    gone = np.tile(np.array([2, 9, -1], np.int32), (len(visits), 1))
    came = shop.respond(people, visits, gone, 0)
    assert came.seen.any()
    assert came.chance == pytest.approx(came.chance_without, abs=1e-12)
    assert not np.isin(came.bought, [2, 9]).any()
    gone[:, 2] = 17
    assert shop.respond(people, visits, gone, 0).chance.sum() > came.chance.sum() + 1.0


def test_true_effects_of_what_is_sold_out_are_nothing_and_of_the_rest_as_when_shown():
    shop = Shop(ShopWorld(users=40, items=12, categories=3, list_length=3, stock=500,
                          annoying_share=0.0, stockout=0.0), 7)  # fmt: skip
    people = shop.people(np.arange(40))
    people.shelf[:, [1, 5]] = 0
    visits = shop.visits(people, 0)
    effect, count = item_effects(shop, people, visits, 0)
    truth = count @ effect
    assert truth[[1, 5]] == pytest.approx(0.0, abs=1e-12)
    draws, found = 300, np.zeros((12, 2))
    for item in range(12):
        listed = np.full((len(visits), 3), -1, np.int32)
        listed[:, 0] = item
        came = [shop.respond(people, visits, listed, 0, d + 1) for d in range(draws)]
        added = [(c.chance - c.chance_without).sum() for c in came]
        found[item] = np.mean(added), np.std(added) / np.sqrt(draws)
    assert np.all(np.abs(found[:, 0] - truth) < 4 * found[:, 1] + 1e-9)


def test_a_policy_is_worth_less_than_its_visits_apart_where_it_sells_one_what_another_would_have():
    """What a list adds to its reader's purchases is not what lists add to all purchases."""
    shop = Shop(replace(SCARCE, stock=1, branch=40), 9)
    people = shop.people(np.arange(SCARCE.users))
    policy = random_lists(shop.contexts, SCARCE.items)
    found = policy_value(shop, people, policy, 0, draws=4)
    visits = shop.visits(people, 0)
    apart, brute = [], []
    for draw in range(1, 5):
        lists, _ = shop.lists(policy, people, visits, 0, holdout=False, draw=draw)
        nobody = np.full(lists.shape, -1, np.int32)
        came, without = (shop.respond(people, visits, x, 0, draw) for x in (lists, nobody))
        apart.append((came.chance - came.chance_without).sum(axis=1).mean())
        brute.append(((came.bought >= 0).sum() - (without.bought >= 0).sum()) / len(visits))
    assert found.additional == pytest.approx(np.mean(brute), abs=0.03)
    assert found.additional < np.mean(apart) - 0.03
    # Nobody's shelf was touched by asking.
    assert (people.shelf == 1).all()


@pytest.mark.parametrize("key", ["stock", "branch", "restock"])
def test_less_than_nothing_on_a_shelf_is_refused_by_its_key(key):
    with pytest.raises(ConfigError, match=f"world.{key}"):
        ShopWorld(**{key: -1})
