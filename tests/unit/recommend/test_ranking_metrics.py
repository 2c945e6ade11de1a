"""Full-ranking metrics beside an implementation a reader can check by eye."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.models.test_histories import histories
from truelift.errors import DataError
from truelift.models.histories import ItemSets
from truelift.recommend.metrics import mean_interval, rank_metrics, top_items
from truelift.recommend.ranking import rank


def by_hand(scores: list[float], relevant: set[int], k: int) -> tuple[float, float]:
    order = sorted(range(1, len(scores)), key=lambda i: (-scores[i], i))[:k]
    dcg = sum(1 / math.log2(place + 2) for place, item in enumerate(order) if item in relevant)
    ideal = sum(1 / math.log2(place + 2) for place in range(min(k, len(relevant))))
    return float(any(i in relevant for i in order)), dcg / ideal


def sets(*users: list[int]) -> ItemSets:
    sizes = [len(u) for u in users]
    return ItemSets(
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.array([i for u in users for i in u], dtype=np.int32),
    )


def test_best_score_first():
    assert top_items(np.array([[9.0, 1.0, 3.0, 2.0]]), 2).tolist() == [[2, 3]]


def test_equal_scores_are_ranked_by_item_index():
    scores = np.array([[0.0, 1.0, 5.0, 1.0, 1.0]])
    assert top_items(scores, 3).tolist() == [[2, 1, 3]]


def test_padding_is_never_ranked():
    assert top_items(np.array([[99.0, 1.0, 2.0]]), 2).tolist() == [[2, 1]]


def test_a_list_is_not_longer_than_the_catalogue():
    assert top_items(np.array([[0.0, 1.0, 2.0]]), 10).tolist() == [[2, 1]]


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(DataError, match="not numbers"):
        top_items(np.array([[0.0, np.nan]]), 1)


def test_a_hit_at_the_head_with_one_relevant_item_is_one():
    got = rank_metrics(np.array([[4, 2]]), sets([4]), 2)
    assert got.hit.tolist() == [1.0]
    assert got.ndcg.tolist() == [1.0]


def test_the_ideal_list_has_no_more_hits_than_places():
    got = rank_metrics(np.array([[1, 2]]), sets([1, 2, 3, 4]), 2)
    assert got.ndcg.tolist() == [1.0]


def test_a_second_place_counts_one_over_log_three():
    got = rank_metrics(np.array([[9, 4]]), sets([4]), 2)
    assert got.ndcg == pytest.approx([1 / math.log2(3)])


def test_one_users_items_do_not_count_for_another():
    got = rank_metrics(np.array([[1], [2]]), sets([2], [1]), 1)
    assert got.hit.tolist() == [0.0, 0.0]


def test_a_user_without_relevant_items_is_refused():
    with pytest.raises(DataError, match="at least one"):
        rank_metrics(np.array([[1]]), sets([]), 1)


@st.composite
def worlds(draw):
    items = draw(st.integers(1, 15))
    users = draw(st.integers(1, 5))
    # Few distinct values, so that ties are common.
    scores = [
        [0.0, *draw(st.lists(st.integers(-2, 2), min_size=items, max_size=items))]
        for _ in range(users)
    ]
    relevant = [draw(st.sets(st.integers(1, items), min_size=1)) for _ in range(users)]
    return scores, relevant, draw(st.integers(1, 12))


@given(worlds())
def test_metrics_agree_with_the_definition(world):
    scores, relevant, k = world
    array = np.array(scores, dtype=float)
    got = rank_metrics(top_items(array, k), sets(*(sorted(r) for r in relevant)), k)
    expected = [by_hand(s, r, k) for s, r in zip(scores, relevant, strict=True)]
    np.testing.assert_allclose(got.hit, [e[0] for e in expected])
    np.testing.assert_allclose(got.ndcg, [e[1] for e in expected])


def test_the_interval_of_a_mean_is_the_normal_one():
    mean, lower, upper = mean_interval(np.array([0.0, 1.0, 0.0, 1.0]))
    half = 1.959963984540054 * np.std([0, 1, 0, 1], ddof=1) / 2
    assert (mean, lower, upper) == pytest.approx((0.5, 0.5 - half, 0.5 + half))
    assert mean_interval(np.array([0.3])) == (0.3, 0.0, 1.0)


def test_seen_items_are_kept_or_dropped_as_asked():
    h = histories([(2, 1, 0)], [(3, 1, 0)])
    scores = np.array([[0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0]])
    assert rank(scores, h, 2, "keep")[0].tolist() == [[3, 2], [3, 2]]
    assert rank(scores, h, 2, "drop")[0].tolist() == [[3, 1], [2, 1]]


def test_dropping_leaves_a_shorter_list_where_too_little_is_new():
    h = histories([(1, 1, 0), (2, 2, 1)])
    items, scores = rank(np.array([[0.0, 1.0, 2.0, 3.0]]), h, 2, "drop")
    assert items.tolist() == [[3, 0]]
    assert scores[0, 0] == 3.0


def test_dropping_does_not_change_the_scores_given():
    scores = np.array([[0.0, 1.0, 2.0]])
    rank(scores, histories([(1, 1, 0)]), 1, "drop")
    assert scores.tolist() == [[0.0, 1.0, 2.0]]
