"""Rows of one bucket laid out by user and time, and the window arithmetic on them.

Everything that the profiles, sequences and the panel need is one of two questions about a
user's sorted rows: *where does this instant fall* (:meth:`Timeline.before`) and *what do the
rows between two places add up to* (:func:`segment_sums`). Sums run over the rows of one
segment only, in a canonical order, so a result depends neither on how the rows were stored
nor on rows outside the window, not even in the last digit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.texts import codes_among, sorted_codes, whole
from truelift.arrays.times import microseconds


@dataclass(frozen=True, eq=False)
class Timeline:
    """Times of many users, sorted by user and then by time.

    Parameters
    ----------
    offsets : np.ndarray of int64, shape (users + 1,)
        Rows of user ``u`` are ``offsets[u]:offsets[u + 1]``.
    times : np.ndarray of int64, shape (rows,)
        Microseconds since epoch, ascending within a user.
    """

    offsets: np.ndarray
    times: np.ndarray
    distinct: np.ndarray
    keys: np.ndarray

    @classmethod
    def of(cls, user: np.ndarray, times: np.ndarray, users: int) -> Timeline:
        """From user codes (ascending, in ``0..users``) and times (ascending within a user)."""
        counts = np.bincount(user, minlength=users) if len(user) else np.zeros(users, np.int64)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        distinct, rank = np.unique(times, return_inverse=True)
        return cls(offsets, times, distinct, user * (len(distinct) + 1) + rank)

    @property
    def users(self) -> int:
        """How many users there are, those without rows included."""
        return len(self.offsets) - 1

    def before(self, instant: int) -> np.ndarray:
        """For each user, the position of the first row at or after ``instant``.

        Rows strictly before the instant are ``offsets[u]:before(instant)[u]``.
        """
        rank = np.searchsorted(self.distinct, instant, side="left")
        wanted = np.arange(self.users, dtype=np.int64) * (len(self.distinct) + 1) + rank
        return np.searchsorted(self.keys, wanted, side="left")

    def last_at(self, user: np.ndarray, instants: np.ndarray) -> np.ndarray:
        """For each (user, instant), the position of the user's last row not after it; else -1."""
        rank = np.searchsorted(self.distinct, instants, side="right")
        wanted = user * (len(self.distinct) + 1) + rank
        position = np.searchsorted(self.keys, wanted, side="left") - 1
        return np.where(position >= self.offsets[user], position, -1)


def segment_sums(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """``values[low:high].sum()`` for each pair; segments ascend and do not overlap.

    Unlike differences of one running sum, a segment's total is untouched by rows outside it.
    """
    if len(low) == 0:
        return np.zeros(0)
    bounds = np.empty(2 * len(low), dtype=np.int64)
    bounds[0::2], bounds[1::2] = low, high
    padded = np.append(values, 0.0)
    totals = np.add.reduceat(padded, bounds)[0::2]
    return np.where(high > low, totals, 0.0)


def segment_counts(flags: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """How many ``flags[low:high]`` are set, for each pair (exact, integers)."""
    running = np.concatenate([[0], np.cumsum(flags, dtype=np.int64)])
    return running[high] - running[low]


@dataclass(frozen=True, eq=False)
class BucketEvents:
    """The events of a bucket in canonical order: by user, time, item and value.

    Parameters
    ----------
    users : pa.Array
        Distinct user keys, ascending.
    user, item : np.ndarray of int64, shape (rows,)
        Codes into ``users`` and ``items``; an event without item has item -1.
    items : pa.Array
        Distinct item ids, ascending.
    value : np.ndarray of float64, shape (rows,)
        Value of each event; missing counts as 0.
    timeline : Timeline
        The events' times.
    row : np.ndarray of int64, shape (rows,)
        Row of each event in the table that they came from.
    """

    users: pa.Array
    items: pa.Array
    user: np.ndarray
    item: np.ndarray
    value: np.ndarray
    timeline: Timeline
    row: np.ndarray

    @classmethod
    def of(cls, events: pa.Table) -> BucketEvents:
        """From a table with ``user_key``, ``event_time``, ``item_id`` and optionally ``value``."""
        users, user = sorted_codes(events["user_key"])
        items, item = sorted_codes(events["item_id"])
        time = microseconds(events["event_time"])
        value = _values(events)
        order = np.lexsort((value, item, time, user))
        user, time = user[order], time[order]
        return cls(
            users, items, user, item[order], value[order],
            Timeline.of(user, time, len(users)), order,
        )  # fmt: skip

    @property
    def time(self) -> np.ndarray:
        """Microseconds since epoch of each event."""
        return self.timeline.times

    def first_of_item(self) -> np.ndarray:
        """True where the user meets the event's item for the first time."""
        order = np.lexsort((self.item, self.user))
        user, item = self.user[order], self.item[order]
        new = np.ones(len(order), dtype=bool)
        new[1:] = (user[1:] != user[:-1]) | (item[1:] != item[:-1])
        flags = np.zeros(len(order), dtype=bool)
        flags[order] = new
        return flags & (self.item >= 0)


def session_timeline(sessions: pa.Table, users: pa.Array) -> Timeline:
    """Session starts of the given users; sessions of other users are left out."""
    user = codes_among(sessions["user_key"], users)
    start = microseconds(sessions["start"])
    known = user >= 0
    user, start = user[known], start[known]
    order = np.lexsort((start, user))
    return Timeline.of(user[order], start[order], len(users))


def _values(events: pa.Table) -> np.ndarray:
    if "value" not in events.column_names:
        return np.zeros(events.num_rows)
    value = whole(events["value"]).cast(pa.float64())
    # Minus zero and zero are one value, lest the order of equal rows be left to chance.
    return np.nan_to_num(pc.fill_null(value, 0.0).to_numpy(zero_copy_only=False), nan=0.0) + 0.0
