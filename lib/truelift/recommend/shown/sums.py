"""What lists and purchases say, as sums of a bucket's users: first how lists were made, then what they did.

In the market of a category the purchase Y of a list's reader is regressed on which of its items were on
the list, an item in slot k counting ``e_k`` (how much slot k is looked at, against the first). Where chances
were logged, lists are weighted by ``w = prod_k h_k / p_k``: p the logged chance, h the harmonic mean of
the chances with which that item came into that slot in that cell, which is what the cell's frequency
estimates. Any such function of list and cell makes lists independent of all else that the operator may
have followed, and either the chances or the regression may then be wrong (Robins, Sued, Lei-Gomez &
Rotnitzky 2007). Where no chances were logged, the cell's frequencies stand for them: weights are 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.lake.states import State, pack_state
from truelift.recommend.shown.rows import ListRows, Outcome, Shelf, list_rows_of

#: Of lists: the most that one may count.
MOST_WEIGHT = 20.0
OWN, OTHER = range(2)
STATE = "bucket int, state binary"


@dataclass(frozen=True, eq=False)
class HowMade:
    """What the first pass found.

    Parameters
    ----------
    stated : ndarray, cells x slots x items
        h; 0 where it was not shown.
    eyes : ndarray, slots
        e_k.
    among : ndarray of int
        Items that were shown, by index; the sums of the second pass have these alone.
    """

    stated: np.ndarray
    eyes: np.ndarray
    among: np.ndarray


def counted(shelf: Shelf, rows: ListRows) -> State:
    """How often items came into slots, and by which chances; clicks by slot."""
    cell = rows.cell[rows.of_list]
    place = (cell * shelf.slots + rows.slot) * shelf.items + rows.item
    shape = (len(shelf.cells), shelf.slots, shelf.items)
    logged = np.isfinite(rows.chance)
    inverse = np.where(logged, 1.0 / np.where(logged, rows.chance, 1.0), 1.0)
    size = int(np.prod(shape))

    def by_slot(values: np.ndarray) -> np.ndarray:
        return np.bincount(rows.slot, values, shelf.slots)

    return {
        "shown": np.bincount(place[logged], minlength=size).reshape(shape).astype(float),
        "inverse": np.bincount(place[logged], inverse[logged], size).reshape(shape),
        "looks": by_slot(inverse),
        "clicks": by_slot(inverse * rows.clicked),
        "times": np.bincount(rows.item, minlength=shelf.items).astype(float),
        "lists": np.array(
            [len(rows), len(rows.item), logged.sum(), (rows.chance[logged] >= 1.0).sum()], float
        ),
    }


def how_made(counts: State) -> HowMade:
    """From the first pass's sums: stated chances, and how much each slot is looked at.

    Clicks by slot under lists drawn uniformly, by the logged chances; a slot further down is not
    looked at more. Without clicks every slot counts alike.
    """
    stated = np.where(
        counts["inverse"] > 0, counts["shown"] / np.maximum(counts["inverse"], 1e-300), 0.0
    )
    rate = counts["clicks"] / np.maximum(counts["looks"], 1e-300)
    eyes = np.ones(len(rate))
    if rate[0] > 0:
        eyes = np.minimum.accumulate(np.clip(rate / rate[0], 0.02, 1.0))
    among = np.flatnonzero(counts["times"] > 0)
    return HowMade(stated, eyes, among[among > 0])


def weights_of(made: HowMade, rows: ListRows) -> np.ndarray:
    """W of every list; 1 where a chance of it was not logged."""
    stated = made.stated[rows.cell[rows.of_list], rows.slot, rows.item]
    usable = np.isfinite(rows.chance) & (stated > 0)
    ratio = np.log(np.where(usable, stated, 1.0)) - np.log(np.where(usable, rows.chance, 1.0))
    found = np.bincount(rows.of_list, ratio, len(rows))
    lacking = np.bincount(rows.of_list, ~usable, len(rows)) > 0
    return np.where(lacking, 1.0, np.minimum(np.exp(np.minimum(found, 50.0)), MOST_WEIGHT))


def evidence(shelf: Shelf, made: HowMade, rows: ListRows) -> State:
    """Sums of the regressions, by cell (X), stratum (own category or another), shown item (I) and category."""
    x, n, c = len(shelf.cells), len(made.among), shelf.categories
    weight = weights_of(made, rows)
    compact = np.full(shelf.items, -1)
    compact[made.among] = np.arange(n)
    # The place of an item among the shown ones of its category.
    own_category = shelf.category[made.among]
    within, widest = places(own_category)
    item = compact[rows.item]
    keep = item >= 0
    of_list, item, slot = rows.of_list[keep], item[keep], rows.slot[keep]
    cell, category = rows.cell[of_list], own_category[item]
    stratum = np.where(shelf.cell_category[cell] == category, OWN, OTHER)
    eye = made.eyes[slot]
    mass = weight[of_list] * eye
    bought = rows.bought_from(shelf.category[rows.item], c)[keep]
    gram = np.zeros(2 * n * widest)
    for step in range(-(shelf.slots - 1), shelf.slots):
        left = np.arange(max(-step, 0), len(item) - max(step, 0))
        right = left + step
        same = (of_list[left] == of_list[right]) & (category[left] == category[right])
        left, right = left[same], right[same]
        place = (stratum[left] * n + item[left]) * widest + within[item[right]]
        gram += np.bincount(place, mass[left] * eye[right], len(gram))
    own = weight[rows.bought_list]
    cells = rows.cell[rows.bought_list]
    return {
        "visits": np.bincount(rows.cell, weight, x),
        "squares": np.bincount(rows.cell, weight**2, x),
        "purchases": np.bincount(cells * c + rows.bought_category, own, x * c).reshape(x, c),
        "shown": np.bincount(cell * n + item, mass, x * n).reshape(x, n),
        "gram": gram.reshape(2, n, widest),
        "bought_with": np.bincount(stratum * n + item, mass * bought, 2 * n).reshape(2, n),
        "times": np.bincount(stratum * n + item, minlength=2 * n).reshape(2, n).astype(float),
    }


def places(category: np.ndarray) -> tuple[np.ndarray, int]:
    """The place of each item among those of its category, and the most that any category has."""
    order = np.argsort(category, kind="stable")
    sorted_ = category[order]
    first = np.searchsorted(sorted_, sorted_)
    within = np.empty(len(category), np.int64)
    within[order] = np.arange(len(category)) - first
    return within, int(within.max(initial=0)) + 1


@dataclass(frozen=True, eq=False)
class CountKernel:
    """The first pass over a bucket of ``gold.exposures`` and ``silver.events``."""

    shelf: Shelf
    outcome: Outcome

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        """One row: the bucket's state."""
        rows = list_rows_of(self.shelf, self.outcome, tables["exposures"], tables["events"])
        return _packed(bucket, counted(self.shelf, rows))


@dataclass(frozen=True, eq=False)
class EvidenceKernel:
    """The second pass."""

    shelf: Shelf
    outcome: Outcome
    made: HowMade

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        """One row: the bucket's state."""
        rows = list_rows_of(self.shelf, self.outcome, tables["exposures"], tables["events"])
        return _packed(bucket, evidence(self.shelf, self.made, rows))


def _packed(bucket: int, state: State) -> pa.Table:
    return pa.table({"bucket": pa.array([bucket], pa.int32()), "state": [pack_state(state)]})
