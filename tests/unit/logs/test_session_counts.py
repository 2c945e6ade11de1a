"""Counts of sessions by date, and users, from the rows of a bucket."""

from __future__ import annotations

import datetime
from collections import Counter

import pyarrow as pa

from truelift.logs.session_counts import DayCounts, SessionCountKernel

SCHEMA = pa.schema(
    [
        ("user_key", pa.string()),
        ("start", pa.timestamp("us", tz="UTC")),
        ("events", pa.int32()),
        ("is_open", pa.bool_()),
    ]
)


def counted(*rows: tuple[str, str, int, bool]) -> list[tuple]:
    named = [
        dict(
            zip(
                SCHEMA.names, (u, datetime.datetime.fromisoformat(f"{t}+00:00"), *rest), strict=True
            )
        )
        for u, t, *rest in rows
    ]
    table = pa.concat_tables(pa.Table.from_pylist([row], SCHEMA) for row in named)
    return [tuple(row.values()) for row in SessionCountKernel()(3, {"sessions": table}).to_pylist()]


def test_each_date_has_its_sessions_events_and_open_ones_and_each_user_a_row():
    found = counted(
        ("b", "2024-01-02T00:00:00", 3, False),
        ("a", "2024-01-01T23:59:59.999999", 2, False),
        ("a", "2024-01-02T10:00:00", 4, True),
    )
    assert found == [
        ("2024-01-01", 1, 2, 0, None),
        ("2024-01-02", 2, 7, 1, None),
        (None, None, None, None, "b"),
        (None, None, None, None, "a"),
    ]


def test_the_moment_before_1970_is_a_day_of_1969():
    assert counted(("a", "1969-12-31T23:59:59.999999", 1, False))[0][0] == "1969-12-31"


def test_a_bucket_without_sessions_has_no_rows():
    table = SCHEMA.empty_table()
    assert SessionCountKernel()(0, {"sessions": table}).num_rows == 0


def test_a_difference_forgets_dates_without_sessions_and_keeps_the_sketch():
    before = DayCounts(Counter({"2024-01-01": 2, "2024-01-02": 1}), 9, 1, b"s", 3)
    less = before.plus(DayCounts(Counter({"2024-01-02": 1}), 4, 1, b"t", 1), -1)
    assert less == DayCounts(Counter({"2024-01-01": 2}), 5, 0, b"s")
