"""The shop: layouts change nothing, policies differ by what they do alone, chances and truths are true."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from truelift.errors import ConfigError
from truelift.simulate.shop_world.lists import (
    ListPolicy,
    by_rank,
    by_scores,
    chances_of,
    draw_lists,
    random_lists,
)
from truelift.simulate.shop_world.parameters import ShopWorld
from truelift.simulate.shop_world.shop import Played, Shop
from truelift.simulate.shop_world.truth import item_effects, policy_value

SMALL = ShopWorld(users=600, items=24, categories=3, list_length=3, confounding=0.5)


def logs(shop: Shop, partitions: int, rounds: int = 3) -> bytes:
    """All rounds of all users, whatever the blocks in which they were played."""
    policy = ListPolicy("x", by_scores("x", scores_of(shop), 0.1, 1.0).weights, 0.1, tilt=0.5)
    parts: list[list[Played]] = [[] for _ in range(rounds)]
    for users in np.array_split(np.arange(shop.world.users), partitions):
        people = shop.people(users)
        for moment in range(rounds):
            parts[moment].append(shop.play(people, policy, moment))
    return b"".join(
        np.concatenate([array(p) for p in found]).tobytes()
        for found in parts
        for array in (
            lambda p: p.visits.user,
            lambda p: p.items,
            lambda p: p.chances,
            lambda p: p.responses.bought,
            lambda p: p.responses.clicked,
            lambda p: p.responses.satisfied,
            lambda p: p.responses.waits,
        )
    )


def scores_of(shop: Shop) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((shop.contexts, shop.world.items))


def test_one_eight_and_two_hundred_partitions_give_the_same_bytes():
    shop = Shop(SMALL, 5)
    assert logs(shop, 1) == logs(shop, 8) == logs(shop, 200)


def test_another_seed_is_another_world():
    assert logs(Shop(SMALL, 5), 1) != logs(Shop(SMALL, 6), 1)


def test_policies_that_show_the_same_lists_see_the_same_people_do_the_same():
    shop = Shop(SMALL, 5)
    people = shop.people(np.arange(600))
    visits = shop.visits(people, 0)
    listed, _ = shop.lists(random_lists(shop.contexts, 24), people, visits, 0)
    other = listed.copy()
    other[::2] = listed[::2, ::-1]  # another order for every second visitor
    first, second = (shop.respond(people, visits, x, 0) for x in (listed, other))
    same = slice(1, None, 2)
    assert np.array_equal(first.bought[same], second.bought[same])
    assert np.array_equal(first.clicked[same], second.clicked[same])
    assert np.array_equal(first.chance_without, second.chance_without)


def test_slots_are_filled_as_often_as_their_chances_say():
    policy = ListPolicy("x", np.array([[4.0, 2.0, 1.0, 0.0, 3.0]]), 0.2)
    n = 200_000
    there = np.array([True, True, True, True, False])
    listed, chances = draw_lists(
        policy, 2, 1, 0, np.arange(n), np.zeros(n, np.int32), there, np.zeros(n), np.zeros(5),
        np.zeros(n, np.bool_),
    )  # fmt: skip
    assert np.array_equal(chances, chances_of(policy, listed, np.zeros(n, np.int32), there))
    pairs = list(itertools.permutations(range(4), 2))
    expected = []
    for a, b in pairs:
        w = policy.weights[0]
        second = 0.2 / 3 + 0.8 * w[b] / (w[:4].sum() - w[a])
        expected.append((0.2 / 4 + 0.8 * w[a] / 7.0) * second)
    found = np.array([np.mean((listed == pair).all(axis=1)) for pair in pairs])
    assert sum(expected) == pytest.approx(1.0)
    error = np.sqrt(np.array(expected) / n)
    assert np.all(np.abs(found - expected) < 4.5 * error)


def test_a_ranking_without_exploration_shows_the_best_in_their_order():
    scores = np.array([[0.1, 0.9, 0.5, 0.7]])
    listed, chances = draw_lists(
        by_rank("best", scores, 0.0, 3), 3, 1, 0, np.arange(50), np.zeros(50, np.int32),
        np.ones(4, np.bool_), np.zeros(50), np.zeros(4), np.zeros(50, np.bool_),
    )  # fmt: skip
    assert (listed == [1, 3, 2]).all()
    assert chances == pytest.approx(1.0)


def test_purchases_come_as_often_as_the_nested_logit_says():
    shop = Shop(ShopWorld(users=4_000, items=24, categories=3, list_length=3), 2)
    people = shop.people(np.arange(4_000))
    visits = shop.visits(people, 0)
    listed, _ = shop.lists(random_lists(shop.contexts, 24), people, visits, 0)
    excess = []
    for draw in range(30):
        came = shop.respond(people, visits, listed, 0, draw)
        excess.append(((came.bought >= 0) - came.chance).sum(axis=1))
    total = np.concatenate(excess)
    assert abs(total.mean()) < 4 * total.std() / np.sqrt(len(total))


def test_an_empty_list_adds_nothing():
    shop = Shop(SMALL, 3)
    people = shop.people(np.arange(600))
    visits = shop.visits(people, 0)
    came = shop.respond(people, visits, np.full((len(visits), 3), -1, np.int32), 0)
    assert came.chance == pytest.approx(came.chance_without, abs=1e-12)
    assert not came.seen.any()


@pytest.mark.parametrize("slot", [0, 2])
def test_the_effect_of_an_item_is_what_showing_it_alone_adds(slot):
    shop = Shop(ShopWorld(users=40, items=12, categories=3, list_length=3, annoying_share=0.4), 7)
    people = shop.people(np.arange(40))
    visits = shop.visits(people, 0)
    effect, count = item_effects(shop, people, visits, 0, slot)
    draws, found = 400, np.zeros((12, 2))
    for item in range(12):
        listed = np.full((len(visits), 3), -1, np.int32)
        listed[:, slot] = item
        added = [
            (came.chance - came.chance_without).sum()
            for came in (shop.respond(people, visits, listed, 0, d + 1) for d in range(draws))
        ]
        found[item] = np.mean(added), np.std(added) / np.sqrt(draws)
    truth = count @ effect
    assert (truth < 0).any()  # annoyances
    assert np.all(np.abs(found[:, 0] - truth) < 4 * found[:, 1] + 1e-9)


def test_a_policys_value_comes_with_the_error_of_its_own_simulation():
    shop = Shop(SMALL, 4)
    people = shop.people(np.arange(600))
    policy = random_lists(shop.contexts, 24)
    few, many = (policy_value(shop, people, policy, 0, draws) for draws in (6, 150))
    assert many.error < few.error
    assert abs(few.value - many.value) < 4.5 * np.hypot(few.error, many.error)
    assert many.additional > 4 * many.additional_error


def test_rounds_without_lists_change_neither_fatigue_nor_who_is_asked():
    shop = Shop(SMALL, 4)
    people = shop.people(np.arange(600))
    played = shop.play(people, None, 0)
    assert (played.items == -1).all()
    assert not people.fatigue.any()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"substitution": 1.0}, "world.substitution"),
        ({"list_length": 200}, "world.list_length"),
        ({"new_items": 0.6}, "world.new_items"),
        ({"users": 0}, "world.users"),
    ],
)
def test_a_world_that_cannot_be_is_refused_by_its_key(change, named):
    with pytest.raises(ConfigError, match=named):
        ShopWorld(**change)
