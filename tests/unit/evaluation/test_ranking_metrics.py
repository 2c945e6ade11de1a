"""The head of a ranking, with items already seen kept or dropped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.models.sequence.test_histories import histories
from truelift.errors import DataError
from truelift.evaluation.top_items import top_items
from truelift.models.sequence.histories import ItemSets
from truelift.serving.ranking import rank


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


@given(
    st.integers(1, 15).flatmap(
        lambda items: st.lists(
            st.lists(st.integers(-2, 2), min_size=items, max_size=items), min_size=1, max_size=4
        )
    ),
    st.integers(1, 18),
)
def test_the_head_is_that_of_a_full_sort(rows, k):
    scores = np.array([[0, *row] for row in rows], dtype=float)
    expected = [sorted(range(1, len(r) + 1), key=lambda i: (-r[i - 1], i))[:k] for r in rows]
    assert top_items(scores, k).tolist() == expected


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
