"""Lists that know effects: slot by slot beside what is there, by lot with stated chances, empty where nothing pays."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.arrays.keys import mix
from truelift.recommend.by_effect import likely, reason
from truelift.recommend.shown.effects import ShownEffects
from truelift.recommend.shown.ranking import RankBy, context_shares, ranked_lists
from truelift.recommend.shown.switching import difference, judged

CATEGORY = np.array([0, 1, 1, 1, 2, 2])


def effects(*first: float, chance: float = 0.3, error: float = 0.01) -> ShownEffects:
    estimate = np.array([0.0, *first])
    c = 3
    return ShownEffects(
        np.stack([estimate, estimate / 2]), np.full((2, 6), error), np.ones((2, 6)), np.zeros((2, 6)),
        np.zeros((2, c)), np.zeros((2, c)), np.full((2, c), chance), np.array([0.0, 0.5, 0.5]),
        np.array([1.0, 0.5]), 100.0, 60.0, 1.0,
    )  # fmt: skip


def lists(how: RankBy, known: ShownEffects, users: int = 1, count: int = 2, **more):
    usable = np.ones((users, 6), bool)
    usable[:, 0] = False
    shares = np.tile([0.0, 0.5, 0.5], (users, 1))
    keys = mix(np.arange(users, dtype=np.uint64))
    return ranked_lists(how, known, CATEGORY, shares, keys, count, usable, **more)


def test_a_second_item_of_a_category_adds_less_than_it_would_alone():
    """Its buyers are there already, so a somewhat weaker item of another category goes before it."""
    found = lists(RankBy(explore=0.0), effects(0.5, 0.4, 0.0, 0.36, 0.0))
    assert found.items.tolist() == [[1, 4]]
    alone = lists(RankBy(explore=0.0), effects(0.5, 0.4, 0.0, 0.1, 0.0))
    assert alone.items.tolist() == [[1, 2]]


def test_a_share_of_slots_is_drawn_uniformly_and_propensities_say_so():
    users, explore = 20_000, 0.3
    found = lists(RankBy(explore=explore, seed=3), effects(0.3, 0.2, 0.1, 0.0, 0.0), users)
    first = found.items[:, 0]
    shares = np.bincount(first, minlength=6)[1:] / users
    expected = np.array([0.7 + 0.06, 0.06, 0.06, 0.06, 0.06])
    assert shares == pytest.approx(expected, abs=4 * np.sqrt(0.25 / users))
    assert found.propensity[:, 0] == pytest.approx(expected[first - 1])
    # The inverse of the stated chances counts every item once on average.
    for slot, left in ((0, 5), (1, 4)):
        assert (1 / found.propensity[:, slot]).mean() == pytest.approx(left, rel=0.05)


def test_lists_are_drawn_again_alike_and_differently_by_another_seed():
    known = effects(0.3, 0.2, 0.1, 0.0, 0.0)
    one, two = (lists(RankBy(explore=0.5, seed=3), known, 300) for _ in range(2))
    other = lists(RankBy(explore=0.5, seed=4), known, 300)
    assert (one.items == two.items).all()
    assert (one.items != other.items).any()


def test_by_value_a_slot_that_costs_more_than_it_brings_stays_empty():
    price = np.array([0.0, 10.0, 1.0, 1.0, 1.0, 1.0])
    how = RankBy("value", explore=0.0, margin=0.5, cost=0.2)
    found = lists(how, effects(0.2, 0.3, 0.0, 0.0, 0.0), price=price)
    assert found.items.tolist() == [[1, 0]]


def test_no_more_items_of_a_category_than_asked_for_also_by_lot():
    known = effects(0.5, 0.45, 0.4, 0.01, 0.0)
    assert lists(RankBy(explore=0.0), known, count=3).items.tolist() == [[1, 2, 3]]
    capped = lists(RankBy(explore=0.0, most_of_category=1), known, count=3)
    assert capped.items.tolist() == [[1, 4, 0]]
    drawn = lists(RankBy(explore=0.5, most_of_category=1), known, 2_000, count=2)
    assert (CATEGORY[drawn.items[:, 0]] != CATEGORY[drawn.items[:, 1]]).all()
    # The second slot is drawn of what is left: two or three items, and all of them count once.
    left = np.where(CATEGORY[drawn.items[:, 0]] == 1, 2, 3)
    assert (1 / drawn.propensity[:, 1]).mean() == pytest.approx(left.mean(), rel=0.05)


def test_a_mixture_of_weight_one_is_by_effect_and_of_weight_nothing_by_relevance():
    known, relevance = effects(0.3, 0.2, 0.1, 0.0, -0.1), np.array([[0, 0.0, 0.1, 0.2, 0.3, 0.4]])
    ends = [
        lists(RankBy("mixture", w, 0.0), known, count=1, relevance=relevance).items[0, 0]
        for w in (1.0, 0.0)
    ]
    assert ends == [1, 5]


def test_where_a_user_looks_is_his_share_of_events_held_against_everybodys():
    shares = context_shares(
        np.array([0] * 15), np.array([4] * 15), 2, CATEGORY, effects(0, 0, 0, 0, 0)
    )
    assert shares[0] == pytest.approx([0.0, 2.5 / 20, 17.5 / 20])
    assert shares[1] == pytest.approx([0.0, 0.5, 0.5])


def test_switching_is_judged_by_the_half_that_had_no_part_in_it():
    one, two = effects(0.2, 0, 0, 0, 0), effects(0.1, 0, 0, 0, 0)
    shares = np.array([[0.0, 1.0, 0.0]])
    new = tuple(judged(e, CATEGORY, shares, np.array([[1]])) for e in (one, two))
    old = tuple(judged(e, CATEGORY, shares, np.array([[4]])) for e in (one, two))
    gain, lower, upper = difference((one, two), CATEGORY, new, old, 0.95)
    assert gain == pytest.approx(0.15)
    # Two items whose errors are 0.01, on each of two independent sides; the other's context is not his.
    assert (upper - lower) / 2 == pytest.approx(1.96 * 0.01 * np.sqrt(2) * np.sqrt(2) / 2, rel=1e-3)


def test_chances_by_the_model_add_up_to_one_over_what_can_be_ranked():
    found = likely(np.array([[9.0, 1.0, 2.0, -np.inf, -1e9]]))
    assert found.sum() == pytest.approx(1.0)
    assert found[0, [0, 3, 4]].tolist() == [0, 0, 0]
    assert found[0, 2] / found[0, 1] == pytest.approx(np.e)


def test_reasons_are_in_purchases_of_a_hundred_lists():
    assert (
        reason(0.031, 0.01, 1204, False)
        == "+3.1 purchases in 100 lists (+2.1 to +4.1), shown 1,204 times"
    )
    assert reason(0.031, 0.01, 0, True).startswith("by lot, to learn: +3.1")
    assert reason(np.nan, np.nan, 0, False) == "sequence model"
