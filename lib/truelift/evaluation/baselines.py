"""Rankings that need no training, for the models to beat.

Popularity counts what ``gold.sequences`` holds: sessions with an item, so that one bulk purchase
is one vote, or with ``features.repeats`` single events. Recent popularity counts only a window of days before the split; the window is chosen on
the validation part (see :mod:`truelift.evaluation.comparison`). Personal frequency ranks what
the user took most often and fills up with popular items; in groceries it is hard to beat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from truelift.evaluation.splits import DAY
from truelift.models.sequence.histories import Histories, ItemSets

RECENT_DAYS = (7, 14, 28, 56)
ALL_TIME = "popularity (all time)"
RECENT = "recent popularity"
PERSONAL = "personal frequency"
MOST_FREQUENT = "most frequent action"
Counts = dict[str, dict[str, np.ndarray]]
Shards = Callable[[], Iterable[Histories]]
Join = Callable[[np.ndarray, str], np.ndarray]


def count_items(histories: Histories, items: int, start: int, end: int) -> np.ndarray:
    """Interactions with each item in ``[start, end)``; shape (items + 1,), additive.

    A session holds an item once (see ``gold.sequences``), so these are counts of sessions;
    with ``features.repeats`` they are counts of events.
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
    """How often the user's own history holds an item; popularity decides between equals."""

    popularity: np.ndarray

    def scores(self, histories: Histories) -> np.ndarray:
        """Scores of all items for each user, shape (n, items + 1)."""
        width = len(self.popularity)
        cell = histories.owner * width + histories.items
        own = np.bincount(cell, minlength=len(histories) * width).reshape(-1, width)
        # Strictly below one vote, so that popularity can only break ties.
        return own + self.popularity / (self.popularity.max() + 1.0)


def count_known(shards: Shards, split: Any, items: int, join: Join) -> Counts:
    """This rank's counts in the training part, and before the validation and the test part.

    A split by time has one instant for all users, up to which everything is known. Any other
    split knows the training part, and recency is counted back from its latest event.

    Parameters
    ----------
    shards : callable
        Gives whole histories.
    split : object
    items : int
    join : callable
        Puts the ranks' arrays end to end; finds the latest event of all.

    Returns
    -------
    dict of str to dict of str to numpy.ndarray
        ``training`` (all time only), ``validation`` and ``test``; arrays of shape (items + 1,).
    """
    starts = {part: getattr(split, f"{part}_start", None) for part in ("validation", "test")}
    latest = 0
    if None in starts.values():
        own = [int(split.training(h).times.max(initial=0)) for h in shards()]
        latest = int(join(np.array([max(own, default=0)], dtype=np.int64), "latest").max()) + 1
    zeros = {name: np.zeros(items + 1) for name in (ALL_TIME, *map(recent_name, RECENT_DAYS))}
    total: Counts = {"training": {ALL_TIME: np.zeros(items + 1)}}
    total |= {part: {name: z.copy() for name, z in zeros.items()} for part in starts}
    for histories in shards():
        learned = split.training(histories)
        total["training"][ALL_TIME] += np.bincount(learned.items, minlength=items + 1)
        for part, start in starts.items():
            known, end = (learned, latest) if start is None else (histories, start)
            for name, counts in popularity_counts(known, items, end).items():
                total[part][name] += counts
    return total


def count_actions(shards: Shards, split: Any, actions: int, join: Join) -> Counts:  # noqa: ARG001
    """How often each kind of event is in the training part, for every part."""
    counts = np.zeros(actions + 1)
    for histories in shards():
        learned = split.training(histories)
        counts += np.bincount(learned.features["event_type"], minlength=actions + 1)
    return {part: {ALL_TIME: counts.copy()} for part in ("training", "validation", "test")}


def next_actions(histories: Histories, past: Histories) -> tuple[Histories, ItemSets]:
    """The kind of event that follows each past, as the one wanted entry.

    Parameters
    ----------
    histories : Histories
        Whole histories.
    past : Histories
        Beginnings of some of them, in the same order.

    Returns
    -------
    past, actions : Histories, ItemSets
        Without users whose next event is of an unknown kind.
    """
    places: dict[str, list[int]] = {}
    for row, user in enumerate(histories.users):
        places.setdefault(user, []).append(row)
    rows = np.array([places[user].pop(0) for user in past.users], dtype=np.int64)
    following = histories.offsets[rows] + np.diff(past.offsets)
    exists = following < histories.offsets[rows + 1]
    kinds = np.zeros(len(rows), dtype=np.int32)
    kinds[exists] = histories.features["event_type"][following[exists]]
    keep = kinds > 0
    return past.take(keep), ItemSets(np.arange(keep.sum() + 1), kinds[keep])


def rankers(
    counts: Mapping[str, np.ndarray], recent_days: int, personal: bool = True
) -> dict[str, Popularity | PersonalFrequency]:
    """The baselines that count, by name; personal frequency only where seen items may return."""
    recent = counts[recent_name(recent_days)]
    found: dict[str, Popularity | PersonalFrequency] = {
        recent_name(recent_days): Popularity(recent),
        ALL_TIME: Popularity(counts[ALL_TIME]),
    }
    if personal:
        found[PERSONAL] = PersonalFrequency(recent)
    return found
