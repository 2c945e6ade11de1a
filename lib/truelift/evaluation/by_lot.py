"""Rankers on labels that were drawn by lot, and what the log would have said of the same by weights.

A ranker's score of a user and item is the share of the catalogue that it places below the item for this user, so
scores of users compare. As many rows are foretold positive as are. The log holds positive rows alone: what was taken
next, each weighted by ``1 / p`` (p by popularity: Yang, Cui, Xuan et al., RecSys 2018), against items drawn evenly of those
that a user never took, the two in the proportion that the labels by lot have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truelift.errors import DataError
from truelift.evaluation.unbiased import Judged, judge
from truelift.models.sequence.histories import Histories, ItemSets

if TYPE_CHECKING:
    from truelift.evaluation.evaluator import Ranker

#: Of the log, whose lists have one taken item each: NDCG and recall of lists are not the same there.
FROM_LOGS = ("auc", "accuracy", "recall", "precision", "f1")
_DRAWN = 20
_BLOCK = 512


@dataclass(frozen=True, eq=False)
class LabelledPairs:
    """Users by their place among histories, items by index (0: none of the catalogue), and labels."""

    users: np.ndarray
    items: np.ndarray
    labels: np.ndarray


def judged_by_lot(
    rankers: Mapping[str, Ranker], histories: Histories, rows: LabelledPairs, top_k: int
) -> dict[str, dict[str, Judged]]:
    """AUC, NDCG, recall@k, accuracy, recall, precision and F1 of every ranker on rows by lot.

    Raises
    ------
    DataError
        Without rows of both labels.
    """
    if not len(rows.labels):
        raise DataError("evaluation: found no row of a user with a history, expected some.")
    found = {}
    for name, ranker in rankers.items():
        score = below(ranker, histories, rows.users, rows.items)
        found[name] = judge(
            rows.users, rows.labels, score, k=top_k, cut=_cut(score, rows.labels.mean())
        )
    return found


def judged_by_logs(
    rankers: Mapping[str, Ranker],
    test: tuple[Histories, ItemSets],
    popularity: np.ndarray,
    share: float,
    seed: int = 7,
) -> dict[str, dict[str, Judged]]:
    """The same of what was taken next, by weights; see the module.

    Parameters
    ----------
    rankers : mapping of str to Ranker
    test : (Histories, ItemSets)
        What was known, and what was taken next.
    popularity : ndarray, items + 1
        Times that each was taken before.
    share : float
        Of positive labels among all cells.
    seed : int
    """
    histories, taken = test
    rng = np.random.default_rng(seed)
    people, size = len(histories), len(popularity) - 1
    owner = np.repeat(np.arange(people), taken.sizes)
    drawn = np.repeat(np.arange(people), _DRAWN)
    other = rng.integers(1, size + 1, len(drawn))
    own = np.unique(
        np.concatenate([histories.owner, owner]).astype(np.int64) * (size + 1)
        + np.concatenate([histories.items, taken.items])
    )
    cell = drawn.astype(np.int64) * (size + 1) + other
    free = own[np.minimum(np.searchsorted(own, cell), len(own) - 1)] != cell
    drawn, other = drawn[free], other[free]
    if not len(drawn):
        return {}  # everybody has taken everything
    inverse = 1 / np.maximum(popularity[taken.items], 1.0)
    users, items = np.concatenate([owner, drawn]), np.concatenate([taken.items, other])
    labels = np.concatenate([np.ones(len(owner), bool), np.zeros(len(drawn), bool)])
    weights = np.concatenate(
        [share * inverse / inverse.sum(), np.full(len(drawn), (1 - share) / max(len(drawn), 1))]
    )
    found = {}
    for name, ranker in rankers.items():
        score = below(ranker, histories, users, items)
        told = judge(users, labels, score, weights, cut=_cut(score, share, weights))
        found[name] = {m: told[m] for m in FROM_LOGS}
    return found


def below(ranker: Ranker, histories: Histories, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Share of the catalogue that a ranker places below an item for a user, and half of what is level."""
    found = np.zeros(len(users))
    order = np.argsort(users, kind="stable")
    for start in range(0, len(histories), _BLOCK):
        end = min(start + _BLOCK, len(histories))
        first, last = np.searchsorted(users[order], [start, end])
        if first == last:
            continue
        scores = np.asarray(ranker.scores(histories.slice(start, end)), float)[:, 1:]
        sorted_ = np.sort(scores, axis=1)
        for place in order[first:last]:
            if items[place] < 1:
                continue
            row = users[place] - start
            own = scores[row, items[place] - 1]
            low = np.searchsorted(sorted_[row], own, side="left")
            high = np.searchsorted(sorted_[row], own, side="right")
            found[place] = (low + high) / (2 * scores.shape[1])
    return found


def _cut(score: np.ndarray, share: float, weights: np.ndarray | None = None) -> float:
    """So that a share of the rows lies above."""
    mass = np.ones(len(score)) if weights is None else weights
    order = np.argsort(-score, kind="stable")
    above = np.cumsum(mass[order]) / mass.sum()
    return float(score[order[min(int(np.searchsorted(above, share)), len(order) - 1)]])
