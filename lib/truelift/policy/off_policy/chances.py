"""Chances of actions by cells of the context: tables of them, checked, and what they say of a row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.keys import hash_repeated, mix
from truelift.effects.panel.columns import number_column
from truelift.errors import DataError, TableError
from truelift.lake.address import TableAddress
from truelift.lake.foreign import ForeignTable, open_foreign
from truelift.policy.off_policy.candidates import ChanceTable
from truelift.policy.off_policy.log import column_of, first_few, is_numeric, texts

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_SUM = 1e-6


@dataclass(frozen=True, eq=False)
class Chances:
    """Chances of actions by cells of the context; nothing is stored for a chance of zero.

    Parameters
    ----------
    by : tuple of str
    cells : ndarray of uint64, C
        Hashes of the cells, ascending.
    cell, action, chance : ndarray, E
        Entries, by their keys.
    keys : ndarray of uint64, E
        Of cell and action, ascending.
    """

    by: tuple[str, ...]
    cells: np.ndarray
    cell: np.ndarray
    action: np.ndarray
    chance: np.ndarray
    keys: np.ndarray

    def cells_of(self, batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
        """Hash and number of each row's cell; -1 for one that there is not."""
        hashes = cell_hashes(batch, self.by)
        place = np.minimum(np.searchsorted(self.cells, hashes), len(self.cells) - 1)
        return hashes, np.where(self.cells[place] == hashes, place, -1)

    def of_actions(self, hashes: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """The chance of one action a row; zero where there is no entry."""
        keys = _pair_keys(hashes, actions)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[place] == keys, self.chance[place], 0.0)


def cell_hashes(batch: pa.RecordBatch | pa.Table, by: Iterable[str]) -> np.ndarray:
    """A 64-bit hash of each row's context."""
    found = np.zeros(batch.num_rows, np.uint64)
    for name in by:
        found = mix(found ^ hash_repeated(texts(column_of(batch, name))))
    return found


def _pair_keys(hashes: np.ndarray, actions: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return mix(hashes + actions.astype(np.int64).view(np.uint64) * _GOLDEN)


def chances_of(
    by: tuple[str, ...], hashes: np.ndarray, actions: np.ndarray, chances: np.ndarray
) -> Chances:
    """Chances from entries, in any order."""
    keys = _pair_keys(hashes, actions)
    order = np.argsort(keys, kind="stable")
    cells, cell = np.unique(hashes, return_inverse=True)
    return Chances(by, cells, cell[order], actions[order], chances[order], keys[order])


def table_rows(uri: str, wanted: list[str], key: str) -> tuple[ForeignTable, pa.Table]:
    """Some columns of a table that a key of the specification names, in one chunk each.

    Raises
    ------
    TableError
        For columns that are missing.
    """
    found = open_foreign(TableAddress.parse(uri))
    missing = [name for name in wanted if name not in found.schema.names]
    if missing:
        raise TableError(
            f"{key}: {found.name} has no column {first_few(missing)}; its columns are "
            f"{', '.join(found.schema.names)}."
        )
    return found, found.here(wanted).combine_chunks()


def read_chances(table: ChanceTable, actions: pa.Array, key: str) -> Chances:
    """The chances in a table, checked: each cell's add up to one.

    Raises
    ------
    TableError, DataError
        For columns that are missing, chances that are none, cells that do not add up, and actions
        that there are not.
    """
    found, rows = table_rows(table.table, [*table.by, table.action, table.chance], key)
    labels = texts(column_of(rows, table.action))
    codes = pc.fill_null(pc.index_in(labels, value_set=actions), -1).to_numpy()
    if np.any(codes < 0):
        unknown = sorted({str(v) for v in labels.filter(pa.array(codes < 0)).to_pylist()})
        raise DataError(unknown_action(key, unknown))
    if not is_numeric(rows.schema.field(table.chance).type):
        raise TableError(
            f"{key}: {found.name}, column {table.chance!r}: found type "
            f"{rows.schema.field(table.chance).type}, expected chances."
        )
    chance = (
        np.asarray(number_column(rows.to_batches()[0], table.chance)) if len(rows) else np.zeros(0)
    )
    if not len(chance) or not np.all((chance >= 0) & (chance <= 1)):
        raise DataError(
            f"{key}: {found.name}, column {table.chance!r}: found chances that are missing or outside "
            "of 0 to 1, expected those of each cell to add up to 1."
        )
    made = chances_of(table.by, cell_hashes(rows, table.by), codes.astype(np.int64), chance)
    sums = np.bincount(made.cell, made.chance, len(made.cells))
    off = np.flatnonzero(np.abs(sums - 1) > _SUM)
    if len(off):
        raise DataError(
            f"{key}: the chances of {len(off):,} of {len(sums):,} cells of {found.name} do not add up to "
            f"1 (the first to {sums[off[0]]:.6g}). Expected, for each combination of "
            f"{', '.join(table.by) or 'nothing'}, the chances of all actions."
        )
    if len(np.unique(made.keys)) < len(made.keys):
        raise DataError(
            f"{key}: {found.name} has several rows of one action in one cell; expected one."
        )
    return made


def unknown_action(key: str, unknown: list[str]) -> str:
    """The message for actions that a policy names and that there are not."""
    return (
        f"{key}: found {first_few(unknown)}, which the log never took. Expected an action of the log, or "
        "one that 'actions' lists: list it there if it exists, and its mass counts as not supported."
    )
