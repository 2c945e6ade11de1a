"""What logs are taken to mean: effects against truth, weights against a hidden hand, lists as wholes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from truelift.loop.evidence import evidence_of, eyes_on_slots, no_evidence
from truelift.loop.learning import OTHER, OWN, by_context, effects_of, shrunken_rates, strata_of
from truelift.loop.worth import list_model, model_of
from truelift.simulate.shop_world.parameters import ShopWorld
from truelift.simulate.shop_world.shop import Played, Shop
from truelift.simulate.shop_world.truth import item_effects

WORLD = ShopWorld(
    users=40_000,
    items=24,
    categories=3,
    list_length=3,
    new_items=0.0,
    retired_items=0.0,
    stockout=0.0,
)


def played_by(shop: Shop, tilt: float = 0.0) -> tuple[Played, np.ndarray]:
    """A round under the operator's lists, and the true effects in it (X x I)."""
    people = shop.people(np.arange(shop.world.users))
    visits = shop.visits(people, 0)
    effect, _ = item_effects(shop, people, visits, 0)
    return shop.play(people, shop.operator(), 0), effect


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop(WORLD, 3)


@pytest.fixture(scope="module")
def first(shop) -> tuple[Played, np.ndarray]:
    return played_by(shop)


def test_evidence_adds_up_over_blocks_of_users(shop, first):
    eyes = np.array([1.0, 0.6, 0.4])
    rows = np.arange(len(first[0].visits))
    policy = shop.operator()
    whole = evidence_of(shop, first[0], policy, eyes, True)
    parts = no_evidence(shop)
    for some in np.array_split(rows, 7):
        parts = parts.plus(evidence_of(shop, first[0].part(some), policy, eyes, True))
    for name in ("gram", "shown", "bought_with", "purchases", "clicks", "bought", "asked"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name))


def test_attention_to_slots_is_found_from_clicks_under_random_lists(shop, first):
    eyes = eyes_on_slots([first[0]], 3)
    truth = (1.0 + np.arange(3)) ** -WORLD.position
    assert eyes[0] == 1.0
    # Patience after clicks lets slots below be looked at less than by position alone.
    assert np.all(eyes[1:] < truth[1:]) and eyes == pytest.approx(truth, abs=0.12)


def test_effects_are_near_the_truth_and_their_intervals_hold_it(shop, first):
    evidence = evidence_of(shop, first[0], shop.operator(), eyes_on_slots([first[0]], 3), True)
    effects = effects_of(shop, evidence)
    truth = _by_stratum(shop, first[1], evidence.asked)
    strata = [OWN, OTHER]
    found = effects.estimate[strata].ravel()
    assert np.corrcoef(found, truth[strata].ravel())[0, 1] > 0.9
    low, high = effects.interval(0.95)
    assert np.mean((low <= truth) & (truth <= high)) > 0.85


def _by_stratum(shop: Shop, effect: np.ndarray, visits: np.ndarray) -> np.ndarray:
    strata, out = strata_of(shop), np.zeros((3, shop.world.items))
    for stratum in range(3):
        weight = np.where(strata == stratum, visits[:, None], 0.0)
        out[stratum] = (weight * effect).sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-9)
    return out


def test_logged_chances_undo_what_follows_the_hidden_trait_and_without_them_effects_are_off():
    world = ShopWorld(
        users=60_000, items=24, categories=3, list_length=3, new_items=0.0, retired_items=0.0,
        stockout=0.0, hidden=1.2, confounding=1.5, substitution=0.0,
    )  # fmt: skip
    shop = Shop(world, 3)
    played, effect = played_by(shop)
    errors = {}
    for known in (True, False):
        eyes = eyes_on_slots([played], 3)
        evidence = evidence_of(shop, played, shop.operator(), eyes, known)
        found = by_context(shop, effects_of(shop, evidence).estimate)
        # The first and the last category are those that the operator follows the trait in.
        pushed = np.abs(shop.goods.push[shop.goods.category]) > 0.5
        errors[known] = float((found - effect)[:, pushed].mean())
    assert abs(errors[True]) < 0.02
    assert errors[False] > 0.04


def test_rates_of_rare_items_are_drawn_to_their_category(shop):
    events, trials = np.zeros((6, 24)), np.zeros((6, 24))
    trials[0, :8], events[0, :8] = 1_000.0, 100.0
    events[0, 0] = 300.0
    trials[0, 7], events[0, 7] = 1.0, 1.0
    shape, rate = shrunken_rates(shop, events, trials)
    found = (shape / rate)[OWN]
    assert found[0] == pytest.approx(0.3, abs=0.01)
    assert 0.1 < found[7] < 0.3


def test_a_list_of_substitutes_is_worth_less_than_its_items_apart():
    category = np.array([0, 0, 1], np.int32)
    model = model_of(np.array([[0.2, 0.2]]), np.array([[0.2, 0.2, 0.15]]), category, np.ones(2))
    lists = np.array([[0, -1], [1, -1], [0, 1], [0, 2]], np.int32)
    worth = model.worth(np.zeros(4, np.int32), lists).sum(axis=1)
    assert worth[:2] == pytest.approx(0.2)
    assert worth[2] < 0.35
    assert worth[3] == pytest.approx(0.35)


def test_the_best_list_is_the_best_of_all_lists():
    """Greedy, slot by slot; held to all lists where no slot is preferred."""
    random = np.random.default_rng(1)
    category = np.array([0, 0, 0, 1, 1, 2], np.int32)
    theta = random.uniform(-0.05, 0.3, (4, 6))
    model = model_of(random.uniform(0.05, 0.4, (4, 3)), theta, category, np.ones(3))
    chosen = model.best(np.ones(6, np.bool_), 3, np.ones(6), np.zeros(6))
    every = np.array(list(itertools.combinations(range(6), 3)), np.int32)
    for x in range(4):
        best = model.worth(np.full(len(every), x, np.int32), every).sum(axis=1).max()
        own = model.worth(np.array([x], np.int32), chosen[x : x + 1].astype(np.int32)).sum()
        assert own == pytest.approx(best)


def test_the_model_of_lists_begins_from_visits_without_their_items(shop, first):
    played, _ = first
    eyes = eyes_on_slots([played], 3)
    evidence = evidence_of(shop, played, shop.operator(), eyes, True)
    model = list_model(shop, evidence, effects_of(shop, evidence), eyes)
    own = model.odds / (1 + model.odds)
    truth = np.zeros_like(own)
    np.add.at(truth, played.visits.context, played.responses.chance_without)
    truth /= evidence.asked[:, None]
    enough = evidence.asked > 1_000
    assert own[enough] == pytest.approx(truth[enough], abs=0.03)


def test_random_lists_are_worth_what_they_bring_in_the_model(shop, first):
    played, _ = first
    eyes = eyes_on_slots([played], 3)
    evidence = evidence_of(shop, played, shop.operator(), eyes, True)
    model = list_model(shop, evidence, effects_of(shop, evidence), eyes)
    added = (played.responses.chance - played.responses.chance_without).sum(axis=1).mean()
    worth = model.worth(played.visits.context, played.items).sum(axis=1).mean()
    assert worth == pytest.approx(added, abs=0.02)
