"""Places of wanted items, and the metrics of them, beside twenty lines a reader can check by eye."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.evaluation.test_ranking_metrics import sets
from truelift.errors import DataError
from truelift.evaluation.measures import (
    Catalogue,
    coverage,
    gini,
    list_metrics,
    place_metric_names,
    place_metrics,
)
from truelift.evaluation.places import places_of


def by_hand(scores, wanted, seen, k) -> dict[str, float]:
    order = sorted(set(range(1, len(scores))) - seen, key=lambda i: (-scores[i], i))
    hits = [place for place, item in enumerate(order[:k], start=1) if item in wanted]
    recall, precision = len(hits) / len(wanted), len(hits) / k
    possible = min(k, len(wanted))
    return {
        "ndcg": sum(1 / math.log2(p + 1) for p in hits)
        / sum(1 / math.log2(p + 1) for p in range(1, possible + 1)),
        "hit_rate": float(bool(hits)),
        "recall": recall,
        "precision": precision,
        "f1": 2 * precision * recall / (precision + recall) if hits else 0.0,
        "mrr": 1 / hits[0] if hits else 0.0,
        "map": sum(n / p for n, p in enumerate(hits, start=1)) / possible,
    }


def auc_by_hand(scores, wanted, seen) -> float:
    others = set(range(1, len(scores))) - seen - wanted
    if not others:
        return 0.5
    pairs = [
        (scores[t] > scores[o]) + 0.5 * (scores[t] == scores[o]) for t in wanted for o in others
    ]
    return sum(pairs) / len(pairs)


@st.composite
def worlds(draw):
    items = draw(st.integers(1, 20))
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        # Few distinct values, so that ties are common.
        scores = [0.0, *draw(st.lists(st.integers(-2, 2), min_size=items, max_size=items))]
        wanted = draw(st.sets(st.integers(1, items), min_size=1))
        seen = draw(st.sets(st.integers(1, items))) - wanted
        rows.append((scores, wanted, seen))
    return rows, draw(st.integers(1, 22))


@given(worlds(), st.booleans())
def test_every_metric_agrees_with_its_definition(world, drop):
    rows, k = world
    array = np.array([scores for scores, _, _ in rows], dtype=float)
    seen = sets(*(sorted(s) for _, _, s in rows)) if drop else None
    places = places_of(array, sets(*(sorted(w) for _, w, _ in rows)), seen)
    values = place_metrics(places, (k, 3))
    names = place_metric_names((k, 3))
    for (scores, wanted, out), found in zip(rows, values, strict=True):
        out = out if drop else set()
        expected = [
            auc_by_hand(scores, wanted, out) if name == "auc" else
            by_hand(scores, wanted, out, cut)[name]
            for name, cut in names
        ]  # fmt: skip
        np.testing.assert_allclose(found, expected, atol=1e-12)


@given(worlds())
def test_no_two_wanted_items_share_a_place(world):
    rows, _ = world
    for scores, wanted, seen in rows:
        found = places_of(np.array([scores]), sets(sorted(wanted)), sets(sorted(seen)))
        assert len(set(found.places)) == len(wanted)
        assert found.places.max() <= len(scores) - 1 - len(seen)


def test_of_equal_scores_the_smaller_index_comes_first():
    scores = np.array([[9.0, 5.0, 5.0, 5.0]])
    assert places_of(scores, sets([3])).places.tolist() == [3]
    assert places_of(scores, sets([1])).places.tolist() == [1]


def test_a_seen_item_takes_no_place():
    scores = np.array([[0.0, 3.0, 2.0, 1.0]])
    assert places_of(scores, sets([3])).places.tolist() == [3]
    assert places_of(scores, sets([3]), sets([1])).places.tolist() == [2]


def test_many_wanted_items_are_placed_as_few_are():
    generator = np.random.default_rng(5)
    scores = generator.integers(0, 9, (1, 60)).astype(float)
    wanted = list(range(2, 42))
    together = places_of(scores, sets(wanted)).places
    alone = [int(places_of(scores, sets([w])).places[0]) for w in wanted]
    assert together.tolist() == alone


def test_the_auc_of_one_wanted_item_is_the_share_of_the_others_below():
    assert places_of(np.array([[0.0, 4.0, 3.0, 2.0, 1.0]]), sets([2])).auc.tolist() == [2 / 3]


def test_equal_scores_have_an_auc_of_one_half():
    assert places_of(np.zeros((1, 8)), sets([3, 5])).auc.tolist() == [0.5, 0.5]


def test_a_user_without_wanted_items_is_refused():
    with pytest.raises(DataError, match="at least one"):
        places_of(np.zeros((1, 3)), sets([]))


def test_scores_that_are_no_numbers_have_no_order():
    with pytest.raises(DataError, match="not numbers"):
        places_of(np.array([[0.0, np.nan]]), sets([1]))


def test_restricting_to_some_items_leaves_their_places_as_they_were():
    places = places_of(np.array([[0.0, 3.0, 2.0, 1.0], [0.0, 1.0, 2.0, 3.0]]), sets([1, 3], [2]))
    rows, some = places.only(places.items == 3)
    assert rows.tolist() == [0]
    assert some.places.tolist() == [3]
    assert some.offsets.tolist() == [0, 1]


CATALOGUE = Catalogue(np.array([0.0, 7.0, 3.0, 1.0, 1.0, 0.0]), np.array([0, 1, 1, 2, 2, 3]))


def test_novelty_is_the_self_information_of_the_items_shown():
    shares = np.array([8, 4, 2, 2, 1]) / 17
    found = list_metrics(np.array([[1, 5]]), CATALOGUE)[0, 0]
    assert found == pytest.approx(-(math.log2(shares[0]) + math.log2(shares[4])) / 2)


def test_the_head_is_the_most_popular_fifth():
    assert CATALOGUE.tail[1:].tolist() == [False, True, True, True, True]
    assert list_metrics(np.array([[1, 2, 3, 4]]), CATALOGUE)[0, 1] == 0.75


def test_diversity_counts_categories_and_pairs_that_differ():
    found = list_metrics(np.array([[1, 2, 3, 5]]), CATALOGUE)[0]
    assert found[2] == 3 / 4
    assert found[3] == pytest.approx(5 / 6)


def test_an_empty_place_counts_for_nothing():
    full, padded = list_metrics(np.array([[1, 3]]), CATALOGUE), np.array([[1, 3, 0, 0]])
    np.testing.assert_allclose(list_metrics(padded, CATALOGUE), full)
    assert list_metrics(np.array([[0, 0]]), CATALOGUE).tolist() == [[0, 0, 0, 0]]


def test_without_categories_there_is_no_diversity():
    assert list_metrics(np.array([[1]]), Catalogue(CATALOGUE.popularity)).shape == (1, 2)


def test_gini_is_zero_where_all_items_are_shown_alike_and_near_one_for_one_alone():
    assert gini(np.full(5, 3)) == pytest.approx(0.0)
    assert gini(np.array([0, 0, 0, 9])) == pytest.approx(0.75)
    assert gini(np.zeros(4)) == 0.0


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12).filter(any))
def test_gini_is_half_the_relative_mean_difference(counts):
    values = np.array(counts, dtype=float)
    difference = np.abs(values[:, None] - values[None]).mean()
    assert gini(values) == pytest.approx(difference / (2 * values.mean()))


def test_coverage_is_the_share_of_the_items_that_anyone_is_shown():
    assert coverage(np.array([0, 5, 1, 0])) == 0.5
