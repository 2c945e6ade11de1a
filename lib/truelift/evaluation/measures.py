"""Metrics of a ranking from the places of its wanted items, and of the list itself.

All from the full ranking. Sampled metrics can reverse the order of models (Krichene & Rendle,
KDD 2020); see :mod:`truelift.evaluation.sampled`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from truelift.evaluation.places import Places

AT_CUTOFF = ("ndcg", "hit_rate", "recall", "precision", "f1", "mrr", "map")
OF_LISTS = ("novelty", "long_tail_share", "category_share", "intra_list_diversity")
# Items outside this share of the catalogue, the most popular first, are its long tail.
HEAD_SHARE = 0.2


def place_metrics(places: Places, cutoffs: Sequence[int]) -> np.ndarray:
    """Every metric of :data:`AT_CUTOFF` at each cut-off, then the AUC; one row a ranking.

    With the places ``r_1 < r_2 < ..`` of the ``T`` wanted items, of which ``h`` are within the
    first ``k``:

    * hit rate ``[r_1 <= k]``, recall ``h / T``, precision ``h / k``, F1 their harmonic mean;
    * MRR ``1 / r_1`` where ``r_1 <= k``, else 0;
    * MAP ``sum_{j <= h} (j / r_j) / min(T, k)``;
    * NDCG ``sum_{j <= h} 1 / log2(r_j + 1)`` over the same sum for the best possible list,
      which has ``min(T, k)`` hits at its head (Järvelin & Kekäläinen 2002);
    * AUC: the mean over the wanted items of :attr:`Places.auc`.

    Returns
    -------
    numpy.ndarray of float64, shape (n, 7 * len(cutoffs) + 1)
        In the order of :func:`place_metric_names`.
    """
    rows, owner = len(places), places.owner
    order = np.lexsort((places.places, owner))
    place = places.places[order]
    sizes = np.diff(places.offsets)
    number = np.arange(len(owner)) - np.repeat(places.offsets[:-1], sizes) + 1
    first = place[places.offsets[:-1]] if rows else np.zeros(0)

    def total(each: np.ndarray) -> np.ndarray:
        return np.bincount(owner, each, minlength=rows)

    columns = []
    for k in cutoffs:
        inside = place <= k
        hits = total(inside)
        recall, precision = hits / sizes, hits / k
        either = np.where(hits > 0, precision + recall, 1.0)
        possible = np.minimum(sizes, k)
        ideal = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(2, k + 2)))])
        columns += [
            total(np.where(inside, 1.0 / np.log2(place + 1.0), 0.0)) / ideal[possible],
            (first <= k).astype(float),
            recall,
            precision,
            2.0 * precision * recall / either,
            np.where(first <= k, 1.0 / np.maximum(first, 1), 0.0),
            total(np.where(inside, number / place, 0.0)) / possible,
        ]
    columns.append(np.bincount(owner, places.auc, minlength=rows) / sizes)
    return np.stack(columns, axis=1)


def place_metric_names(cutoffs: Sequence[int]) -> tuple[tuple[str, int | None], ...]:
    """Name and cut-off of the columns of :func:`place_metrics`."""
    return (*((name, k) for k in cutoffs for name in AT_CUTOFF), ("auc", None))


@dataclass(frozen=True)
class Catalogue:
    """What is known of the items before anyone is ranked for; entry 0 is padding.

    Parameters
    ----------
    popularity : numpy.ndarray of float64, shape (items + 1,)
        Interactions in the training part.
    categories : numpy.ndarray of int32, shape (items + 1,), optional
        Codes; 0 = unknown.
    """

    popularity: np.ndarray
    categories: np.ndarray | None = None

    @property
    def items(self) -> int:
        """Number of items."""
        return len(self.popularity) - 1

    @property
    def novelty(self) -> np.ndarray:
        """``-log2`` of each item's share of the interactions, in bits.

        One interaction is added to every item, so that one nobody took has a finite value
        (self-information: Zhou et al., PNAS 2010; Vargas & Castells, RecSys 2011).
        """
        counts = self.popularity + 1.0
        return -np.log2(counts / counts[1:].sum())

    @property
    def tail(self) -> np.ndarray:
        """Whether an item is outside the most popular fifth; equals are ranked by index."""
        order = np.argsort(-self.popularity[1:], kind="stable") + 1
        tail = np.ones(self.items + 1, dtype=bool)
        tail[order[: int(np.ceil(HEAD_SHARE * self.items))]] = False
        return tail


def list_metrics(top: np.ndarray, catalogue: Catalogue) -> np.ndarray:
    """Metrics of :data:`OF_LISTS` of ranked lists; the last two only where categories are known.

    * novelty: mean of :attr:`Catalogue.novelty` over the list, in bits;
    * long-tail share: share of the places with an item of :attr:`Catalogue.tail`;
    * category share: distinct categories over places;
    * intra-list diversity: share of the pairs of places whose categories differ (Ziegler et
      al., WWW 2005, with 0/1 similarity); 0 for a list of one.

    Parameters
    ----------
    top : numpy.ndarray of int64, shape (n, k)
        Item indices, best first; 0 is an empty place and counts for nothing.
    catalogue : Catalogue

    Returns
    -------
    numpy.ndarray of float64, shape (n, 2 or 4)
        An empty list has zeros.
    """
    filled = top > 0
    length = np.maximum(filled.sum(axis=1), 1)
    columns = [
        np.where(filled, catalogue.novelty[top], 0.0).sum(axis=1) / length,
        (filled & catalogue.tail[top]).sum(axis=1) / length,
    ]
    if catalogue.categories is not None:
        codes = np.where(filled, catalogue.categories[top], -1)
        ordered = np.sort(codes, axis=1)
        opens = np.ones(ordered.shape, dtype=bool)
        opens[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
        distinct = (opens & (ordered >= 0)).sum(axis=1)
        same = codes[:, :, None] == codes[:, None, :]
        both = filled[:, :, None] & filled[:, None, :]
        pairs = np.maximum(length * (length - 1), 1)
        columns += [distinct / length, (both & ~same).sum(axis=(1, 2)) / pairs]
    return np.stack(columns, axis=1)


def list_metric_names(catalogue: Catalogue, k: int) -> tuple[tuple[str, int | None], ...]:
    """Name and cut-off of the columns of :func:`list_metrics`."""
    names = OF_LISTS if catalogue.categories is not None else OF_LISTS[:2]
    return tuple((name, k) for name in names)


def coverage(exposure: np.ndarray) -> float:
    """Share of the items that are in anyone's list; ``exposure`` has an entry an item."""
    return float(np.count_nonzero(exposure) / max(len(exposure), 1))


def gini(exposure: np.ndarray) -> float:
    """Gini coefficient of how often items are shown: 0 all alike, towards 1 one item alone.

    ``sum_i (2 i - n - 1) x_(i) / (n sum x)`` over the values in ascending order; 0 where
    nothing was shown.
    """
    ordered = np.sort(np.asarray(exposure, dtype=float))
    n, total = len(ordered), ordered.sum()
    if total == 0:
        return 0.0
    return float(((2 * np.arange(1, n + 1) - n - 1) @ ordered) / (n * total))
