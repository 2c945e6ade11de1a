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
import pyarrow as pa

from truelift.arrays.keys import hash_keys, mix
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
        raise DataError(
            "evaluation: found no row that can judge, expected some of a user with a history and an item that it does "
            "not have."
        )
    return {
        name: by_rows(rows, below(ranker, histories, rows.users, rows.items), top_k)
        for name, ranker in rankers.items()
    }


def fresh(
    rows: LabelledPairs, histories: Histories, items: int
) -> tuple[LabelledPairs, dict[str, int]]:
    """Rows that can judge: each user and item once, and none that the histories have.

    What a history has already, a ranker was fitted on or is told of: it is no test of it. Rows that say the same twice
    count once, and those of one user and item that disagree say nothing.

    Parameters
    ----------
    rows : LabelledPairs
    histories : Histories
    items : int
        Size of the catalogue.

    Returns
    -------
    LabelledPairs, dict of str to int
        How many rows are left out: ``known`` by a history, ``repeated``, and ``contradicted``.
    """
    wide = items + 1
    # An item of no catalogue is like no other: it stays, and is ranked last.
    cell = np.where(rows.items > 0, rows.users * wide + rows.items, -1 - np.arange(len(rows.items)))
    own = np.unique(histories.owner.astype(np.int64) * wide + histories.items)
    place, first, number = np.unique(cell, return_index=True, return_inverse=True)
    times = np.bincount(number, minlength=len(place))
    good = np.bincount(number, rows.labels, len(place))
    agreed = (good == 0) | (good == times)
    known = np.isin(place, own)
    kept = first[agreed & ~known]
    left = {
        "known": int(times[known].sum()),
        "repeated": int((times - 1)[agreed & ~known].sum()),
        "contradicted": int(times[~agreed & ~known].sum()),
    }
    return LabelledPairs(rows.users[kept], rows.items[kept], rows.labels[kept]), left


def cells_of_log(test: tuple[Histories, ItemSets], items: int, seed: int = 7) -> LabelledPairs:
    """What was taken next, and items drawn evenly of those that a user never took; no layout moves a draw.

    Parameters
    ----------
    test : (Histories, ItemSets)
        What was known, and what was taken next.
    items : int
    seed : int
    """
    histories, taken = test
    people = len(histories)
    owner = np.repeat(np.arange(people), taken.sizes)
    drawn = np.repeat(np.arange(people), _DRAWN)
    lots = mix(hash_keys(pa.array(histories.users.tolist(), pa.string())) ^ np.uint64(seed))
    each = mix(lots[:, None] + np.arange(_DRAWN, dtype=np.uint64)[None]).ravel()
    other = (each % np.uint64(items)).astype(np.int64) + 1
    own = np.unique(
        np.concatenate([histories.owner, owner]).astype(np.int64) * (items + 1)
        + np.concatenate([histories.items, taken.items])
    )
    cell = drawn.astype(np.int64) * (items + 1) + other
    free = ~np.isin(cell, own)
    labels = np.concatenate([np.ones(len(owner), bool), np.zeros(int(free.sum()), bool)])
    return LabelledPairs(
        np.concatenate([owner, drawn[free]]), np.concatenate([taken.items, other[free]]), labels
    )


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
    cells = cells_of_log(test, len(popularity) - 1, seed)
    inverse = 1 / np.maximum(popularity, 1.0)
    return {
        name: told
        for name, ranker in rankers.items()
        if (
            told := by_weights(
                cells, below(ranker, test[0], cells.users, cells.items), inverse, share
            )
        )
    }


def by_weights(
    cells: LabelledPairs, score: np.ndarray, inverse: np.ndarray, share: float
) -> dict[str, Judged]:
    """Scores of :func:`cells_of_log`, what was taken weighted by inverse chances (items + 1).

    Empty without both labels; ``share`` of all cells count as positive.
    """
    if cells.labels.all() or not cells.labels.any():
        return {}  # everybody has taken everything, or nobody anything
    own, free = np.where(cells.labels, inverse[cells.items], 0.0), ~cells.labels
    weights = share * own / own.sum() + (1 - share) * free / free.sum()
    cut = _cut(score, share, weights)
    told = judge(
        cells.users, cells.labels, score, weights, cut=cut, cut_by_share=True, shares_known=True
    )
    return {m: told[m] for m in FROM_LOGS}


def by_rows(rows: LabelledPairs, score: np.ndarray, top_k: int) -> dict[str, Judged]:
    """Scores of rows by lot: as many are foretold positive as are."""
    cut = _cut(score, float(rows.labels.mean()))
    return judge(rows.users, rows.labels, score, k=top_k, cut=cut, cut_by_share=True)


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
