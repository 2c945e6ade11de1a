"""``gold.sequences``: each user's whole history as lists of item indices.

Time order; equal times (a basket has one time stamp) are ordered by a fixed hash of user,
session and item, so that the order inside them carries no signal about the next item. Within
one session each item stands once, at its first time.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.errors import InvariantError
from truelift.features.catalogue import LookupSource, index_of_keys, keys_of_items
from truelift.features.timelines import UserEvents, session_timeline

SEQUENCE_SCHEMA = pa.schema(
    [
        ("user_key", pa.string()),
        ("item_index", pa.list_(pa.int32())),
        ("event_time", pa.list_(pa.int64())),
        ("session_number", pa.list_(pa.int32())),
        ("bucket", pa.int32()),
    ]
)


def build_sequences(
    events: UserEvents,
    sessions: pa.Table,
    item_index: np.ndarray,
    max_events: int | None = None,
) -> pa.Table:
    """Histories of the users of one bucket.

    Parameters
    ----------
    events : UserEvents
        The bucket's events.
    sessions : pa.Table
        ``user_key`` and ``start`` of the bucket's sessions.
    item_index : np.ndarray of int, shape (distinct items,)
        Vocabulary index of each of ``events.items``; 0 = outside the vocabulary, left out.
    max_events : int, optional
        Keep only the last so many events of a user.

    Returns
    -------
    pa.Table
        ``user_key, item_index, event_time, session_number``; users without any event in the
        vocabulary have no row.

    Raises
    ------
    InvariantError
        When an event precedes every session of its user (the two tables do not belong
        together).
    """
    line = session_timeline(sessions, events.users)
    kept = np.flatnonzero(np.append(item_index, 0)[events.item] > 0)
    user, time = events.user[kept], events.time[kept]
    index = item_index[events.item[kept]].astype(np.int64)
    session = line.last_at(user, time)
    if (session < 0).any():
        name = events.users[int(user[np.argmin(session)])].as_py()
        raise InvariantError(
            f"gold.sequences: user {name!r} has events before the first of their rows in "
            "silver.sessions; the two tables do not belong together. Run sessionize again."
        )
    once = _first_in_session(session, index)
    user, time, index, session = user[once], time[once], index[once], session[once]
    shuffle = order_hash(_user_hashes(events.users)[user], line.times[session], index)
    order = np.lexsort((index, shuffle, time, user))
    user, time, index, session = user[order], time[order], index[order], session[order]
    if max_events is not None:
        recent = _last_rows(user, len(events.users), max_events)
        user, time, index, session = user[recent], time[recent], index[recent], session[recent]
    number = session - line.offsets[user]
    present, counts = np.unique(user, return_counts=True)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    return pa.table(
        {
            "user_key": events.users.take(pa.array(present)),
            "item_index": pa.ListArray.from_arrays(offsets, pa.array(index.astype(np.int32))),
            "event_time": pa.ListArray.from_arrays(offsets, pa.array(time)),
            "session_number": pa.ListArray.from_arrays(offsets, pa.array(number.astype(np.int32))),
        }
    )


@dataclass(frozen=True)
class SequenceKernel:
    """``build_sequences`` on the tables of a bucket (``events``, ``sessions``)."""

    catalogue: LookupSource | None
    vocabulary: LookupSource
    max_events: int | None = None

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        events = UserEvents.of(tables["events"])
        keys = keys_of_items(events.items, self.catalogue.load() if self.catalogue else None)
        index = index_of_keys(keys, self.vocabulary.load())
        built = build_sequences(events, tables["sessions"], index, self.max_events)
        return with_bucket(built, bucket).cast(SEQUENCE_SCHEMA)


def with_bucket(table: pa.Table, bucket: int) -> pa.Table:
    """The table with a constant ``bucket`` column at the end."""
    return table.append_column(
        "bucket", pa.array(np.full(table.num_rows, bucket, dtype=np.int32), pa.int32())
    )


def order_hash(user_hash: np.ndarray, session_start: np.ndarray, index: np.ndarray) -> np.ndarray:
    """A fixed pseudo-random uint64 for each (user, session, item): SplitMix64's finaliser."""
    seed = _mix(index.astype(np.uint64) + (user_hash.astype(np.uint64) << np.uint64(32)))
    return _mix(seed ^ session_start.astype(np.uint64))


def _mix(state: np.ndarray) -> np.ndarray:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def _user_hashes(users: pa.Array) -> np.ndarray:
    return np.array([zlib.crc32(user.encode()) for user in users.to_pylist()], dtype=np.uint64)


def _first_in_session(session: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Positions of each item's first row in each session (rows are in time order)."""
    order = np.lexsort((index, session))
    new = np.ones(len(order), dtype=bool)
    new[1:] = (session[order][1:] != session[order][:-1]) | (index[order][1:] != index[order][:-1])
    return np.sort(order[new])


def _last_rows(user: np.ndarray, users: int, limit: int) -> np.ndarray:
    ends = np.cumsum(np.bincount(user, minlength=users))
    return np.flatnonzero(np.arange(len(user)) >= ends[user] - limit)
