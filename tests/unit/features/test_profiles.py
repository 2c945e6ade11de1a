"""User profiles and counts of items and categories."""

import datetime

from tests.unit.features.rows import catalogue_rows, event_rows, session_rows
from truelift.features.catalogue import LookupSource
from truelift.features.profiles import (
    PROFILE_SCHEMA,
    ItemCountKernel,
    ProfileKernel,
)

EVENTS = event_rows(
    ("u", 1, "x", 2.5), ("u", 1, "y", None), ("u", 4, "x", -1.0), ("v", 2, None, 7.0)
)


def day(number: int) -> datetime.datetime:
    return datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(number)


def test_a_profile_counts_events_sessions_value_and_distinct_items():
    sessions = session_rows(("u", 1), ("u", 4), ("v", 2))
    table = ProfileKernel()(5, {"events": EVENTS, "sessions": sessions})
    assert table.schema.names == PROFILE_SCHEMA.names
    assert table.to_pylist() == [
        {
            "user_key": "u", "first_time": day(1), "last_time": day(4), "events": 3,
            "sessions": 2, "value": 1.5, "distinct_items": 2, "bucket": 5,
        },
        {
            "user_key": "v", "first_time": day(2), "last_time": day(2), "events": 1,
            "sessions": 1, "value": 7.0, "distinct_items": 0, "bucket": 5,
        },
    ]  # fmt: skip


def test_an_item_key_counts_events_and_distinct_users_and_a_missing_key_is_counted_too():
    events = event_rows(
        ("u", 1, "1", 1), ("u", 2, "2", 1), ("v", 1, "1", 1), ("v", 1, "9", 1), ("v", 1, None, 1)
    )
    catalogue = LookupSource.of_table(catalogue_rows(("1", "milk", "d"), ("2", "milk", "d")))
    rows = ItemCountKernel(catalogue)(0, {"events": events}).to_pylist()
    assert rows == [
        {"item_key": "milk", "events": 3, "users": 2},
        {"item_key": None, "events": 2, "users": 1},
    ]


def test_item_counts_of_no_events_are_zero():
    rows = ItemCountKernel(None)(0, {"events": event_rows()}).to_pylist()
    assert rows == [{"item_key": None, "events": 0, "users": 0}]
