"""Where sessions begin: pack user and time into one integer, sort, compare neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class Codes:
    """A text column as integers that are in the order of the texts; null is -1."""

    codes: np.ndarray
    values: pa.Array

    @property
    def size(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class SortedEvents:
    """Events in canonical order, cut into sessions.

    Attributes
    ----------
    order : ndarray of int64, shape (events,)
        Positions in the input, in the order (group, time, tie breakers).
    starts : ndarray of int64, shape (sessions,)
        Index into ``order`` of each session's first event.
    session : ndarray of int64, shape (events,)
        Number of the session of each event, in canonical order.
    """

    order: np.ndarray
    starts: np.ndarray
    session: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(np.append(self.starts, len(self.order)))

    @property
    def lasts(self) -> np.ndarray:
        """Index into ``order`` of each session's last event."""
        return self.starts + self.lengths - 1


def encode(column: pa.ChunkedArray | pa.Array) -> Codes:
    """Replace texts by ranks, so that numbers sort as the texts (by their UTF-8 bytes) do."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # more than 2 GiB of text stays in chunks
            column = pa.concat_arrays([c.cast(pa.large_string()) for c in column.chunks])
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    values = coded.dictionary
    by_text = pc.sort_indices(values).to_numpy()
    rank = np.empty(len(values) + 1, dtype=np.int64)
    rank[by_text] = np.arange(len(values), dtype=np.int64)
    rank[-1] = -1
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return Codes(rank[codes], values.take(pa.array(by_text)))


def microseconds(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Times as int64 microseconds since 1970-01-01 UTC."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if column.null_count:
        raise ValueError("event_time holds nulls; clean rejects them before sessions are made")
    unit = pa.timestamp("us", tz=column.type.tz)
    return column.cast(unit).view(pa.int64()).to_numpy(zero_copy_only=False)


def sort_by_group_and_time(
    group: np.ndarray, time: np.ndarray, ties: tuple[np.ndarray, ...] = ()
) -> np.ndarray:
    """Canonical order of events.

    Parameters
    ----------
    group : ndarray of int64, shape (events,)
        Non-negative codes of what is cut into sessions (the user).
    time : ndarray of int64, shape (events,)
        Microseconds.
    ties : tuple of ndarray, shape (events,) each
        Numbers that decide among events of equal group and time, most important first.
        Events that agree in all of them are interchangeable.

    Returns
    -------
    ndarray of int64, shape (events,)
        Positions in sorted order; input that is in order already is not sorted again.
    """
    if len(group) == 0:
        return np.empty(0, dtype=np.int64)
    packed = _pack(group, time)
    if packed is None:
        order = np.lexsort((time, group)).astype(np.int64)
        same = (np.diff(group[order]) == 0) & (np.diff(time[order]) == 0)
    elif np.all(packed[1:] >= packed[:-1]):
        order = np.arange(len(packed), dtype=np.int64)
        same = packed[1:] == packed[:-1]
    else:
        order = np.argsort(packed, kind="stable")
        packed = packed[order]
        same = packed[1:] == packed[:-1]
    return _order_ties(order, same, ties) if ties and same.any() else order


def _pack(group: np.ndarray, time: np.ndarray) -> np.ndarray | None:
    """``group * span + time`` where it fits into 63 bits, else None."""
    first, last = int(time.min()), int(time.max())
    span = last - first + 1
    if (int(group.max()) + 1) * span >= 2**63:
        return None
    return group * np.int64(span) + (time - np.int64(first))


def _order_ties(order: np.ndarray, same: np.ndarray, ties: tuple[np.ndarray, ...]) -> np.ndarray:
    tied = np.zeros(len(order), dtype=bool)
    tied[1:] |= same
    tied[:-1] |= same
    run = np.zeros(len(order), dtype=np.int64)
    np.cumsum(~same, out=run[1:])
    places = np.flatnonzero(tied)
    among = order[places]
    keys = (*(tie[among] for tie in reversed(ties)), run[places])
    order = order.copy()
    order[places] = among[np.lexsort(keys)]
    return order


def cut(
    group: np.ndarray, time: np.ndarray, timeout: int, ties: tuple[np.ndarray, ...] = ()
) -> SortedEvents:
    """Sessions of each group: a gap **greater** than ``timeout`` starts a new one.

    Parameters
    ----------
    group, time, ties
        As in :func:`sort_by_group_and_time`.
    timeout : int
        Microseconds; a gap equal to it continues the session. A negative one never cuts.
    """
    order = sort_by_group_and_time(group, time, ties)
    g, t = group[order], time[order]
    first = np.ones(len(order), dtype=bool)
    if len(order):
        first[1:] = g[1:] != g[:-1]
        if timeout >= 0:
            first[1:] |= (t[1:] - t[:-1]) > timeout
    return SortedEvents(order, np.flatnonzero(first), np.cumsum(first) - 1)
