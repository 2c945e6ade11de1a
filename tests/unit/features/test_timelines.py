"""Window arithmetic on sorted rows."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.features.rows import event_rows, session_rows
from truelift.features.timelines import (
    BucketEvents,
    Timeline,
    segment_counts,
    segment_sums,
    session_timeline,
)


def test_a_row_at_the_instant_is_not_before_it():
    line = Timeline.of(np.array([0, 0, 1]), np.array([5, 10, 10]), 2)
    assert line.before(10).tolist() == [1, 2]
    assert line.before(11).tolist() == [2, 3]


def test_a_user_without_rows_has_an_empty_stretch():
    line = Timeline.of(np.array([0, 2]), np.array([1, 1]), 3)
    assert line.offsets.tolist() == [0, 1, 1, 2]
    assert line.before(5).tolist() == [1, 1, 2]


def test_last_row_not_after_an_instant_belongs_to_the_same_user():
    line = Timeline.of(np.array([0, 0, 1]), np.array([5, 10, 7]), 2)
    found = line.last_at(np.array([0, 0, 0, 1, 1]), np.array([4, 5, 99, 6, 7]))
    assert found.tolist() == [-1, 0, 1, -1, 2]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-20, 20))), st.integers(-25, 25))
def test_before_counts_what_a_loop_counts(rows, instant):
    rows = sorted(rows)
    user = np.array([u for u, _ in rows], dtype=np.int64)
    line = Timeline.of(user, np.array([t for _, t in rows], dtype=np.int64), 4)
    expected = [sum(1 for u, t in rows if u == user and t < instant) for user in range(4)]
    assert (line.before(instant) - line.offsets[:-1]).tolist() == expected


def test_segment_sums_take_each_stretch_and_nothing_for_an_empty_one():
    values = np.array([1.0, 2.0, 4.0, 8.0])
    sums = segment_sums(values, np.array([0, 2, 4]), np.array([2, 2, 4]))
    assert sums.tolist() == [3.0, 0.0, 0.0]


def test_a_segment_sum_is_untouched_by_a_huge_value_outside_it():
    values = np.array([1e300, 0.1, 0.2])
    assert segment_sums(values, np.array([1]), np.array([3]))[0] == 0.1 + 0.2


def test_segment_counts_are_exact():
    flags = np.array([True, False, True, True])
    assert segment_counts(flags, np.array([0, 2]), np.array([2, 4])).tolist() == [1, 2]


def test_events_are_laid_out_by_user_time_item_and_value():
    events = BucketEvents.of(
        event_rows(("b", 1, "x", 1.0), ("a", 2, "y", 5.0), ("a", 2, "x", 3.0), ("a", 1, "z", None))
    )
    assert events.users.to_pylist() == ["a", "b"]
    assert [events.items[int(i)].as_py() for i in events.item] == ["z", "x", "y", "x"]
    assert events.value.tolist() == [0.0, 3.0, 5.0, 1.0]


def test_the_layout_does_not_depend_on_the_order_of_rows():
    rows = [("a", 1, "x", 0.1), ("a", 1, "x", 0.2), ("a", 1, None, -0.0), ("b", 0, "y", 0.0)]
    one, other = BucketEvents.of(event_rows(*rows)), BucketEvents.of(event_rows(*rows[::-1]))
    assert one.value.tobytes() == other.value.tobytes()
    assert one.item.tolist() == other.item.tolist()


def test_only_the_first_meeting_with_an_item_is_new():
    events = BucketEvents.of(
        event_rows(("a", 1, "x", 1), ("a", 2, "x", 1), ("a", 3, None, 1), ("b", 4, "x", 1))
    )
    assert events.first_of_item().tolist() == [True, False, False, True]


def test_sessions_of_users_without_events_are_left_out():
    line = session_timeline(session_rows(("b", 1), ("zz", 2), ("a", 3)), pa.array(["a", "b"]))
    assert line.offsets.tolist() == [0, 1, 2]


def test_no_rows_at_all_are_no_users():
    events = BucketEvents.of(event_rows())
    assert len(events.users) == 0
    assert events.timeline.before(5).tolist() == []
