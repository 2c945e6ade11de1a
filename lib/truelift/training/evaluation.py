"""Full-ranking evaluation of a shard of users, for the model and its baselines alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from truelift.models.histories import Histories, ItemSets
from truelift.recommend.baselines import popularity_counts
from truelift.recommend.metrics import UserMetrics, rank_metrics, top_items

# Users scored at once; bounds memory at this number times the vocabulary.
CHUNK = 256

Window = Callable[[Histories], tuple[Histories, ItemSets]]


class Ranker(Protocol):
    """Anything that scores all items for a batch of users."""

    def scores(self, histories: Histories) -> np.ndarray:
        """Scores, shape (n, items + 1)."""


@dataclass
class Evaluation:
    """Metrics of each user, and the mean cross-entropy where scores are log odds."""

    metrics: UserMetrics
    loss_sum: float


def evaluate(
    shards: Iterable[Histories], window: Window, rankers: Mapping[str, Ranker], k: int
) -> dict[str, Evaluation]:
    """Rank every item for each user of a window.

    Parameters
    ----------
    shards : iterable of Histories
        Whole histories; read once for all rankers.
    window : callable
        ``split.validation`` or ``split.test``: past and relevant items of the users to rank for.
    rankers : mapping of str to Ranker
    k : int
        Length of the list.
    """
    parts: dict[str, list[UserMetrics]] = {name: [] for name in rankers}
    losses = dict.fromkeys(rankers, 0.0)
    for histories in shards:
        past, relevant = window(histories)
        for start in range(0, len(past), CHUNK):
            stop = min(start + CHUNK, len(past))
            some = past.slice(start, stop)
            wanted = relevant.take(_range_mask(len(past), start, stop))
            for name, ranker in rankers.items():
                scores = ranker.scores(some)
                parts[name].append(rank_metrics(top_items(scores, k), wanted, k))
                losses[name] += cross_entropy(scores, wanted)
    return {
        name: Evaluation(UserMetrics.concatenate(parts[name]), losses[name]) for name in rankers
    }


def count_popularity(
    shards: Iterable[Histories], items: int, splits: Iterable[int]
) -> dict[int, dict[str, np.ndarray]]:
    """Popularity counts before each split, over all shards; they add up over ranks."""
    splits = tuple(splits)
    totals: dict[int, dict[str, np.ndarray]] = {s: {} for s in splits}
    for histories in shards:
        for split in splits:
            for name, counts in popularity_counts(histories, items, split).items():
                totals[split][name] = totals[split].get(name, np.zeros(items + 1)) + counts
    return totals


def cross_entropy(scores: np.ndarray, relevant: ItemSets) -> float:
    """Sum over users of the mean of ``-log softmax`` at their relevant items."""
    if len(scores) == 0:
        return 0.0
    real = scores[:, 1:].astype(np.float64)
    peak = real.max(axis=1)
    normaliser = peak + np.log(np.exp(real - peak[:, None]).sum(axis=1))
    owner = np.repeat(np.arange(len(relevant)), relevant.sizes)
    each = normaliser[owner] - scores[owner, relevant.items]
    return float((np.bincount(owner, each) / relevant.sizes).sum())


def _range_mask(count: int, start: int, stop: int) -> np.ndarray:
    mask = np.zeros(count, dtype=bool)
    mask[start:stop] = True
    return mask
