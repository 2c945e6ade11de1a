"""Rows that an earlier one makes superfluous."""

from __future__ import annotations

import numpy as np

from truelift.logs.neighbours.order import UNKNOWN_TIME, UserEvents


def copies(events: UserEvents, repeat_window: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Which events are copies, and which of the copies are so value for value.

    Parameters
    ----------
    events : UserEvents
    repeat_window : int or None
        Where the source gives ids: microseconds within which an id that comes again is a
        copy. None where ids are made of the content, so that equal ids are equal events.

    Returns
    -------
    copy, equal : ndarray of bool, shape (n,)
    """
    n = len(events.time)
    copy, equal = np.zeros(n, bool), np.zeros(n, bool)
    if repeat_window is not None:
        copy = _repeats(events, repeat_window)
        # Value for value the same as the event before it in the order.
        equal[1:] = _same(events.user) & _same(events.time)
        for text in (events.event_id, events.item, events.kind):
            equal[1:] &= _same(text)
        for number in (events.quantity, events.value):
            equal[1:] &= _same(number) | (np.isnan(number[1:]) & np.isnan(number[:-1]))
    else:
        known = (events.event_id[1:] >= 0) & (events.time[1:] != UNKNOWN_TIME)
        copy[1:] = known & _same(events.user) & _same(events.time) & _same(events.event_id)
        equal = copy
    return copy, copy & equal


def _repeats(events: UserEvents, window: int) -> np.ndarray:
    """Which event ids came before, no longer ago than the window."""
    again = np.zeros(len(events.time), bool)
    if not len(again):
        return again
    # Most ids come once, and need no sorting.
    times = np.bincount(events.event_id + 1)
    several = np.flatnonzero(times[events.event_id + 1] > 1)
    places = several[np.lexsort((events.event_id[several], events.user[several]))]
    later, earlier = places[1:], places[:-1]
    same = _same(events.user[places]) & _same(events.event_id[places])
    again[later] = same & events.within(later, earlier, window)
    return again


def _same(values: np.ndarray) -> np.ndarray:
    """Which values equal the one before, shape (n - 1,)."""
    return values[1:] == values[:-1]
