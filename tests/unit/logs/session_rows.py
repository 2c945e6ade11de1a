"""Events of a bucket and their sessions, as short literal tables."""

from __future__ import annotations

import datetime

import pyarrow as pa

from truelift.logs.sessions.kernel import SessionKernel
from truelift.settings import SessionOptions

MICROSECONDS = 1_000_000
TIMEOUT = 1800
FAR = 10**15


def options(**chosen):
    """Session options whose timeout may be a fraction of what the tests' times are."""
    return SessionOptions(**{"timeout_seconds": TIMEOUT, **chosen})


def at(text):
    """Seconds since the epoch of an ISO time; with an offset, or in UTC."""
    moment = datetime.datetime.fromisoformat(text)
    return moment.replace(tzinfo=moment.tzinfo or datetime.timezone.utc).timestamp()


def events(*rows, **columns):
    """A bucket's events from (user, seconds) pairs; other columns by name.

    ``campaign`` gives the context of each event, or none where it is None.
    """
    count = len(rows)
    campaign = columns.pop("campaign", [None] * count)
    given_columns = {
        "event_id": [f"e{number:06}" for number in range(count)],
        "event_type": ["view"] * count,
        "item_id": ["a"] * count,
        "quantity": [1.0] * count,
        "value": [1.0] * count,
        "source_session": [None] * count,
        "labels": [[]] * count,
        "context": [[("campaign", name)] if name is not None else [] for name in campaign],
        **columns,
    }
    types = {
        "quantity": pa.float64(),
        "value": pa.float64(),
        "labels": pa.list_(pa.string()),
        "context": pa.map_(pa.string(), pa.string()),
    }
    micros = pa.array([round(seconds * MICROSECONDS) for _, seconds in rows], pa.int64())
    arrays = {
        "user_key": pa.array([user for user, _ in rows], pa.string()),
        "event_time": micros.cast(pa.timestamp("us", tz="UTC")),
    }
    for name, values in given_columns.items():
        arrays[name] = pa.array(values, types.get(name, pa.string()))
    return pa.table(arrays)


def sessions(table, end_of_data=FAR, unit="day", **chosen):
    """Rows of ``silver.sessions`` of bucket 3."""
    return SessionKernel(options(**chosen), end_of_data, unit)(3, {"events": table})


def seconds_of(column):
    return (column.cast(pa.int64()).to_numpy() / MICROSECONDS).tolist()


def spans(table, **chosen):
    """(user, first second, last second, events) of every session."""
    made = sessions(table, **chosen)
    start, end = seconds_of(made["start"]), seconds_of(made["end"])
    return list(
        zip(made["user_key"].to_pylist(), start, end, made["events"].to_pylist(), strict=True)
    )


def starts(table, **chosen):
    """First seconds of all sessions, user by user."""
    return seconds_of(sessions(table, **chosen)["start"])
