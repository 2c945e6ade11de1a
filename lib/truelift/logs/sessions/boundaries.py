"""Events in order: pack user and time into one integer, sort, compare neighbours.

Users are laid further apart than the timeout, so that one comparison of neighbours finds both
the next user and the gap that is too long.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.arrays.order import stable_order


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


def sort_by_group_and_time(
    group: np.ndarray, time: np.ndarray, ties: tuple[np.ndarray, ...] = ()
) -> np.ndarray:
    """Canonical order of events: the first result of :func:`sort_and_find_gaps`."""
    return sort_and_find_gaps(group, time, 0, ties)[0]


def sort_and_find_gaps(
    group: np.ndarray, time: np.ndarray, timeout: int, ties: tuple[np.ndarray, ...] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Canonical order of events, and where it jumps.

    Parameters
    ----------
    group : ndarray of int64, shape (events,)
        Non-negative codes of what is cut into sessions (the user).
    time : ndarray of int64, shape (events,)
        Microseconds.
    timeout : int
        Microseconds; a gap equal to it is no jump.
    ties : tuple of ndarray, shape (events,) each
        Numbers that decide among events of equal group and time, most important first.
        Events that agree in all of them are interchangeable.

    Returns
    -------
    order : ndarray of int64, shape (events,)
        Positions in sorted order; input that is in order already is not sorted again.
    jumps : ndarray of bool, shape (events,)
        In sorted order: the event is the first of its group, or comes **more** than
        ``timeout`` after the one before.
    """
    jumps = np.ones(len(group), dtype=bool)
    if len(group) == 0:
        return np.empty(0, dtype=np.int64), jumps
    packed = _pack(group, time, timeout)
    if packed is None:
        order = np.lexsort((time, group)).astype(np.int64)
        ordered_group, ordered_time = group[order], time[order]
        moved = ordered_group[1:] != ordered_group[:-1]
        steps = np.where(moved, timeout + 1, ordered_time[1:] - ordered_time[:-1])
    else:
        steps = packed[1:] - packed[:-1]
        if steps.min(initial=0) >= 0:
            order = np.arange(len(packed), dtype=np.int64)
        else:
            order = stable_order(packed)
            packed = packed[order]
            np.subtract(packed[1:], packed[:-1], out=steps)
    np.greater(steps, timeout, out=jumps[1:])
    if ties:
        same = steps == 0
        if same.any():
            order = order_ties(order, same, ties)
    return order, jumps


def _pack(group: np.ndarray, time: np.ndarray, timeout: int) -> np.ndarray | None:
    """``group * (span + timeout) + time`` where it fits into 63 bits, else None."""
    first, last = int(time.min()), int(time.max())
    span = last - first + 1 + timeout
    if (int(group.max()) + 1) * span >= 2**63:
        return None
    packed = group * np.int64(span)
    packed += time - np.int64(first)
    return packed


def order_ties(order: np.ndarray, same: np.ndarray, ties: tuple[np.ndarray, ...]) -> np.ndarray:
    """Sort again within runs of equals.

    Parameters
    ----------
    order : ndarray of int64, shape (events,)
        Positions in the input.
    same : ndarray of bool, shape (events - 1,)
        Whether each event but the first equals the one before it in ``order``.
    ties : tuple of ndarray
        Numbers of each event of the input that decide, most important first.

    Returns
    -------
    ndarray of int64, shape (events,)
    """
    tied = np.zeros(len(order), dtype=bool)
    tied[1:] |= same
    tied[:-1] |= same
    places = np.flatnonzero(tied)
    among = order[places]
    run = np.zeros(len(order), dtype=np.int64)
    np.cumsum(~same, out=run[1:])
    run = run[places]
    order = order.copy()
    first = ties[0][among]
    low = first.min()
    width = int(first.max()) - int(low) + 1 if first.dtype.kind == "i" else 0
    if not 0 < width * (int(run[-1]) + 1) < 2**63:
        keys = (*(tie[among] for tie in reversed(ties)), run)
        order[places] = among[np.lexsort(keys)]
        return order
    # Codes go into one integer with the run: one sort, and few places are left for the rest.
    run = run * np.int64(width) + (first - low)
    rank = np.argsort(run, kind="stable")
    among, run = among[rank], run[rank]
    still = run[1:] == run[:-1]
    if len(ties) > 1 and still.any():
        among = order_ties(among, still, ties[1:])
    order[places] = among
    return order
