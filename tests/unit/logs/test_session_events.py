"""Events with their place in their session."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.logs.session_rows import events, options, sessions
from truelift.logs.sessions.events import (
    EVENT_SESSION_DDL,
    EVENT_SESSION_SCHEMA,
    EventSessionKernel,
    event_session_columns,
)
from truelift.settings import SessionOptions


def placed(table, **chosen):
    return EventSessionKernel(options(**chosen))(3, {"events": table})


def test_events_are_numbered_and_timed_within_their_session():
    made = placed(events(("u", 100), ("u", 0), ("u", 9000), ("u", 130.5)))
    assert made["sequence_number"].to_pylist() == [1, 2, 3, 1]
    assert made["seconds_since_previous"].to_pylist() == [None, 100.0, 30.5, None]
    assert made["dwell_seconds"].to_pylist() == [100.0, 30.5, None, None]
    assert made["is_entry"].to_pylist() == [True, False, False, True]
    assert made["is_exit"].to_pylist() == [False, False, True, True]
    assert made["event_id"].to_pylist() == ["e000001", "e000000", "e000003", "e000002"]
    assert made["bucket"].to_pylist() == [3] * 4


def test_equal_events_at_one_moment_are_in_the_order_of_their_ids():
    rows = [("u", 5)] * 4
    made = placed(events(*rows, event_id=["d", "b", "c", "a"], item_id=["x", "y", "x", "y"]))
    assert made["event_id"].to_pylist() == ["c", "d", "a", "b"]
    assert made["dwell_seconds"].to_pylist() == [0.0, 0.0, 0.0, None]


def test_equal_events_of_interleaved_given_sessions_stay_in_theirs():
    rows = [("u", 5)] * 4
    table = events(*rows, event_id=["d", "b", "c", "a"], source_session=["s", "t", "s", "t"])
    made = placed(table, given="respect")
    assert made["event_id"].to_pylist() == ["c", "d", "a", "b"]
    assert made["sequence_number"].to_pylist() == [1, 2, 1, 2]


def test_a_bucket_without_events_has_no_rows_of_events():
    made = placed(events())
    assert (made.num_rows, made.schema) == (0, EVENT_SESSION_SCHEMA)


def test_the_columns_are_those_that_spark_is_told():
    assert [part.split()[0] for part in EVENT_SESSION_DDL.split(", ")] == EVENT_SESSION_SCHEMA.names
    assert event_session_columns(SessionOptions())[0] == "event_id"


@settings(max_examples=120, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]),
            st.integers(0, 60),
            st.sampled_from(["x", "y", None]),
            st.sampled_from([1.0, 2.0, None]),
            st.sampled_from([None, "s", "t"]),
            st.sampled_from([None, "A", "B"]),
        ),
        max_size=40,
    ),
    chosen=st.sampled_from(
        [
            {},
            {"given": "respect"},
            {"split_on": ("campaign",)},
            {"split_on": ("day", "max_duration"), "max_duration_seconds": 15},
        ]
    ),
    random=st.randoms(use_true_random=False),
)
def test_events_and_sessions_say_the_same(rows, chosen, random):
    table = events(
        *((row[0], row[1]) for row in rows),
        item_id=[row[2] for row in rows],
        value=[row[3] for row in rows],
        source_session=[row[4] for row in rows],
        campaign=[row[5] for row in rows],
    )
    chosen = {**chosen, "timeout_seconds": 7}
    made = placed(table, **chosen)
    mixed = list(range(len(rows)))
    random.shuffle(mixed)
    assert placed(table.take(pa.array(mixed, pa.int64())), **chosen) == made
    found = {}
    for row in made.to_pylist():
        found.setdefault(row["session_id"], []).append(row)
    expected = sessions(table, **chosen).to_pylist()
    assert list(found) == [session["session_id"] for session in expected]
    for session in expected:
        own = found[session["session_id"]]
        assert [row["sequence_number"] for row in own] == list(range(1, session["events"] + 1))
        assert (own[0]["event_time"], own[-1]["event_time"]) == (session["start"], session["end"])
        assert (own[0]["item_id"], own[-1]["item_id"]) == (
            session["entry_item"],
            session["exit_item"],
        )
        assert [row["is_entry"] for row in own].count(True) == 1
        assert own[0]["is_entry"] and own[-1]["is_exit"]
        assert own[0]["seconds_since_previous"] is own[-1]["dwell_seconds"] is None
        dwelt = [row["dwell_seconds"] for row in own[:-1]]
        assert dwelt == [row["seconds_since_previous"] for row in own[1:]]
        assert sum(dwelt) == session["duration_seconds"]
        assert {row["user_key"] for row in own} == {session["user_key"]}
