"""Full-ranking metrics: every item of the catalogue competes, none is sampled.

Sampled metrics can reverse the order of models (Krichene & Rendle, KDD 2020), so there are
none here. Ties are broken by the item index, which makes every number repeatable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.errors import DataError
from truelift.models.histories import ItemSets

NORMAL_95 = 1.959963984540054


@dataclass(frozen=True)
class UserMetrics:
    """HitRate@k and NDCG@k of each user, shape (n,) each."""

    hit: np.ndarray
    ndcg: np.ndarray

    @classmethod
    def concatenate(cls, parts: list[UserMetrics]) -> UserMetrics:
        """The users of all parts, in order."""
        if not parts:
            return cls(np.zeros(0), np.zeros(0))
        return cls(np.concatenate([p.hit for p in parts]), np.concatenate([p.ndcg for p in parts]))


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


def rank_metrics(top: np.ndarray, relevant: ItemSets, k: int) -> UserMetrics:
    """HitRate@k and NDCG@k with binary relevance.

    ``NDCG@k = sum_{r<=k} rel_r / log2(r + 1)`` over the same sum for the best possible list,
    which has ``min(k, |relevant|)`` hits at its head (Järvelin & Kekäläinen 2002).

    Parameters
    ----------
    top : numpy.ndarray, shape (n, k)
        Ranked item indices, best first.
    relevant : ItemSets
        Distinct relevant items of the same users; no set may be empty.
    """
    if len(top) != len(relevant):
        raise DataError(f"Metrics: found {len(top)} lists for {len(relevant)} users.")
    if len(top) == 0:
        return UserMetrics(np.zeros(0), np.zeros(0))
    top = top[:, :k]
    sizes = relevant.sizes
    if (sizes == 0).any():
        raise DataError("Metrics: found a user without relevant items, expected at least one.")
    span = int(max(top.max(), relevant.items.max())) + 1
    wanted = np.repeat(np.arange(len(top)), sizes) * span + relevant.items
    offered = np.arange(len(top))[:, None] * span + top
    hits = np.isin(offered, wanted)
    gain = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0.0], np.cumsum(gain)])[np.minimum(sizes, k)]
    return UserMetrics(hits.any(axis=1).astype(float), hits @ gain[: top.shape[1]] / ideal)


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean over users with a 95% normal interval (users are independent).

    Returns
    -------
    mean, lower, upper : float
        With fewer than two users the interval is the whole of [0, 1].
    """
    if len(values) == 0:
        raise DataError("Metrics: found no user to evaluate, expected at least one.")
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, 0.0, 1.0
    half = NORMAL_95 * float(np.std(values, ddof=1)) / np.sqrt(len(values))
    return mean, mean - half, mean + half
