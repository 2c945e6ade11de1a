"""Histories as flat arrays: cutting in time and finding sessions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from truelift.errors import DataError
from truelift.models.sequence.histories import Histories


def histories(*users: list[tuple[int, int, int]]) -> Histories:
    """Each user is a list of (item, time, session)."""
    table = pa.table(
        {
            "user_key": [f"u{i}" for i in range(len(users))],
            "item_index": pa.array([[e[0] for e in u] for u in users], pa.list_(pa.int32())),
            "event_time": pa.array([[e[1] for e in u] for u in users], pa.list_(pa.int64())),
            "session_number": pa.array([[e[2] for e in u] for u in users], pa.list_(pa.int32())),
        }
    )
    return Histories.from_arrow(table)


def as_lists(sets) -> list[list[int]]:
    return [
        sets.items[a:b].tolist() for a, b in zip(sets.offsets[:-1], sets.offsets[1:], strict=True)
    ]


def test_rows_of_gold_sequences_become_flat_arrays():
    h = histories([(1, 10, 0), (2, 11, 0)], [], [(3, 5, 0)])
    assert h.offsets.tolist() == [0, 2, 2, 3]
    assert h.items.tolist() == [1, 2, 3]
    assert h.owner.tolist() == [0, 0, 2]


def test_a_chunked_table_reads_like_a_whole_one():
    whole = pa.table(
        {
            "user_key": ["a", "b", "c"],
            "item_index": pa.array([[1], [2, 3], []], pa.list_(pa.int32())),
            "event_time": pa.array([[1], [2, 3], []], pa.list_(pa.int64())),
            "session_number": pa.array([[0], [0, 1], []], pa.list_(pa.int32())),
        }
    )
    parts = pa.concat_tables([whole.slice(1, 2), whole.slice(0, 1)])
    h = Histories.from_arrow(parts)
    assert h.users.tolist() == ["b", "c", "a"]
    assert h.items.tolist() == [2, 3, 1]
    assert len(Histories.from_arrow(whole.slice(0, 0))) == 0


def test_columns_of_different_length_in_a_row_are_refused():
    table = pa.table(
        {
            "user_key": ["a"],
            "item_index": pa.array([[1, 2]], pa.list_(pa.int32())),
            "event_time": pa.array([[1, 2]], pa.list_(pa.int64())),
            "session_number": pa.array([[0]], pa.list_(pa.int32())),
        }
    )
    with pytest.raises(DataError, match="session_number and item_index differ in length"):
        Histories.from_arrow(table)


def test_an_event_at_the_cut_is_not_before_it():
    h = histories([(1, 9, 0), (2, 10, 1)], [(3, 10, 0)]).before(10)
    assert h.offsets.tolist() == [0, 1, 1]
    assert h.items.tolist() == [1]


def test_the_first_session_that_starts_in_the_window_is_the_target():
    h = histories([(1, 5, 0), (4, 10, 1), (2, 11, 1), (9, 20, 2)])
    assert as_lists(h.first_session(10, 30)) == [[2, 4]]


def test_a_session_that_runs_across_the_start_is_not_a_target():
    h = histories([(1, 9, 0), (2, 10, 0), (3, 15, 1)])
    assert as_lists(h.first_session(10, 30)) == [[3]]


def test_a_session_that_starts_at_the_end_is_outside():
    h = histories([(1, 30, 0)])
    assert as_lists(h.first_session(10, 30)) == [[]]


def test_the_target_of_each_user_is_their_own():
    h = histories([(1, 12, 0)], [(2, 1, 0)], [(3, 1, 0), (4, 11, 1), (4, 12, 1)])
    assert as_lists(h.first_session(10, 30)) == [[1], [], [4]]


def test_taking_users_keeps_their_interactions_together():
    h = histories([(1, 1, 0)], [(2, 1, 0), (3, 2, 1)], [(4, 1, 0)])
    kept = h.take(np.array([False, True, True]))
    assert kept.users.tolist() == ["u1", "u2"]
    assert kept.items.tolist() == [2, 3, 4]
    assert h.slice(1, 2).items.tolist() == [2, 3]


def test_two_users_with_the_same_session_number_are_two_sessions():
    assert histories([(1, 1, 0)], [(2, 1, 0)]).session_starts().tolist() == [True, True]
    assert histories([], [(1, 1, 0)], []).session_starts().tolist() == [True]


def test_distinct_items_are_ascending_and_once():
    assert as_lists(histories([(5, 1, 0), (2, 2, 1), (5, 3, 2)]).distinct_items()) == [[2, 5]]
