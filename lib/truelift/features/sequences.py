"""``gold.sequences``: histories as lists of item indices, and what goes with each interaction.

Time order; equal times (a basket has one time stamp) are ordered by a fixed hash of user,
session and item, so that the order inside them carries no signal about the next item. Within
one session each item stands once, at its first time, unless repeats are asked for. A row is a
user's whole history, or one session of it; cutting long histories into windows is the feed's
work (:mod:`truelift.models.sequence.windows`), so that every interaction is trained.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import mix
from truelift.arrays.texts import codes_among, sorted_codes, whole
from truelift.errors import InvariantError
from truelift.features.catalogue import LookupSource, index_of_keys, keys_of_items
from truelift.features.timelines import BucketEvents, session_timeline
from truelift.lake.states import State
from truelift.lake.tables import table_spec

SEQUENCE_SCHEMA = table_spec("gold.sequences").arrow
_LISTS = {f.name: f.type.value_type for f in SEQUENCE_SCHEMA if pa.types.is_list(f.type)}
_SECOND = 1_000_000
LONGEST_GAP = 31


@dataclass(frozen=True)
class SequenceShape:
    """What a row is and what it holds.

    Parameters
    ----------
    max_events : int, optional
        Keep only the last so many interactions of a row.
    repeats : bool
        Keep an item as often as it comes within a session.
    sequence_of : str
        ``'user'`` or ``'session'``.
    event_types : tuple of str
        ``event_types[i]`` has code ``i + 1``; any other has 0.
    """

    max_events: int | None = None
    repeats: bool = False
    sequence_of: str = "user"
    event_types: tuple[str, ...] = ()


def build_sequences(
    events: BucketEvents,
    sessions: pa.Table,
    item_index: np.ndarray,
    shape: SequenceShape | None = None,
    categories: np.ndarray | None = None,
    extras: pa.Table | None = None,
) -> pa.Table:
    """Histories of the users of one bucket.

    Parameters
    ----------
    events : BucketEvents
        The bucket's events.
    sessions : pa.Table
        ``user_key`` and ``start`` of the bucket's sessions.
    item_index : np.ndarray of int, shape (distinct items,)
        Vocabulary index of each of ``events.items``; 0 = outside the vocabulary, left out.
    shape : SequenceShape, optional
    categories : np.ndarray of int, shape (vocabulary + 1,), optional
        Code of each item's category by its index; 0 = unknown.
    extras : pa.Table, optional
        ``event_type`` and ``quantity`` of the events, in their order before sorting
        (``events.row``).

    Returns
    -------
    pa.Table
        The columns of :data:`SEQUENCE_SCHEMA` but the bucket; users without any event in the
        vocabulary have no row. The gap bucket is 0 at the first interaction of a user and
        ``1 + floor(log2(1 + seconds))`` since the interaction before at others.

    Raises
    ------
    InvariantError
        When an event precedes every session of its user (the two tables do not belong
        together).
    """
    shape = shape or SequenceShape()
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
    once = np.arange(len(kept)) if shape.repeats else _first_in_session(session, index)
    user, time, index, session, kept = (a[once] for a in (user, time, index, session, kept))
    shuffle = order_hash(_user_hashes(events.users)[user], line.times[session], index)
    order = np.lexsort((index, shuffle, time, user))
    user, time, index, session, kept = (a[order] for a in (user, time, index, session, kept))
    number = session - line.offsets[user]
    gap = gap_codes(user, time)
    row = user if shape.sequence_of == "user" else session
    if shape.max_events is not None:
        recent = _last_rows(row, shape.max_events)
        user, time, index, number, gap, row, kept = (
            a[recent] for a in (user, time, index, number, gap, row, kept)
        )
    _, first, counts = np.unique(row, return_index=True, return_counts=True)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    kinds, quantity = _extras(events, extras, kept, shape)
    values = {
        "item_index": index,
        "event_time": time,
        "session_number": number,
        "event_type": kinds,
        "category": np.zeros(len(index)) if categories is None else categories[index],
        "gap_bucket": gap,
        "quantity": quantity,
    }
    # A session of a user is a history of its own: both keys together name it.
    return pa.table(
        {
            "user_key": events.users.take(pa.array(user[first])),
            **{
                name: pa.ListArray.from_arrays(
                    offsets, pa.array(column, from_pandas=True).cast(_LISTS[name])
                )
                for name, column in values.items()
            },
        }
    )


def _extras(
    events: BucketEvents, extras: pa.Table | None, kept: np.ndarray, shape: SequenceShape
) -> tuple[np.ndarray, np.ndarray]:
    """Codes of event types, and quantities (NaN where there is none; null in the table)."""
    if extras is None:
        return np.zeros(len(kept), np.int64), np.full(len(kept), np.nan)
    place = events.row[kept]
    codes = codes_among(extras["event_type"], pa.array(shape.event_types, pa.string())) + 1
    quantity = whole(extras["quantity"]).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return codes[place], quantity[place]


def gap_codes(user: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Since the user's interaction before (times in microseconds): 1 + log2(1 + seconds), 0 for none."""
    gap = np.zeros(len(time), np.int64)
    same = user[1:] == user[:-1]
    seconds = (time[1:] - time[:-1])[same] / _SECOND
    gap[1:][same] = np.minimum(1 + np.floor(np.log2(1 + seconds)), LONGEST_GAP)
    return gap


