"""Histories to training windows: each interaction is a target exactly once.

A user's steps (sessions, or single events) are ``s_1 .. s_m``. Position 0 sees nothing and
predicts ``s_1``; position ``p`` sees ``s_1 .. s_p`` and predicts ``s_{p+1}``. The ``m`` positions
are cut into windows of nearly equal size of at most ``max_length``, so that long histories are
learned to the end and no window is a stump.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from truelift.models.sequence.histories import Histories


@dataclass(frozen=True)
class Window:
    """A run of positions of one user.

    Parameters
    ----------
    items, slots : numpy.ndarray of int32
        Items and the slot each lies in. Slot ``i`` is the input of position ``i`` and the
        target of position ``i - 1``; slot 0 is empty at the beginning of a history.
    length : int
        Number of positions; slots run from 0 to ``length``.
    times : numpy.ndarray of int64
        Microseconds since the epoch of each item.
    features : mapping of str to numpy.ndarray
        Side features of each item.
    sessions : numpy.ndarray of int32
        Session number of each item.
    """

    items: np.ndarray
    slots: np.ndarray
    length: int
    times: np.ndarray
    features: Mapping[str, np.ndarray] = field(default_factory=dict)
    sessions: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))


def step_index(histories: Histories, step: str) -> np.ndarray:
    """Number of each interaction's step within its user, from 0."""
    starts = np.repeat(histories.offsets[:-1], np.diff(histories.offsets))
    if step == "event":
        return np.arange(len(histories.items)) - starts
    running = np.cumsum(histories.session_starts()) - 1
    return running - running[starts] if len(running) else running


def step_counts(histories: Histories, step: str) -> np.ndarray:
    """Number of steps of each user."""
    owner = histories.owner
    opens = np.ones(len(owner), bool) if step == "event" else histories.session_starts()
    return np.bincount(owner[opens], minlength=len(histories))


def window_bounds(steps: int, max_length: int) -> np.ndarray:
    """Cuts of ``steps`` positions into the fewest windows; empty history, no window."""
    windows = -(-steps // max_length)
    return steps * np.arange(windows + 1) // max(windows, 1)


def training_windows(histories: Histories, max_length: int, step: str) -> Iterator[Window]:
    """All windows of all users, in order."""
    index = step_index(histories, step)
    for user in range(len(histories)):
        low, high = histories.offsets[user], histories.offsets[user + 1]
        if low == high:
            continue
        own = index[low:high]
        bounds = window_bounds(int(own[-1]) + 1, max_length)
        for first, stop in pairwise(bounds):
            a = low + np.searchsorted(own, first - 1)
            b = low + np.searchsorted(own, stop)
            slots = (index[a:b] - (first - 1)).astype(np.int32)
            yield _window(histories, a, b, slots, int(stop - first))


def query_window(histories: Histories, max_length: int, step: str) -> list[Window]:
    """One window a user that ends with the latest step: what a prediction is made from."""
    index = step_index(histories, step)
    counts = step_counts(histories, step)
    windows = []
    for user in range(len(histories)):
        low, high = histories.offsets[user], histories.offsets[user + 1]
        first = max(0, int(counts[user]) + 1 - max_length)
        own = index[low:high] + 1
        a = int(np.searchsorted(own, first))
        slots = (own[a:] - first).astype(np.int32)
        windows.append(_window(histories, low + a, high, slots, int(counts[user]) + 1 - first))
    return windows


def _window(histories: Histories, start: int, stop: int, slots: np.ndarray, length: int) -> Window:
    return Window(
        histories.items[start:stop],
        slots,
        length,
        histories.times[start:stop],
        {name: values[start:stop] for name, values in histories.features.items()},
        histories.sessions[start:stop],
    )
