"""Which rows are of one user of a slice."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.texts import encode


def is_valid(rows: pa.Table | pa.RecordBatch) -> np.ndarray:
    """Which rows no rule on rows has rejected, shape (n,)."""
    lengths = pc.fill_null(pc.list_value_length(rows.column("reasons")), 0)
    return np.asarray(lengths) == 0


def user_numbers(rows: pa.Table) -> np.ndarray:
    """Numbers of the users of slices, in the order of slices and keys, shape (n,).

    A rejected row says nothing of others, so each stands for itself. Rows without a user are
    one user.

    Parameters
    ----------
    rows : pyarrow.Table
        Rows of a slice follow each other, in any order.
    """
    user = encode(rows["user_key"])
    place = np.cumsum(starts(rows, ("bucket", "period"))) - 1
    number = place * (user.size + 1) + user.codes + 1
    valid = is_valid(rows)
    if valid.all():
        return number
    order = np.argsort(number, kind="stable")
    first = ~valid[order]
    first[1:] |= np.diff(number[order]) != 0
    apart = np.empty(len(number), np.int64)
    apart[order] = np.cumsum(first)
    return apart


def starts(rows: pa.Table | pa.RecordBatch, keys: tuple[str, ...]) -> np.ndarray:
    """Which rows differ from the one before in one of the keys, shape (n,); the first does."""
    found = np.ones(rows.num_rows, bool)
    found[1:] = False
    for key in keys:
        column = rows.column(key)
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        found[1:] |= _changes(column)
    return found


def _changes(column: pa.Array) -> np.ndarray:
    """Which values differ from the one before; null is a value of its own."""
    later, earlier = column.slice(1), column.slice(0, max(len(column) - 1, 0))
    differ = pc.fill_null(pc.not_equal(later, earlier), True)
    if column.null_count:
        differ = pc.and_not(differ, pc.and_(later.is_null(), earlier.is_null()))
    return differ.to_numpy(zero_copy_only=False)
