"""One bucket of events to the same events with their place in their session."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.arrays.texts import encode
from truelift.arrays.times import MICROSECONDS
from truelift.logs.sessions.boundaries import order_ties
from truelift.logs.sessions.bucket import CutBucket, cut_bucket
from truelift.logs.sessions.kernel import event_columns
from truelift.settings import SessionOptions

_KEPT = ("event_id", "user_key", "event_time", "event_type", "item_id", "quantity", "value")
EVENT_SESSION_SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("user_key", pa.string()),
        ("event_time", pa.timestamp("us", tz="UTC")),
        ("event_type", pa.string()),
        ("item_id", pa.string()),
        ("quantity", pa.float64()),
        ("value", pa.float64()),
        ("session_id", pa.string()),
        ("sequence_number", pa.int32()),
        ("seconds_since_previous", pa.float64()),
        ("dwell_seconds", pa.float64()),
        ("is_entry", pa.bool_()),
        ("is_exit", pa.bool_()),
        ("bucket", pa.int32()),
    ]
)
EVENT_SESSION_DDL = (
    "event_id string, user_key string, event_time timestamp, event_type string, "
    "item_id string, quantity double, value double, session_id string, sequence_number int, "
    "seconds_since_previous double, dwell_seconds double, is_entry boolean, is_exit boolean, "
    "bucket int"
)


def event_session_columns(options: SessionOptions) -> tuple[str, ...]:
    """Columns of ``silver.events`` that :class:`EventSessionKernel` reads."""
    return ("event_id", *event_columns(options))


@dataclass(frozen=True)
class EventSessionKernel:
    """Row kernel: the bucket's ``events`` with session, sequence number and dwell time.

    ``sequence_number`` counts from 1. ``dwell_seconds`` is the time to the next event of the
    session, null for the last; ``seconds_since_previous`` is null for the first. Sessions and
    the order inside are those of
    :class:`~truelift.logs.sessions.kernel.SessionKernel`: by time, then item, value, quantity
    and event id.
    """

    options: SessionOptions

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        events = tables["events"]
        held = cut_bucket(events, self.options)
        cuts = held.cuts
        order = _total_order(held, events["event_id"])
        time = held.time[order]
        entry = np.zeros(len(order), dtype=bool)
        entry[cuts.starts] = True
        leave = np.zeros(len(order), dtype=bool)
        leave[cuts.lasts] = True
        gap = np.zeros(len(order))
        gap[1:] = (time[1:] - time[:-1]) / MICROSECONDS
        number = np.arange(1, len(order) + 1) - np.repeat(cuts.starts, cuts.lengths)
        columns = {name: events[name] for name in _KEPT}
        taken = pa.table(columns).take(pa.array(order))
        added = {
            "session_id": held.session_ids().take(pa.array(cuts.session)),
            "sequence_number": pa.array(number, pa.int32()),
            "seconds_since_previous": pa.array(gap, mask=entry),
            "dwell_seconds": pa.array(np.append(gap[1:], [0.0] * (len(gap) > 0)), mask=leave),
            "is_entry": pa.array(entry),
            "is_exit": pa.array(leave),
            "bucket": pa.array(np.full(len(order), bucket), pa.int32()),
        }
        arrays = dict(zip(taken.column_names, taken.columns, strict=True)) | added
        return pa.table(arrays).cast(EVENT_SESSION_SCHEMA)


def _total_order(held: CutBucket, event_id: pa.ChunkedArray) -> np.ndarray:
    """The order of the cut, with event ids deciding among events that are equal in all else.

    Only the ids of such events are sorted, for texts are slow.
    """
    order, session = held.cuts.order, held.cuts.session
    same = session[1:] == session[:-1]
    for numbers in (held.time, held.items.codes, held.value, held.quantity):
        ordered = numbers[order]
        equal = ordered[1:] == ordered[:-1]
        if numbers.dtype.kind == "f":
            equal |= np.isnan(ordered[1:]) & np.isnan(ordered[:-1])
        same &= equal
    if not same.any():
        return order
    tied = np.zeros(len(order), dtype=bool)
    tied[1:] |= same
    tied[:-1] |= same
    rows = order[tied]
    codes = np.zeros(len(order), dtype=np.int64)
    codes[rows] = encode(event_id.take(pa.array(rows))).codes
    return order_ties(order, same, (codes,))
