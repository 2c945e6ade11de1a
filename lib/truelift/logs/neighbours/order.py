"""Users' events as arrays, in the one order in which all rules look at them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.texts import encode
from truelift.arrays.times import MICROSECONDS_PER_DAY
from truelift.logs.neighbours.users import user_numbers

# Before any other; the day of it is no day of another event.
UNKNOWN_TIME = -(2**62)


@dataclass(frozen=True)
class UserEvents:
    """Events sorted by user, time, event id, source file and source row.

    Attributes
    ----------
    order : ndarray of int64, shape (n,)
        Places of the events in the table that they come from.
    user : ndarray of int64, shape (n,)
        Numbers of the users (of a slice), ascending.
    time : ndarray of int64, shape (n,)
        Microseconds since 1970-01-01 UTC, ``UNKNOWN_TIME`` where there is none.
    event_id, item, kind : ndarray of int64, shape (n,)
        Numbers of the texts (id, item, event type), -1 where there is none.
    quantity, value : ndarray of float, shape (n,)
        NaN where there is none.
    kinds : tuple of str
        The event types, by their numbers.
    """

    order: np.ndarray
    user: np.ndarray
    time: np.ndarray
    event_id: np.ndarray
    item: np.ndarray
    kind: np.ndarray
    quantity: np.ndarray
    value: np.ndarray
    kinds: tuple[str, ...]

    @property
    def day(self) -> np.ndarray:
        """Number of the UTC day of each event, shape (n,)."""
        return self.time // MICROSECONDS_PER_DAY

    def is_kind(self, names: Collection[str]) -> np.ndarray:
        """Which events are of one of the types, shape (n,)."""
        wanted = [number for number, name in enumerate(self.kinds) if name in names]
        return np.isin(self.kind, wanted)

    def within(self, later: np.ndarray, earlier: np.ndarray, limit: int) -> np.ndarray:
        """Whether events follow others by at most ``limit`` microseconds; unknown times do not."""
        known = self.time[earlier] != UNKNOWN_TIME
        return known & (self.time[later] - self.time[earlier] <= limit)


def user_events(rows: pa.Table) -> UserEvents:
    """The events of whole users, which may be mixed; rows of a slice follow each other."""
    user = user_numbers(rows)
    micros = pc.fill_null(_single(rows["event_time"]).cast(pa.int64()), UNKNOWN_TIME)
    time = micros.to_numpy(zero_copy_only=False)
    order = _rule_order(user, time, rows)
    event_id, item, kind = (_coded(rows[n]) for n in ("event_id", "item_id", "event_type"))
    quantity, value = (np.asarray(rows[name], np.float64)[order] for name in ("quantity", "value"))
    return UserEvents(
        order, user[order], time[order], _numbers(event_id)[order], _numbers(item)[order],
        _numbers(kind)[order], quantity, value, tuple(kind.dictionary.to_pylist()),
    )  # fmt: skip


def runs(first: np.ndarray) -> np.ndarray:
    """Number of the run that each row is in, from where runs begin, shape (n,)."""
    return np.cumsum(first) - 1


def differs(*keys: np.ndarray) -> np.ndarray:
    """Which rows differ from the one before in one of the keys, shape (n,); the first does."""
    found = np.ones(len(keys[0]), bool)
    found[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return found


def _rule_order(user: np.ndarray, time: np.ndarray, rows: pa.Table) -> np.ndarray:
    order = _by_user_and_time(user, time)
    first = differs(user[order], time[order])
    tied = ~first
    tied[:-1] |= ~first[1:]
    places = np.flatnonzero(tied)
    if len(places):
        # Texts are ranked where they decide, among events of one user at one time.
        few = rows.select(["event_id", "source_file", "source_row"]).take(pa.array(order[places]))
        row = pc.fill_null(_single(few["source_row"]), -1).to_numpy(zero_copy_only=False)
        ranks = (row, encode(few["source_file"]).codes, encode(few["event_id"]).codes)
        order[places] = order[places][np.lexsort((*ranks, runs(first)[places]))]
    return order


def _by_user_and_time(user: np.ndarray, time: np.ndarray) -> np.ndarray:
    known = time != UNKNOWN_TIME
    if not known.any():
        return np.argsort(user, kind="stable")
    low = time[known].min()
    span = int(time[known].max()) - int(low) + 2
    if (int(user.max()) + 1) * span >= 2**62:
        return np.lexsort((time, user))
    return np.argsort(user * span + np.where(known, time - low + 1, 0), kind="stable")


def _coded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    return _single(column).dictionary_encode()


def _numbers(coded: pa.DictionaryArray) -> np.ndarray:
    codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    return codes.astype(np.int64)


def _single(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks()
