"""One bucket of events to its rows of ``silver.sessions``, with NumPy and Arrow alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.errors import InvariantError
from truelift.logs.sessions.boundaries import (
    MICROSECONDS,
    Codes,
    SortedEvents,
    cut,
    encode,
    microseconds,
)
from truelift.logs.sessions.identity import session_ids, text_hashes

EVENT_COLUMNS = (
    "user_key",
    "event_time",
    "event_type",
    "item_id",
    "quantity",
    "value",
    "source_session",
    "labels",
)
_MOMENT = pa.timestamp("us", tz="UTC")
SESSION_SCHEMA = pa.schema(
    [
        ("session_id", pa.string()),
        ("user_key", pa.string()),
        ("start", _MOMENT),
        ("end", _MOMENT),
        ("events", pa.int32()),
        ("items", pa.int32()),
        ("quantity", pa.float64()),
        ("value", pa.float64()),
        ("event_types", pa.map_(pa.string(), pa.int32())),
        ("is_open", pa.bool_()),
        ("source_sessions", pa.int32()),
        ("labels", pa.list_(pa.string())),
        ("bucket", pa.int32()),
    ]
)


@dataclass(frozen=True)
class SessionKernel:
    """Cut a bucket's events into sessions and total them.

    Attributes
    ----------
    timeout_seconds : int
        A gap greater than this starts a new session; a gap equal to it does not.
    end_of_data : int
        Microseconds of the last event of the whole table. A session whose last event is no
        further than the timeout from it is open: more of it may still come.
    respect_source_session : bool
        The events of one given session id (of one user) are one session, whatever their
        gaps; the timeout is used for events without an id.
    """

    timeout_seconds: int
    end_of_data: int
    respect_source_session: bool = False

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        events = tables["events"]
        users, time = encode(events["user_key"]), microseconds(events["event_time"])
        given = encode(events["source_session"])
        quantity, value = _numbers(events["quantity"]), _numbers(events["value"])
        cuts = sessions_of(
            users, time, given, self.timeout_seconds, self.respect_source_session, (value, quantity)
        )
        starts, first = time[cuts.order[cuts.starts]], cuts.order[cuts.starts]
        ends, user = time[cuts.order[cuts.lasts]], users.codes[first]
        count = len(cuts.starts)
        source_hashes = None
        if self.respect_source_session:
            # Row -1, of events without an id, is the empty text's.
            hashes = text_hashes(pa.concat_arrays([given.values, pa.array([""], pa.string())]))
            source_hashes = hashes[given.codes[first]]
        columns = {
            "session_id": session_ids(text_hashes(users.values)[user], starts, source_hashes),
            "user_key": users.values.take(pa.array(user)),
            "start": pa.array(starts, pa.int64()).cast(_MOMENT),
            "end": pa.array(ends, pa.int64()).cast(_MOMENT),
            "events": pa.array(cuts.lengths, pa.int32()),
            "items": pa.array(_distinct(cuts, encode(events["item_id"])), pa.int32()),
            "quantity": pa.array(_sums(cuts, quantity), pa.float64()),
            "value": pa.array(_sums(cuts, value), pa.float64()),
            "event_types": _counts(cuts, encode(events["event_type"])),
            "is_open": pa.array(self.end_of_data - ends <= self.timeout_seconds * MICROSECONDS),
            "source_sessions": pa.array(_distinct(cuts, given), pa.int32()),
            "labels": _labels(cuts, events["labels"]),
            "bucket": pa.array(np.full(count, bucket), pa.int32()),
        }
        table = pa.table(columns, schema=SESSION_SCHEMA)
        if int(cuts.lengths.sum()) != events.num_rows:
            raise InvariantError(
                f"Bucket {bucket}: {events.num_rows} events came in and "
                f"{int(cuts.lengths.sum())} lie in sessions."
            )
        return table


def sessions_of(
    users: Codes,
    time: np.ndarray,
    given: Codes,
    timeout_seconds: int,
    respect_source_session: bool = False,
    ties: tuple[np.ndarray, ...] = (),
) -> SortedEvents:
    """Cut events into sessions by time, or by the given session id where it is respected."""
    timeout = timeout_seconds * MICROSECONDS
    if not respect_source_session:
        return cut(users.codes, time, timeout, ties)
    group = users.codes * np.int64(given.size + 1) + given.codes + 1
    # Gaps inside a given session do not count: its events are laid at one moment for the cut.
    flat = np.where(given.codes >= 0, time.min(initial=0), time)
    cuts = cut(group, flat, timeout, (time, *ties))
    return _in_order_of_time(cuts, users.codes, time)


def _in_order_of_time(cuts: SortedEvents, user: np.ndarray, time: np.ndarray) -> SortedEvents:
    """The same sessions, listed by user and start."""
    first = cuts.order[cuts.starts]
    rank = np.lexsort((np.arange(len(first)), time[first], user[first]))
    lengths = cuts.lengths[rank]
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]) if len(rank) else cuts.starts
    within = np.arange(len(cuts.order)) - np.repeat(starts, lengths)
    order = cuts.order[np.repeat(cuts.starts[rank], lengths) + within]
    return SortedEvents(order, starts.astype(np.int64), np.repeat(np.arange(len(rank)), lengths))


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """Doubles with NaN for null."""
    return column.combine_chunks().cast(pa.float64()).to_numpy(zero_copy_only=False)


def _sums(cuts: SortedEvents, numbers: np.ndarray) -> np.ndarray:
    """Sum per session in canonical order; missing numbers count as nothing."""
    if not len(cuts.starts):
        return np.empty(0)
    ordered = numbers[cuts.order]
    return np.add.reduceat(np.where(np.isnan(ordered), 0.0, ordered), cuts.starts)


def distinct_pairs(
    session: np.ndarray, codes: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct (session, code) pairs in order, and how often each occurs; code -1 is left out."""
    known = codes >= 0
    pairs, counts = np.unique(session[known] * np.int64(max(size, 1)) + codes[known],
                              return_counts=True)  # fmt: skip
    return pairs // max(size, 1), pairs % max(size, 1), counts


def _distinct(cuts: SortedEvents, column: Codes) -> np.ndarray:
    sessions, _, _ = distinct_pairs(cuts.session, column.codes[cuts.order], column.size)
    return np.bincount(sessions, minlength=len(cuts.starts))


def _offsets(sessions: np.ndarray, count: int) -> pa.Array:
    sizes = np.bincount(sessions, minlength=count)
    return pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32())


def _counts(cuts: SortedEvents, types: Codes) -> pa.MapArray:
    """Events per type, keys in the order of their names."""
    sessions, codes, counts = distinct_pairs(cuts.session, types.codes[cuts.order], types.size)
    return pa.MapArray.from_arrays(
        _offsets(sessions, len(cuts.starts)),
        types.values.take(pa.array(codes)).cast(pa.string()),
        pa.array(counts, pa.int32()),
    )


def _labels(cuts: SortedEvents, column: pa.ChunkedArray) -> pa.ListArray:
    """Distinct labels of a session's events, in the order of their names."""
    labels = column.combine_chunks()
    flat, parents = encode(labels.flatten()), np.asarray(pa.compute.list_parent_indices(labels))
    session_of_row = np.empty(len(cuts.order), dtype=np.int64)
    session_of_row[cuts.order] = cuts.session
    sessions, codes, _ = distinct_pairs(session_of_row[parents], flat.codes, flat.size)
    return pa.ListArray.from_arrays(
        _offsets(sessions, len(cuts.starts)), flat.values.take(pa.array(codes)).cast(pa.string())
    )
