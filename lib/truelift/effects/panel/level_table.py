"""Sums by the levels of categories, in tables of fixed size that add up.

Levels lie in two tables by two hashes, and each slot keeps the hash of its level beside the sums,
once by maximum and once by minimum. So a slot that two levels share is known, and a level is lost
only where it shares its slot in both tables: with L levels and S slots a share of about
``(L / S)^2``. What is lost is never mixed into another level's numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import hash_repeated, mix
from truelift.effects.panel.columns import PanelColumns, Scale
from truelift.effects.panel.units import units_of

_NULL = np.uint64(0x6E756C6C2D6C6576)
_SECOND = np.uint64(0x9D39247E33776D41)
_WAYS = 2


def level_hashes(column: pa.Array) -> np.ndarray:
    """A 64-bit hash of each row's level; a null is a level of its own."""
    hashes = mix(hash_repeated(column))
    if column.null_count:
        hashes[column.is_null().to_numpy(zero_copy_only=False)] = _NULL
    return hashes


def hashes_in(batch: pa.RecordBatch, column: str) -> np.ndarray:
    """The same of one of a batch's columns."""
    return level_hashes(batch.column(batch.schema.get_field_index(column)))


def _slots(hashes: np.ndarray, size: int) -> np.ndarray:
    """Slots of the two tables (2 x n)."""
    two = np.stack([hashes, mix(hashes ^ _SECOND)])
    return (two % np.uint64(size)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class LevelKernel:
    """Sums by fold, line, table and slot.

    ``sums place`` is K x A (1 + 2 J) x 2 x slots: by arm the weights, the outcomes and their
    squares; ``means place`` is P x 2 x slots, the numeric covariates of all folds. ``max_level
    place`` holds the hashes, and their complements.

    Parameters
    ----------
    columns : PanelColumns
    outcomes, covariates : Scale
        In whose scales the sums are.
    names : tuple of str
        The categories.
    size : int
        Slots a table.
    folds : int
    """

    columns: PanelColumns
    outcomes: Scale
    covariates: Scale
    names: tuple[str, ...]
    size: int
    folds: int

    @property
    def lines(self) -> int:
        """Lines of ``sums`` of one fold."""
        return len(self.columns.arms.values) * (1 + 2 * len(self.outcomes.names))

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> dict[str, np.ndarray]:
        """The state of one bucket."""
        fold, size, p = bucket % self.folds, self.size, len(self.covariates.names)
        state: dict[str, np.ndarray] = {
            "rows": np.zeros(2),
            "squares": np.zeros((p, 2)),
        }
        for place in range(len(self.names)):
            state[f"sums {place}"] = np.zeros((self.folds, self.lines, _WAYS, size))
            state[f"means {place}"] = np.zeros((p, _WAYS, size))
            state[f"max_level {place}"] = np.zeros((2, _WAYS, size), np.uint64)
        for batch in batches:
            lines, numbers, kept = self._lines(batch)
            state["rows"] += (np.count_nonzero(kept), kept.sum())
            state["squares"] += np.stack([numbers @ kept, numbers**2 @ kept], axis=1)
            for place, name in enumerate(self.names):
                hashes = hashes_in(batch, name)
                own = state[f"sums {place}"][fold]
                means, seen = state[f"means {place}"], state[f"max_level {place}"]
                for way, slots in enumerate(_slots(hashes, size)):
                    for line, values in zip(own, lines, strict=True):
                        line[way] += np.bincount(slots, values, minlength=size)
                    for line, values in zip(means, numbers * kept, strict=True):
                        line[way] += np.bincount(slots, values, minlength=size)
                    np.maximum.at(seen[0, way], slots, hashes)
                    np.maximum.at(seen[1, way], slots, ~hashes)
        return state

    def _lines(self, batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """By arm weights, outcomes and squares; covariates; and the weights."""
        units = units_of(batch, 0, self.columns, outcomes=self.outcomes)
        arm, outcome = units.arm, units.outcome
        numbers = self.covariates.rows(
            batch, np.empty((len(self.covariates.names), batch.num_rows))
        )
        weight = np.ones(batch.num_rows) if units.weight is None else units.weight
        # What is not finite is refused by the first pass, with its name and count.
        fine = np.isfinite(outcome).all(axis=0) & np.isfinite(weight) & (arm >= 0)
        kept = np.where(fine, weight, 0.0)
        outcome = np.where(fine, outcome, 0.0)
        each = np.concatenate([np.ones((1, len(arm))), outcome, outcome**2]) * kept
        arms = np.arange(len(self.columns.arms.values))
        lines = np.concatenate([each * (arm == a) for a in arms])
        return lines, np.where(np.isfinite(numbers), numbers, 0.0), kept


@dataclass(frozen=True, eq=False)
class LevelSums:
    """The sums of the levels that have a slot of their own, in units (a mean weight counts one).

    Parameters
    ----------
    keys : ndarray of uint64, L
        Hashes of the levels, in ascending order.
    sums : ndarray, K x A x (1 + 2 J) x L
        By fold and arm: units, outcomes, squares of outcomes.
    total : ndarray, K x A x (1 + 2 J)
        The same of all rows.
    means : ndarray, P x L
        Sums of the covariates over all folds.
    squares : ndarray, P x 2
        Sums of the covariates and of their squares over all rows.
    """

    keys: np.ndarray
    sums: np.ndarray
    total: np.ndarray
    means: np.ndarray
    squares: np.ndarray

    @property
    def units(self) -> np.ndarray:
        """Units by fold and level, K x L."""
        return self.sums[:, :, 0].sum(axis=1)

    @property
    def lost(self) -> float:
        """Share of the units whose level has no slot of its own."""
        everything = float(self.total[:, :, 0].sum())
        return 1.0 - float(self.units.sum()) / everything if everything > 0 else 0.0

    def covered(self, hashes: np.ndarray) -> float:
        """Share of the units whose level is one of these."""
        everything = float(self.total[:, :, 0].sum())
        own = self.units[:, np.isin(self.keys, hashes)].sum()
        return float(own) / everything if everything > 0 else 1.0

    def keeping(self, most: int) -> LevelSums:
        """Without levels of one fold alone, of which no other fold knows; at most this many."""
        units = self.units
        useful = np.flatnonzero((units > 0).sum(axis=0) > 1)
        if len(useful) > most:
            order = np.argsort(-units[:, useful].sum(axis=0), kind="stable")
            useful = np.sort(useful[order[:most]])
        return LevelSums(
            self.keys[useful],
            self.sums[..., useful],
            self.total,
            self.means[:, useful],
            self.squares,
        )


def level_sums(state: dict[str, np.ndarray], kernel: LevelKernel, place: int) -> LevelSums:
    """The sums of one category's levels.

    Parameters
    ----------
    state : dict of str to ndarray
        Of the kernel, over all buckets.
    kernel : LevelKernel
    place : int
        The category's place among the kernel's.
    """
    highest, complement = state[f"max_level {place}"]
    alone = (highest > 0) & (highest == ~complement)
    slots = [np.flatnonzero(alone[way]) for way in range(_WAYS)]
    first, second = (highest[way, own] for way, own in enumerate(slots))
    further = ~np.isin(second, first)
    keys = np.concatenate([first, second[further]])
    order = np.argsort(keys)

    def of_levels(table: np.ndarray) -> np.ndarray:
        both = [table[..., 0, slots[0]], table[..., 1, slots[1][further]]]
        return np.concatenate(both, axis=-1)[..., order]

    rows, weight = state["rows"]
    unit = rows / weight if weight > 0 else 1.0
    sums, arms = state[f"sums {place}"], len(kernel.columns.arms.values)
    lines = (kernel.folds, arms, kernel.lines // arms)
    return LevelSums(
        keys[order],
        unit * of_levels(sums).reshape(*lines, -1),
        unit * sums[:, :, 0].sum(axis=-1).reshape(lines),
        unit * of_levels(state[f"means {place}"]),
        unit * state["squares"],
    )
