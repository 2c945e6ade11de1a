"""The place of every wanted item in the ranking of the whole catalogue, without sorting it.

A wanted item's place is one more than the number of competitors that score higher, plus those
that score the same and have a smaller index. Counting is one pass over a row, so all metrics of
all cut-offs cost less than one sort.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.errors import DataError
from truelift.models.sequence.histories import ItemSets

# With more wanted items than this, sorting the row once is cheaper than a pass for each.
_COUNT_UP_TO = 12


@dataclass(frozen=True)
class Places:
    """Places of the wanted items of n rows (a row is one ranking for one user).

    Parameters
    ----------
    offsets : numpy.ndarray of int64, shape (n + 1,)
        Row ``u`` owns the entries ``offsets[u]:offsets[u + 1]``.
    items : numpy.ndarray of int32
        The wanted items.
    places : numpy.ndarray of int64
        1 is the head of the list.
    auc : numpy.ndarray of float64
        Share of the competitors that are not wanted which rank below, ties half.
    """

    offsets: np.ndarray
    items: np.ndarray
    places: np.ndarray
    auc: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def owner(self) -> np.ndarray:
        """Row of each entry."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def only(self, mask: np.ndarray) -> tuple[np.ndarray, Places]:
        """Rows that have an entry where ``mask`` is true, and these entries alone.

        Returns
        -------
        rows : numpy.ndarray of int64
            Numbers of the rows that are left.
        places : Places
        """
        sizes = np.bincount(self.owner[mask], minlength=len(self))
        rows = np.flatnonzero(sizes)
        offsets = np.concatenate([[0], np.cumsum(sizes[rows])]).astype(np.int64)
        return rows, Places(offsets, self.items[mask], self.places[mask], self.auc[mask])


def places_of(scores: np.ndarray, wanted: ItemSets, seen: ItemSets | None = None) -> Places:
    """Place every wanted item among all items, or among those that were not seen.

    Parameters
    ----------
    scores : numpy.ndarray, shape (n, items + 1)
        Column ``i`` is item index ``i``; column 0 is padding and never competes.
    wanted : ItemSets
        Distinct wanted items of the same n rows; no set may be empty.
    seen : ItemSets, optional
        Distinct items that do not compete. None of them may be wanted.

    Returns
    -------
    Places
        A pure function of scores and indices: the same whatever the batch.

    Raises
    ------
    DataError
        For scores that are not numbers (they have no order), a row without wanted items, or
        numbers of rows that differ.
    """
    if len(scores) != len(wanted):
        raise DataError(f"Metrics: found {len(scores)} rows of scores for {len(wanted)} users.")
    check_numbers(scores)
    if (wanted.sizes == 0).any():
        raise DataError("Metrics: found a user without relevant items, expected at least one.")
    places = np.empty(len(wanted.items), dtype=np.int64)
    auc = np.empty(len(wanted.items))
    for row in range(len(wanted)):
        mine = slice(wanted.offsets[row], wanted.offsets[row + 1])
        out = seen.items[seen.offsets[row] : seen.offsets[row + 1]] if seen is not None else None
        places[mine], auc[mine] = _place_row(scores[row, 1:], wanted.items[mine] - 1, out)
    return Places(wanted.offsets.astype(np.int64), wanted.items, places, auc)


def check_numbers(scores: np.ndarray) -> None:
    """Refuse scores that are not numbers; the padding column is checked with the others."""
    if scores.size and np.isnan(scores.min()):
        raise DataError("Scores: found values that are not numbers, expected finite scores.")


def _place_row(
    row: np.ndarray, wanted: np.ndarray, seen: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    own = row[wanted]
    above, level = _within(row, own)
    earlier = np.zeros(len(wanted), dtype=np.int64)
    for place in np.flatnonzero(level > 1):
        earlier[place] = np.count_nonzero(row[: wanted[place]] == own[place])
    rivals = len(row)
    if seen is not None and len(seen):
        out = row[seen - 1]
        out_above, out_level = _within(out, own)
        above -= out_above
        level -= out_level
        for place in np.flatnonzero(out_level):
            earlier[place] -= np.count_nonzero(out[seen - 1 < wanted[place]] == own[place])
        rivals -= len(out)
    others = rivals - len(wanted)
    own_above, own_level = _within(own, own)
    others_above, others_level = above - own_above, level - own_level
    below = others - others_above - others_level
    # With nothing but wanted items there is no order to get wrong: neither good nor bad.
    auc = (below + 0.5 * others_level) / others if others > 0 else np.full(len(own), 0.5)
    return 1 + above + earlier, auc


def _within(row: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many of a row score higher than each, and how many the same."""
    if len(own) > _COUNT_UP_TO:
        ordered = np.sort(row)
        right = np.searchsorted(ordered, own, "right")
        return len(row) - right, right - np.searchsorted(ordered, own)
    above = [np.count_nonzero(row > s) for s in own]
    return np.array(above), np.array([np.count_nonzero(row == s) for s in own])