@dataclass(frozen=True)
class SequenceKernel:
    """``build_sequences`` on the tables of a bucket (``events``, ``sessions``)."""

    catalogue: LookupSource | None
    vocabulary: LookupSource
    shape: SequenceShape = SequenceShape()

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        rows = _in_fixed_order(tables["events"])
        events = BucketEvents.of(rows)
        vocabulary = self.vocabulary.load()
        keys = keys_of_items(events.items, self.catalogue.load() if self.catalogue else None)
        index = index_of_keys(keys, vocabulary)
        built = build_sequences(
            events, tables["sessions"], index, self.shape, _categories(vocabulary), rows
        )
        return with_bucket(built, bucket).cast(SEQUENCE_SCHEMA)


@dataclass(frozen=True)
class EntryCountKernel:
    """Sum kernel: the entries of all histories of a bucket."""

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        lists = (batch.column("item_index") for batch in batches)
        return {"entries": np.array(sum(len(column.flatten()) for column in lists))}


def _in_fixed_order(events: pa.Table) -> pa.Table:
    """By event type and quantity, so that of events alike in all else the same one comes first."""
    _, kind = sorted_codes(events["event_type"])
    quantity = whole(events["quantity"]).to_numpy(zero_copy_only=False)
    return events.take(pa.array(np.lexsort((quantity, kind))))


def _categories(vocabulary: pa.Table) -> np.ndarray:
    """Code of the category of each item index."""
    index = whole(vocabulary["item_index"]).to_numpy()
    codes = np.zeros(int(index.max(initial=0)) + 1, np.int64)
    codes[index] = whole(vocabulary["category_index"]).to_numpy()
    return codes


def with_bucket(table: pa.Table, bucket: int) -> pa.Table:
    """The table with a constant ``bucket`` column at the end."""
    return table.append_column(
        "bucket", pa.array(np.full(table.num_rows, bucket, dtype=np.int32), pa.int32())
    )


def order_hash(user_hash: np.ndarray, session_start: np.ndarray, index: np.ndarray) -> np.ndarray:
    """A fixed pseudo-random uint64 for each (user, session, item): SplitMix64's finaliser."""
    seed = mix(index.astype(np.uint64) + (user_hash.astype(np.uint64) << np.uint64(32)))
    return mix(seed ^ session_start.astype(np.uint64))


def _user_hashes(users: pa.Array) -> np.ndarray:
    return np.array([zlib.crc32(user.encode()) for user in users.to_pylist()], dtype=np.uint64)


def _first_in_session(session: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Positions of each item's first row in each session (rows are in time order)."""
    order = np.lexsort((index, session))
    new = np.ones(len(order), dtype=bool)
    new[1:] = (session[order][1:] != session[order][:-1]) | (index[order][1:] != index[order][:-1])
    return np.sort(order[new])


def _last_rows(row: np.ndarray, limit: int) -> np.ndarray:
    """Places of the last so many interactions of each row (rows lie end to end)."""
    _, place, counts = np.unique(row, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.flatnonzero(np.arange(len(row)) >= ends[place] - limit)
