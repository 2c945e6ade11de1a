"""The head of a ranking; ties are broken by the item index, which makes it repeatable."""

from __future__ import annotations

import numpy as np

from truelift.errors import DataError


def top_items(scores: np.ndarray, k: int) -> np.ndarray:
    """The ``k`` best item indices of each row: score descending, item index ascending.

    Parameters
    ----------
    scores : numpy.ndarray, shape (n, items + 1)
        Column ``i`` is item index ``i``; column 0 is padding and is never ranked. An item
        that must not appear has score ``-inf``.
    k : int
        At most the number of items.

    Returns
    -------
    numpy.ndarray of int64, shape (n, k)

    Raises
    ------
    DataError
        For scores that are not numbers: they have no order.
    """
    if scores.size and np.isnan(scores.min()):
        raise DataError("Scores: found values that are not numbers, expected finite scores.")
    real = scores[:, 1:]
    users, items = real.shape
    k = min(k, items)
    top = np.empty((users, k), dtype=np.int64)
    if users == 0 or k == 0:
        return top
    for place, row in enumerate(real):
        top[place] = _top_row(row, k)
    return top + 1


def _top_row(row: np.ndarray, k: int) -> np.ndarray:
    """Indices of the ``k`` largest values; of equals the smallest indices."""
    cut = len(row) - k
    threshold = np.partition(row, cut)[cut]
    chosen = np.flatnonzero(row >= threshold)
    if len(chosen) > k:
        # More are level at the threshold than there is room for.
        above = row[chosen] > threshold
        room = k - int(np.count_nonzero(above))
        chosen = chosen[above | (np.cumsum(~above) <= room)]
    return chosen[np.argsort(-row[chosen], kind="stable")]
