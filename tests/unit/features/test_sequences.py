"""Histories: order, sessions, one item once a session, the vocabulary."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.features.rows import DAY, event_rows, session_rows, sessions_by_gap, shuffled
from truelift.errors import InvariantError
from truelift.features.catalogue import LookupSource
from truelift.features.sequences import (
    SEQUENCE_SCHEMA,
    SequenceKernel,
    SequenceShape,
    build_sequences,
)
from truelift.features.timelines import BucketEvents


def built(events: pa.Table, sessions: pa.Table, index: dict[str, int], limit=None) -> list[dict]:
    laid = BucketEvents.of(events)
    places = np.array([index.get(i, 0) for i in laid.items.to_pylist()])
    return build_sequences(laid, sessions, places, SequenceShape(limit)).to_pylist()


def test_a_history_is_in_time_order_with_zero_based_session_numbers():
    rows = built(
        event_rows(("u", 3.0, "b", 1), ("u", 1.0, "a", 1), ("u", 1.01, "c", 1)),
        session_rows(("u", 1.0), ("u", 3.0)),
        {"a": 1, "b": 2, "c": 3},
    )
    (row,) = rows
    assert (row["user_key"], row["item_index"]) == ("u", [1, 3, 2])
    assert row["event_time"] == [DAY, round(1.01 * DAY), 3 * DAY]
    assert row["session_number"] == [0, 0, 1]
    # 864 s and 1.99 days since the interaction before: 1 + floor(log2(1 + seconds)).
    assert row["gap_bucket"] == [0, 10, 18]


def test_an_item_stands_once_in_a_session_at_its_first_time():
    rows = built(
        event_rows(
            ("u", 1.0, "a", 1), ("u", 1.001, "b", 1), ("u", 1.002, "a", 1), ("u", 2, "a", 1)
        ),
        session_rows(("u", 1.0), ("u", 2)),
        {"a": 1, "b": 2},
    )
    assert rows[0]["item_index"] == [1, 2, 1]
    assert rows[0]["event_time"][0] == DAY


def test_two_items_of_one_key_in_a_session_are_one():
    rows = built(
        event_rows(("u", 1, "skim milk", 1), ("u", 1, "whole milk", 1)),
        session_rows(("u", 1)),
        {"skim milk": 4, "whole milk": 4},
    )
    assert rows[0]["item_index"] == [4]


def test_events_outside_the_vocabulary_are_left_out_but_their_sessions_are_counted():
    rows = built(
        event_rows(("u", 1, "rare", 1), ("u", 2, "a", 1), ("u", 3, None, 1)),
        session_rows(("u", 1), ("u", 2), ("u", 3)),
        {"a": 1},
    )
    assert rows[0]["item_index"] == [1]
    assert rows[0]["session_number"] == [1]


def test_a_user_with_nothing_in_the_vocabulary_has_no_row():
    assert built(event_rows(("u", 1, "rare", 1)), session_rows(("u", 1)), {}) == []


def test_only_the_last_events_are_kept_where_a_maximum_is_set():
    rows = built(
        event_rows(*[("u", day, f"i{day}", 1) for day in range(5)], ("v", 1, "i0", 1)),
        session_rows(*[("u", day) for day in range(5)], ("v", 1)),
        {f"i{day}": day + 1 for day in range(5)},
        2,
    )
    assert [row["item_index"] for row in rows] == [[4, 5], [1]]
    assert rows[0]["session_number"] == [3, 4]


def test_the_order_inside_one_time_is_not_the_order_of_the_index():
    items = [f"i{n:02d}" for n in range(40)]
    index = {item: n + 1 for n, item in enumerate(items)}
    orders = []
    for user in ("u", "v"):
        rows = built(event_rows(*[(user, 1, i, 1) for i in items]), session_rows((user, 1)), index)
        orders.append(rows[0]["item_index"])
        assert sorted(rows[0]["item_index"]) == list(range(1, 41))
        correlation = np.corrcoef(rows[0]["item_index"], np.arange(40))[0, 1]
        assert abs(correlation) < 0.5
    assert orders[0] != orders[1]


def test_an_event_before_all_sessions_of_its_user_is_refused():
    with pytest.raises(InvariantError, match=r"'u'.*silver\.sessions"):
        built(event_rows(("u", 1, "a", 1)), session_rows(("u", 2)), {"a": 1})


def test_the_kernel_writes_the_tables_columns_and_takes_an_empty_bucket():
    kernel = SequenceKernel(None, VOCABULARY)
    empty = kernel(3, {"events": typed(event_rows()), "sessions": session_rows()})
    assert empty.schema == SEQUENCE_SCHEMA
    assert empty.num_rows == 0
    rows = typed(event_rows(("u", 1, "a", 1)), "view")
    one = kernel(3, {"events": rows, "sessions": session_rows(("u", 1))})
    assert one["bucket"].to_pylist() == [3]


VOCABULARY = LookupSource.of_table(
    pa.table(
        {
            "item_key": ["a", "b"],
            "item_index": pa.array([1, 2], pa.int32()),
            "category_index": pa.array([7, 0], pa.int32()),
        }
    )
)


def typed(events: pa.Table, *kinds: str) -> pa.Table:
    quantity = pa.array([float(n) for n in range(events.num_rows)], pa.float64())
    added = events.append_column("event_type", pa.array(kinds, pa.string()))
    return added.append_column("quantity", quantity)


def test_type_category_and_quantity_go_with_their_interaction():
    events = typed(
        event_rows(("u", 3.0, "b", 1), ("u", 1.0, "a", 1), ("v", 1.0, "a", 1), ("u", 2.0, "a", 1)),
        "buy", "view", "odd", "buy",
    )  # fmt: skip
    sessions = session_rows(("u", 1.0), ("u", 3.0), ("v", 1.0))
    shape = SequenceShape(repeats=True, event_types=("buy", "view"))
    rows = SequenceKernel(None, VOCABULARY, shape)(0, {"events": events, "sessions": sessions})
    u, v = rows.to_pylist()
    assert (u["item_index"], u["event_type"]) == ([1, 1, 2], [2, 1, 1])
    assert (u["category"], u["quantity"]) == ([7, 7, 0], [1.0, 3.0, 0.0])
    assert (v["event_type"], v["gap_bucket"]) == ([0], [0])


def test_repeats_stay_where_they_are_asked_for_and_a_session_can_be_a_row():
    events = event_rows(("u", 1.0, "a", 1), ("u", 1.001, "a", 1), ("u", 5.0, "b", 1))
    sessions = session_rows(("u", 1.0), ("u", 5.0))
    laid = BucketEvents.of(events)
    shape = SequenceShape(repeats=True, sequence_of="session")
    rows = build_sequences(laid, sessions, np.array([1, 2]), shape).to_pylist()
    assert [(r["user_key"], r["item_index"]) for r in rows] == [("u", [1, 1]), ("u", [2])]
    assert [r["session_number"] for r in rows] == [[0, 0], [1]]
    last = SequenceShape(max_events=1, repeats=True, sequence_of="session")
    assert [
        r["item_index"] for r in build_sequences(laid, sessions, np.array([1, 2]), last).to_pylist()
    ] == [[1], [2]]


_ROWS = st.lists(
    st.tuples(
        st.sampled_from(["u", "v"]),
        st.integers(0, 200).map(lambda n: n / 100),
        st.sampled_from(["a", "b", "c", None]),
        st.just(1.0),
    ),
    min_size=1,
    max_size=30,
)


@settings(deadline=None, max_examples=40)
@given(_ROWS, st.randoms(use_true_random=False))
def test_a_history_does_not_depend_on_the_order_of_rows_and_holds_each_session_item_once(
    rows, random
):
    index = {"a": 1, "b": 2, "c": 3}
    events = event_rows(*rows)
    sessions = sessions_by_gap(events)
    order = list(range(len(rows)))
    random.shuffle(order)
    result = built(events, sessions, index)
    assert result == built(shuffled(events, order), sessions, index)
    for row in result:
        assert row["event_time"] == sorted(row["event_time"])
        pairs = list(zip(row["session_number"], row["item_index"], strict=True))
        assert len(pairs) == len(set(pairs))
        distinct = {
            (number, item)
            for number, item in _session_items(events, sessions, row["user_key"])
            if item is not None
        }
        assert set(pairs) == {(number, index[item]) for number, item in distinct}


def _session_items(events, sessions, user):
    starts = sorted(s["start"] for s in sessions.to_pylist() if s["user_key"] == user)
    for event in events.to_pylist():
        if event["user_key"] == user:
            number = sum(1 for start in starts if start <= event["event_time"]) - 1
            yield number, event["item_id"]
