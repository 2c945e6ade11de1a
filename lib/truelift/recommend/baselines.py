"""Rankings that need no training, for the models to beat.

Popularity counts sessions with an item, not single events, so that one bulk purchase is one
vote. Recent popularity counts only a window of days before the split; the window is chosen on
the validation part (see :mod:`truelift.training.evaluation`). Personal frequency ranks what
the user took most often and fills up with popular items; in groceries it is hard to beat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from truelift.models.histories import Histories
from truelift.recommend.splits import DAY

RECENT_DAYS = (7, 14, 28, 56)
ALL_TIME = "popularity (all time)"
RECENT = "recent popularity"
PERSONAL = "personal frequency"


def count_items(histories: Histories, items: int, start: int, end: int) -> np.ndarray:
    """Interactions with each item in ``[start, end)``; shape (items + 1,), additive.

    A session holds an item once (see ``gold.sequences``), so these are counts of sessions.
    """
    inside = (histories.times >= start) & (histories.times < end)
    return np.bincount(histories.items[inside], minlength=items + 1).astype(np.float64)


def popularity_counts(histories: Histories, items: int, split: int) -> dict[str, np.ndarray]:
    """Counts before ``split`` over all time and over each window of ``RECENT_DAYS``."""
    counts = {ALL_TIME: count_items(histories, items, np.iinfo(np.int64).min, split)}
    for days in RECENT_DAYS:
        counts[recent_name(days)] = count_items(histories, items, split - days * DAY, split)
    return counts


def recent_name(days: int) -> str:
    """Name of recent popularity with a window of ``days``."""
    return f"{RECENT} ({days} days)"


@dataclass(frozen=True)
class Popularity:
    """Everyone gets the same order."""

    counts: np.ndarray

    def scores(self, histories: Histories) -> np.ndarray:
        """Scores of all items for each user, shape (n, items + 1)."""
        return np.broadcast_to(self.counts, (len(histories), len(self.counts)))


@dataclass(frozen=True)
class PersonalFrequency:
    """The user's own sessions with an item; popularity decides between equals."""

    popularity: np.ndarray

    def scores(self, histories: Histories) -> np.ndarray:
        """Scores of all items for each user, shape (n, items + 1)."""
        width = len(self.popularity)
        cell = histories.owner * width + histories.items
        own = np.bincount(cell, minlength=len(histories) * width).reshape(-1, width)
        # Strictly below one vote, so that popularity can only break ties.
        return own + self.popularity / (self.popularity.max() + 1.0)


def rankers(
    counts: Mapping[str, np.ndarray], recent_days: int
) -> dict[str, Popularity | PersonalFrequency]:
    """The baselines of the closing table, by name."""
    recent = counts[recent_name(recent_days)]
    return {
        recent_name(recent_days): Popularity(recent),
        ALL_TIME: Popularity(counts[ALL_TIME]),
        PERSONAL: PersonalFrequency(recent),
    }
