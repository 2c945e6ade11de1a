"""Users' histories as flat arrays: what ``gold.sequences`` rows look like to a kernel.

A history is a user's interactions in time order; consecutive interactions with one session
number are a session. All users of a batch lie end to end in flat arrays, and ``offsets`` says
where each user begins, so that cutting and counting need no loop over users.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.errors import DataError

COLUMNS = ("user_key", "item_index", "event_time", "session_number")
# What an interaction may carry beside these; small whole numbers, 0 = unknown.
SIDE_FEATURES = ("event_type", "category", "gap_bucket")


@dataclass(frozen=True)
class ItemSets:
    """One set of items a user, in compressed rows: user ``u`` owns ``offsets[u]:offsets[u+1]``."""

    offsets: np.ndarray
    items: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def sizes(self) -> np.ndarray:
        """Number of items in each set."""
        return np.diff(self.offsets)

    def take(self, keep: np.ndarray) -> ItemSets:
        """The sets of the users where ``keep`` is true, in the same order."""
        mask = np.repeat(keep, self.sizes)
        return ItemSets(_offsets(self.sizes[keep]), self.items[mask])


@dataclass(frozen=True)
class Histories:
    """The interactions of a batch of users.

    Parameters
    ----------
    users : numpy.ndarray of object, shape (n,)
        User keys.
    offsets : numpy.ndarray of int64, shape (n + 1,)
        User ``u`` owns the interactions ``offsets[u]:offsets[u + 1]``.
    items : numpy.ndarray of int32
        Item indices, 1 and above.
    times : numpy.ndarray of int64
        Microseconds since the epoch, non-decreasing within a user.
    sessions : numpy.ndarray of int32
        Session numbers, non-decreasing within a user.
    features : mapping of str to numpy.ndarray
        Side features of each interaction, by name (some of :data:`SIDE_FEATURES`).
    """

    users: np.ndarray
    offsets: np.ndarray
    items: np.ndarray
    times: np.ndarray
    sessions: np.ndarray
    features: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def from_arrow(cls, table: pa.Table) -> Histories:
        """Read rows of ``gold.sequences``.

        Raises
        ------
        DataError
            If the three list columns of a row differ in length.
        """
        sides = [name for name in SIDE_FEATURES if name in table.column_names]
        lists = [_list_column(table, name) for name in (*COLUMNS[1:], *sides)]
        offsets = lists[0][0]
        for name, (other, _) in zip((*COLUMNS[2:], *sides), lists[1:], strict=True):
            if not np.array_equal(offsets, other):
                raise DataError(
                    f"gold.sequences: found rows where {name} and item_index differ in length, "
                    "expected equal lengths; build the features again."
                )
        items, times, sessions, *features = (values for _, values in lists)
        users = np.array(table.column("user_key").to_pylist(), dtype=object)
        return cls(
            users,
            offsets,
            items.astype(np.int32, copy=False),
            times.astype(np.int64, copy=False),
            sessions.astype(np.int32, copy=False),
            {name: v.astype(np.int32) for name, v in zip(sides, features, strict=True)},
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def owner(self) -> np.ndarray:
        """Index of the user of each interaction."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def before(self, time: int) -> Histories:
        """Only interactions strictly before ``time``; users without any keep an empty history."""
        return self.keep(self.times < time)

    def slice(self, start: int, stop: int) -> Histories:
        """The users ``start:stop``."""
        low, high = self.offsets[start], self.offsets[stop]
        return self._events(
            slice(low, high), self.users[start:stop], self.offsets[start : stop + 1] - low
        )

    def take(self, keep: np.ndarray) -> Histories:
        """The users where ``keep`` is true, in the same order."""
        sizes = np.diff(self.offsets)
        mask = np.repeat(keep, sizes)
        return self._events(mask, self.users[keep], _offsets(sizes[keep]))

    def session_starts(self) -> np.ndarray:
        """For each interaction, whether it opens a session of its user."""
        opens = np.ones(len(self.items), dtype=bool)
        if len(opens):
            opens[1:] = self.sessions[1:] != self.sessions[:-1]
            first = self.offsets[:-1]
            opens[first[first < len(opens)]] = True
        return opens

    def first_session(self, start: int, end: int) -> ItemSets:
        """Items of each user's first session that starts in ``[start, end)``.

        A session that began before ``start`` and runs across it does not count: part of it
        belongs to the past.
        """
        owner = self.owner
        opens = self.session_starts()
        session = np.cumsum(opens) - 1
        session_time = self.times[opens]
        session_owner = owner[opens]
        eligible = np.flatnonzero((session_time >= start) & (session_time < end))
        _, first = np.unique(session_owner[eligible], return_index=True)
        chosen = np.zeros(len(session_time), dtype=bool)
        chosen[eligible[first]] = True
        mask = chosen[session] if len(session) else np.zeros(0, dtype=bool)
        pairs = np.unique(np.stack([owner[mask], self.items[mask]], axis=1), axis=0)
        sizes = np.bincount(pairs[:, 0], minlength=len(self))
        return ItemSets(_offsets(sizes), pairs[:, 1].astype(np.int32))

    def distinct_items(self) -> ItemSets:
        """Each user's distinct items, ascending."""
        # Sorting one number a pair is many times faster than np.unique over rows.
        span = int(self.items.max(initial=0)) + 1
        pairs = np.sort(self.owner * span + self.items)
        first = np.ones(len(pairs), dtype=bool)
        first[1:] = pairs[1:] != pairs[:-1]
        owner, items = np.divmod(pairs[first], span)
        return ItemSets(_offsets(np.bincount(owner, minlength=len(self))), items.astype(np.int32))

    def keep(self, mask: np.ndarray) -> Histories:
        """Only the interactions where ``mask`` is true; users left without any stay."""
        sizes = np.bincount(self.owner[mask], minlength=len(self))
        return self._events(mask, self.users, _offsets(sizes))

    def _events(self, chosen: Any, users: np.ndarray, offsets: np.ndarray) -> Histories:
        return Histories(
            users,
            offsets,
            self.items[chosen],
            self.times[chosen],
            self.sessions[chosen],
            {name: values[chosen] for name, values in self.features.items()},
        )


def joined(parts: Sequence[Histories]) -> Histories:
    """The users of all parts (at least one), in order; all have the same side features."""
    if len(parts) == 1:
        return parts[0]
    return Histories(
        np.concatenate([p.users for p in parts]),
        _offsets(np.concatenate([np.diff(p.offsets) for p in parts])),
        np.concatenate([p.items for p in parts]),
        np.concatenate([p.times for p in parts]),
        np.concatenate([p.sessions for p in parts]),
        {name: np.concatenate([p.features[name] for p in parts]) for name in parts[0].features},
    )


def _offsets(sizes: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _list_column(table: pa.Table, name: str) -> tuple[np.ndarray, np.ndarray]:
    column = table.column(name).combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else column.type
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    values = pc.list_flatten(column).to_numpy(zero_copy_only=False)
    return _offsets(lengths), values
