"""A batch of windows whose step is one event as rectangular arrays, padded on the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from truelift.models.sequence.batches import Batch


@dataclass(frozen=True)
class Tokens:
    """What lies in each slot; 0 where nothing does.

    Parameters
    ----------
    items : numpy.ndarray of int32, shape (windows, width + 1)
        Slot ``i`` is the input of position ``i`` and the target of position ``i - 1``.
    sides : numpy.ndarray of int32, shape (windows, width + 1, features)
    seconds : numpy.ndarray of int32, shape (windows, width + 1)
        Time since the first event of the window plus one second; 0 without an event.
    """

    items: np.ndarray
    sides: np.ndarray
    seconds: np.ndarray


def lay_out(batch: Batch, side_features: Sequence[tuple[str, int]]) -> Tokens:
    """Spread a batch's entries over slots.

    Parameters
    ----------
    batch : Batch
        One entry a slot at most, as windows of ``step='event'`` have.
    side_features : sequence of (str, int)
        Features to lay out and their number of codes; a code beyond it becomes 0, unknown.
    """
    shape = (batch.windows, batch.width + 1)
    items = np.zeros(shape, np.int32)
    sides = np.zeros((*shape, len(side_features)), np.int32)
    seconds = np.zeros(shape, np.int32)
    place = (batch.rows, batch.slots)
    items[place] = batch.items
    for column, (name, size) in enumerate(side_features):
        codes = batch.features[name]
        sides[(*place, column)] = np.where((codes >= 0) & (codes < size), codes, 0)
    if len(batch.rows):
        # Entries of a window lie together and in time order.
        opens = np.r_[True, batch.rows[1:] != batch.rows[:-1]]
        first = batch.times[opens][np.cumsum(opens) - 1]
        seconds[place] = (batch.times - first) // 1_000_000 + 1
    return Tokens(items, sides, seconds)
