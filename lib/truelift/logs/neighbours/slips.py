"""Slips of the hand: clicks that come twice, and those that are left at once."""

from __future__ import annotations

import numpy as np

from truelift.logs.neighbours.order import UserEvents

_LOOK_BACK, _LOOK_AHEAD = 3, 2


def double_clicks(events: UserEvents, counted: np.ndarray, limit: int) -> np.ndarray:
    """Events whose user did the same with the item in one of the three before.

    Parameters
    ----------
    events : UserEvents
    counted : ndarray of bool, shape (n,)
        What is no copy; a copy is no earlier click, but takes a place among the three.
    limit : int
        Microseconds between the two.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    found = np.zeros(len(counted), bool)
    for steps in range(1, _LOOK_BACK + 1):
        earlier, later = _pairs(events, steps)
        same = (events.item[earlier] == events.item[later]) & (events.item[later] >= 0)
        same &= (events.kind[earlier] == events.kind[later]) & (events.kind[later] >= 0)
        found[later] |= same & counted[earlier] & events.within(later, earlier, limit)
    return found


def misclicks(events: UserEvents, counted: np.ndarray, limit: int) -> np.ndarray:
    """Events whose user was at another item in one of the two events that follow.

    Parameters and result are those of :func:`double_clicks`; which event types count is for
    the caller to say.
    """
    found = np.zeros(len(counted), bool)
    for steps in range(1, _LOOK_AHEAD + 1):
        earlier, later = _pairs(events, steps)
        other = (events.item[earlier] != events.item[later]) & (events.item[earlier] >= 0)
        other &= (events.item[later] >= 0) & counted[later]
        found[earlier] |= other & events.within(later, earlier, limit)
    return found


def _pairs(events: UserEvents, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of all events that lie so many steps apart, of one user."""
    later = np.arange(steps, len(events.user))
    later = later[events.user[later] == events.user[later - steps]]
    return later - steps, later
