"""Lists by user: purchases as histories, and rows of weights that differ by user."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.loop.histories import histories_of, history_of
from truelift.simulate.shop_world.lists import ListPolicy
from truelift.simulate.shop_world.parameters import ShopWorld
from truelift.simulate.shop_world.shop import Shop


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop(ShopWorld(users=300, items=24, categories=3, list_length=3), 4)


def test_histories_hold_every_purchase_of_a_user_in_the_order_of_rounds(shop):
    people = shop.people(np.arange(300))
    rounds = [shop.play(people, shop.operator(), moment) for moment in (0, 1)]
    found = histories_of(np.concatenate([history_of([r]) for r in rounds]), 300)
    assert len(found) == 300
    for user in (0, 7, 123, 299):
        plain = [
            int(item) + 1
            for played in rounds
            for visit in np.flatnonzero(played.visits.user == user)
            for item in played.responses.bought[visit]
            if item >= 0
        ]
        own = slice(found.offsets[user], found.offsets[user + 1])
        assert found.items[own].tolist() == plain
        assert (np.diff(found.times[own]) >= 0).all()


def test_lists_by_user_are_those_of_the_users_row(shop):
    weights = np.zeros((300 * shop.contexts, 24))
    there = np.flatnonzero(shop.sold(0))
    own = there[np.arange(300) % len(there)]
    weights[np.arange(300 * shop.contexts), np.repeat(own, shop.contexts)] = 1.0
    people = shop.people(np.arange(300))
    visits = shop.visits(people, 0)
    policy = ListPolicy("own", weights, 0.0, by_user=True)
    items, chances = shop.lists(policy, people, visits, 0, holdout=False)
    assert (items[:, 0] == own[visits.user]).all()
    assert (chances[:, 0] == 1.0).all()
