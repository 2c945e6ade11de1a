"""A bucket larger than memory gives the sessions that it would give at once."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.logs.session_rows import FAR, at, events, options
from truelift.errors import InvariantError
from truelift.lake.periods import period_of
from truelift.logs.sessions.kernel import SESSION_SCHEMA, SessionKernel

DAY = 86_400
START = at("2024-01-01")


def day_by_day(table, batch_rows=3):
    """Batches of one day each, days in order, rows inside in the order given."""
    days = period_of(table["event_time"], "day").to_pylist()
    for day in sorted(set(days)):
        rows = [n for n, d in enumerate(days) if d == day]
        yield from table.take(pa.array(rows)).combine_chunks().to_batches(batch_rows)


def rows_of(tables):
    return pa.concat_tables(tables).sort_by([("user_key", "ascending"), ("start", "ascending")])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.integers(0, 4),
            st.sampled_from([0, 1, 1799, 1800, 40_000, DAY - 1, DAY - 1800, DAY - 1801]),
        ),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from([{}, {"split_on": ("gap", "day"), "time_zone": "Asia/Tokyo"}]),
    st.sampled_from([1, 1000, 10**9]),
)
def test_sessions_in_parts_are_those_of_the_whole_bucket(rows, chosen, most_bytes):
    table = events(*((user, START + day * DAY + second) for user, day, second in rows))
    kernel = SessionKernel(options(**chosen), FAR * 10, "day", most_bytes)
    parts = list(kernel.in_parts(3, day_by_day(table), table.schema))
    whole = kernel(3, {"events": table})
    assert rows_of(parts).equals(rows_of([whole]))


def test_what_is_held_does_not_grow_with_the_days():
    held = []

    class Watching(SessionKernel):
        def __call__(self, bucket, tables):
            held.append(tables["events"].num_rows)
            return super().__call__(bucket, tables)

    rows = [("u", START + day * DAY + 600 * n) for day in range(200) for n in range(5)]
    table = events(*rows)
    kernel = Watching(options(), FAR * 10, "day", 1)
    parts = list(kernel.in_parts(0, day_by_day(table), table.schema))
    assert max(held) <= 10
    assert sum(part.num_rows for part in parts) == 200


def test_a_bucket_without_events_has_one_empty_table():
    schema = events().schema
    (table,) = SessionKernel(options(), FAR, "day", 1).in_parts(0, iter([]), schema)
    assert table.num_rows == 0
    assert table.schema.equals(SESSION_SCHEMA)


def test_periods_out_of_order_are_refused():
    table = events(("u", START), ("u", START + DAY), ("u", START + 5 * DAY))
    first, second, third = (table.slice(n, 1).combine_chunks().to_batches()[0] for n in range(3))
    kernel = SessionKernel(options(), FAR * 10, "day", 1)
    with pytest.raises(InvariantError, match="events of 2024-01-01 came after those of"):
        list(kernel.in_parts(0, iter([second, third, first]), table.schema))
