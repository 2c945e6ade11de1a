"""From scores to lists of items, with items already seen kept or dropped."""

from __future__ import annotations

import numpy as np

from truelift.evaluation.top_items import top_items
from truelift.models.sequence.histories import Histories


def drop_seen(scores: np.ndarray, histories: Histories) -> np.ndarray:
    """A copy of ``scores`` in which items of the user's history cannot be ranked."""
    kept = scores.astype(np.float64, copy=True)
    kept[histories.owner, histories.items] = -np.inf
    return kept


def rank(
    scores: np.ndarray, histories: Histories, count: int, seen_items: str = "keep"
) -> tuple[np.ndarray, np.ndarray]:
    """The best ``count`` items of each user.

    Parameters
    ----------
    scores : numpy.ndarray, shape (n, items + 1)
    histories : Histories
        Of the same n users.
    count : int
    seen_items : str
        ``'keep'`` or ``'drop'``. A user who has seen almost everything gets a shorter list
        when dropped items leave fewer than ``count``.

    Returns
    -------
    items, scores : numpy.ndarray, shape (n, count)
        Item index 0 marks an empty place.
    """
    usable = drop_seen(scores, histories) if seen_items == "drop" else scores
    top = top_items(usable, count)
    best = np.take_along_axis(usable, top, axis=1)
    return np.where(np.isfinite(best), top, 0), best
