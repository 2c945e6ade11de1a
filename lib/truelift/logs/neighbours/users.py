"""A stream of rows cut into tables of whole users, so that memory does not grow with a slice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ROWS_AT_ONCE = 100_000
_KEYS = ("bucket", "period", "user_key")


def is_valid(rows: pa.Table | pa.RecordBatch) -> np.ndarray:
    """Which rows no rule on rows has rejected, shape (n,)."""
    lengths = pc.fill_null(pc.list_value_length(rows.column("reasons")), 0)
    return np.asarray(lengths) == 0


def first_rows(rows: pa.Table | pa.RecordBatch) -> np.ndarray:
    """Where a user of a slice begins, shape (n,); the first row of the table always does.

    A rejected row says nothing of others, so each stands for itself.
    """
    return np.logical_or(~is_valid(rows), starts(rows, _KEYS))


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


def whole_users(
    batches: Iterable[pa.RecordBatch], most_rows: int = ROWS_AT_ONCE
) -> Iterator[pa.Table]:
    """Tables of one chunk a column, cut where a user begins.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
        Sorted by bucket, period and user.
    most_rows : int
        A table has so many rows and a batch's at most, unless a user has more.
    """
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        if rows + batch.num_rows >= most_rows and batch.num_rows:
            cut = _last_start(held[-1] if held else None, batch)
            if cut is not None:
                yield _joined([*held, batch.slice(0, cut)])
                held, rows, batch = [], 0, batch.slice(cut)
        if batch.num_rows:
            held.append(batch)
            rows += batch.num_rows
    if held:
        yield _joined(held)


def _last_start(before: pa.RecordBatch | None, batch: pa.RecordBatch) -> int | None:
    """The last row of a batch with which a user begins, if anything is before it."""
    found = first_rows(batch)
    found[0] = before is not None and first_rows(_border(before, batch))[1]
    places = np.flatnonzero(found)
    return int(places[-1]) if len(places) else None


def _border(before: pa.RecordBatch, batch: pa.RecordBatch) -> pa.Table:
    """The last row of a batch and the first of the next."""
    names = [*_KEYS, "reasons"]
    last, first = before.slice(before.num_rows - 1), batch.slice(0, 1)
    return pa.Table.from_batches([last.select(names), first.select(names)])


def _joined(batches: list[pa.RecordBatch]) -> pa.Table:
    return pa.Table.from_batches(batches).combine_chunks()


def _changes(column: pa.Array) -> np.ndarray:
    """Which values differ from the one before; null is a value of its own."""
    later, earlier = column.slice(1), column.slice(0, max(len(column) - 1, 0))
    differ = pc.fill_null(pc.not_equal(later, earlier), True)
    if column.null_count:
        differ = pc.and_not(differ, pc.and_(later.is_null(), earlier.is_null()))
    return differ.to_numpy(zero_copy_only=False)
