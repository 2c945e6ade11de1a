"""What experts ask of a world: equal arms are equal, chances undo a hidden hand, what is not logged shows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from truelift.loop.job import run_loop
from truelift.loop.options import LoopOptions
from truelift.simulate.shop_world.lists import draw_lists
from truelift.simulate.shop_world.noise import other_moment
from truelift.simulate.shop_world.parameters import ShopWorld
from truelift.simulate.shop_world.people import People
from truelift.simulate.shop_world.shop import Shop
from truelift.simulate.shop_world.visits import Visits

pytestmark = pytest.mark.study

REPETITIONS = 400
USERS = 2_500
# Every item a hand follows: the operator shows the last category to those who buy more anyway.
HIDDEN = ShopWorld(
    users=USERS, items=12, categories=3, list_length=2, hidden=1.2, confounding=1.0, holdout=0.0,
    new_items=0.0, retired_items=0.0, newcomers=0.0,
)  # fmt: skip
ITEM = 10


def with_first(shop: Shop, people: People, visits: Visits, item: int, draw: int) -> np.ndarray:
    """The operator's lists whose first slot is given: what is left is drawn as he draws."""
    policy, goods = shop.operator(), shop.goods
    available = shop.sold(0) & (np.arange(shop.world.items) != item)
    rest, _ = draw_lists(
        policy, shop.world.list_length - 1, shop.seed, other_moment(0, draw), visits.user,
        visits.context, available, people.hidden[visits.row], goods.push[goods.category],
        np.zeros(len(visits), np.bool_),
    )  # fmt: skip
    return np.column_stack([np.full(len(visits), item, np.int32), rest])


@pytest.fixture(scope="module")
def shares() -> dict[str, float]:
    """Shares of repetitions whose interval holds what putting the item first adds to its category."""
    covered = dict.fromkeys(("doubly robust", "chances hidden", "naive", "click rate"), 0)
    for shop, people, visits, truth in _populations():
        policy = shop.operator()
        listed, chances = shop.lists(policy, people, visits, 0, holdout=False)
        came = shop.respond(people, visits, listed, 0)
        category = shop.goods.category[ITEM]
        y = (came.bought[:, category] >= 0).astype(float)
        first = listed[:, 0] == ITEM
        context = visits.context
        visited = np.maximum(np.bincount(context, minlength=shop.contexts), 1)
        mean = np.bincount(context, y, shop.contexts) / visited
        inverse = first / chances[:, 0]
        share = np.bincount(context, first, shop.contexts) / visited
        stated = first / share[context]
        for name, weight in (("doubly robust", inverse), ("chances hidden", stated)):
            psi = (weight - 1.0) * (y - mean[context])
            covered[name] += _holds(psi.mean(), psi.std() / np.sqrt(len(psi)), truth)
        for name, outcome in (("naive", y), ("click rate", came.clicked.any(axis=1).astype(float))):
            with_item, without = outcome[first], outcome[~first]
            error = np.sqrt(with_item.var() / len(with_item) + without.var() / len(without))
            covered[name] += _holds(with_item.mean() - without.mean(), error, truth)
    return {name: count / REPETITIONS for name, count in covered.items()}


def _populations() -> Iterator[tuple[Shop, People, Visits, float]]:
    """The same shop, with other people every time; the truth is of the whole population."""
    shop = Shop(HIDDEN, 1)
    everyone = shop.people(np.arange(1_000_000, 1_060_000))
    visits = shop.visits(everyone, 0)
    category = shop.goods.category[ITEM]
    usual, _ = shop.lists(shop.operator(), everyone, visits, 0, holdout=False, draw=1)
    given = with_first(shop, everyone, visits, ITEM, 2)
    values = [
        shop.respond(everyone, visits, lists, 0, draw).chance[:, category].mean()
        for draw in (1, 2, 3)
        for lists in (given, usual)
    ]
    truth = float(np.mean(values[::2]) - np.mean(values[1::2]))
    for repetition in range(REPETITIONS):
        people = shop.people(np.arange(repetition * USERS, (repetition + 1) * USERS))
        yield shop, people, shop.visits(people, 0), truth


def _holds(estimate: float, error: float, truth: float) -> bool:
    return bool(abs(estimate - truth) <= 1.96 * error)


def test_doubly_robust_intervals_from_logged_chances_hold_the_truth(shares):
    # 0.95 within three standard errors of 400 repetitions.
    assert 0.917 <= shares["doubly robust"] <= 0.983


@pytest.mark.parametrize("name", ["chances hidden", "naive", "click rate"])
def test_without_chances_a_hidden_hand_is_taken_for_an_effect(shares, name):
    assert shares[name] < 0.8


def test_two_halves_by_lot_under_one_policy_do_not_differ():
    shop, far = Shop(ShopWorld(users=1_000), 2), []
    for repetition in range(300):
        people = shop.people(np.arange(repetition * 1_000, (repetition + 1) * 1_000))
        played = shop.play(people, shop.operator(), 0)
        bought = (played.responses.bought >= 0).sum(axis=1)
        lot = played.visits.user % 2 == 0
        error = np.sqrt(bought[lot].var() / lot.sum() + bought[~lot].var() / (~lot).sum())
        far.append(abs(bought[lot].mean() - bought[~lot].mean()) > 1.96 * error)
    assert np.mean(far) == pytest.approx(0.05, abs=0.04)


def test_sales_and_lists_become_more_alike_under_clicks_and_not_under_random_lists():
    found = run_loop(
        ShopWorld(users=3_000, season=0.0),
        LoopOptions(rounds=4),
        ("random", "click_greedy"),
        (1, 2),
    )
    rise = {
        (strategy, measure): np.subtract(*np.array(found.curve(strategy, measure).mean)[[-1, 0]])
        for strategy in found.strategies
        for measure in ("gini_bought", "list_similarity")
    }
    assert rise["click_greedy", "gini_bought"] > 0.03
    assert rise["click_greedy", "list_similarity"] > 0.1
    assert abs(rise["random", "gini_bought"]) < 0.03
    assert abs(rise["random", "list_similarity"]) < 0.02


def test_lists_by_effect_bring_more_than_lists_by_clicks_in_every_world():
    found = run_loop(
        ShopWorld(users=2_000), LoopOptions(rounds=4), ("click_greedy", "effect"), range(6)
    )
    gains = {c.measure: c for c in found.comparisons()}
    assert gains["additional_total"].wins
    assert gains["purchases"].wins


def test_forecasts_before_play_hold_what_came():
    """Of people who change little from round to round: 48 forecasts, whose intervals are not idle."""
    calm = ShopWorld(users=4_000, season=0.0, newcomers=0.0, new_items=0.0, retired_items=0.0)
    found = run_loop(calm, LoopOptions(rounds=3), ("click_greedy", "effect"), range(100, 112))
    held = found.held()
    assert sum(h.forecasts for h in held) == 48
    assert sum(h.truth for h in held) >= 43
    assert sum(h.observed for h in held) >= 43
    data = found.to_pandas().dropna(subset=["forecast"])
    assert data["forecast_error"].mean() < 0.2
    # Lists by effect were seen to be the better ones before they were played.
    gain = data.groupby("strategy")["forecast"].mean()
    assert gain["effect"] > gain["click_greedy"] + 0.1
