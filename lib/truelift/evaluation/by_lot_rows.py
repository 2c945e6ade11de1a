"""The table of labels by lot that the settings name (``sequence.evaluation.table``), by users' keys and items' indices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.errors import ConfigError, DataError
from truelift.models.sequence.registry import CLASSIFICATION

if TYPE_CHECKING:
    from truelift.job import Job

KEY = "sequence.evaluation.table"


@dataclass(frozen=True, eq=False)
class LotRows:
    """The table's rows by users' keys.

    Parameters
    ----------
    users : ndarray of object
        Keys of users, each once.
    owner, items : ndarray of int64, n
        The user's place among ``users``, and the item's index; 0: not of the catalogue.
    labels : ndarray of bool, n
    unread : int
        Rows without user, item or label.
    """

    users: np.ndarray
    owner: np.ndarray
    items: np.ndarray
    labels: np.ndarray
    unread: int


def read_rows(job: Job, item_keys: tuple[str, ...]) -> LotRows:
    """The table that the settings name.

    Raises
    ------
    TableError, DataError, ConfigError
        For what cannot be read, and labels of one kind alone.
    """
    from truelift.evaluation.lists import user_keys
    from truelift.lake.address import TableAddress
    from truelift.lake.foreign import open_foreign

    options = job.settings.sequence.evaluation
    table = open_foreign(TableAddress.parse(options.table or ""))
    if missing := [c for c in options.table_columns if c not in table.schema.names]:
        raise ConfigError(
            f"{KEY}: {table.name} has no column {missing[0]!r}; it has {', '.join(table.schema.names)}. Name those of "
            "user, item and label in sequence.evaluation.table_columns."
        )
    rows = table.here(options.table_columns)
    who, what, mark = (rows[name] for name in options.table_columns)
    if not (
        pa.types.is_integer(mark.type)
        or pa.types.is_floating(mark.type)
        or pa.types.is_boolean(mark.type)
        or pa.types.is_decimal(mark.type)
    ):
        raise DataError(
            f"{KEY}: {table.name}, column {options.table_columns[2]!r}: found {mark.type}, expected numbers."
        )
    value = pc.cast(
        pc.cast(mark, pa.int8()) if pa.types.is_boolean(mark.type) else mark,
        pa.float64(),
        safe=False,
    )
    number = np.asarray(value.to_numpy(), float)
    names, things = (_texts(column) for column in (who, what))
    there = np.isfinite(number) & np.array(
        [bool(n) and bool(t) for n, t in zip(names, things, strict=True)], bool
    )
    good = number >= options.positive
    if not there.any() or good[there].all() or not good[there].any():
        raise DataError(
            f"{KEY}: found labels of one kind alone among {int(there.sum()):,} rows of {table.name}, expected some of "
            f"at least {options.positive:g} (sequence.evaluation.positive) and some below."
        )
    index = {key: place for place, key in enumerate(item_keys, start=1)}
    items = np.array([index.get(t, 0) for t in things], np.int64)[there]
    if not items.any():
        raise DataError(
            f"{KEY}: none of the items of {table.name}, such as {things[int(there.argmax())]!r}, is one of gold.items, "
            f"such as {item_keys[0]!r}."
        )
    said = [n for n, ok in zip(names, there, strict=True) if ok]
    keys = user_keys(job, list(dict.fromkeys(said)))
    users, owner = np.unique(np.array([keys[n] for n in said], dtype=object), return_inverse=True)
    return LotRows(users, owner.astype(np.int64), items, good[there], int((~there).sum()))


def _texts(column: Any) -> list[str]:
    """Ids as the source has them; whole numbers are spelt without a point."""
    if pa.types.is_floating(column.type):
        broken = pc.drop_null(column.filter(pc.not_equal(column, pc.floor(column))))
        if found := [v for v in broken.to_pylist() if v == v]:
            raise DataError(f"{KEY}: found the id {found[0]!r}, expected texts or whole numbers.")
        column = pc.cast(
            pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column),
            pa.int64(),
            safe=False,
        )
    return [text or "" for text in column.cast(pa.string()).to_pylist()]


def labels_by_lot(job: Job, item_keys: tuple[str, ...], task: str) -> LotRows | None:
    """The rows of ``sequence.evaluation.table``, read before anything is trained; None without one.

    Raises
    ------
    TableError, DataError, ConfigError
        For a table that cannot be used, or a model that ranks no items.
    """
    if job.settings.sequence.evaluation.table is None:
        return None
    if task == CLASSIFICATION:
        raise ConfigError(
            f"{KEY}: found {job.settings.sequence.evaluation.table!r} beside a model of next actions, which ranks no "
            "items; expected none, or a model that does (sequence.model)."
        )
    return read_rows(job, item_keys)
