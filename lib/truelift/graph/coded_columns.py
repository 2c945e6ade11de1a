"""Columns of any kind as numbers, and their cross-products by bucket of users.

A number is one column in units of its spread; a text or a truth value is one for each of its levels but the
most frequent. Products of all columns, bucket by bucket, are all that is kept: with every bucket left out in turn
they tell how much a figure would differ on other users, whatever the rows of one user have in common.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.errors import DataError, TableError
from truelift.lake.buckets import buckets_of
from truelift.lake.foreign import ForeignTable

BUCKETS = 40
#: Fewer buckets with users in them tell nothing of how users differ.
FEWEST = 10
#: Levels of a text that are told apart when it is held fixed, and when it is tested.
_LEVELS, _TESTED = 50, 5
#: Combinations of levels that are held fixed as such, and rows that each should have on average.
_CELLS, _ROWS_A_CELL = 200, 10


@dataclass(frozen=True, eq=False)
class CodedColumns:
    """Rows without gaps.

    Parameters
    ----------
    blocks : mapping of str to ndarray, n x k
        By node, its columns of numbers.
    levels : mapping of str to ndarray of int, n
        By node that is a text or a truth value, the level of each row; 0 is the most frequent.
    bucket : ndarray of int, n
    dropped : int
        Rows with a gap in one of the columns.
    clusters : str
        What was left out in turn, for messages.
    """

    blocks: Mapping[str, np.ndarray]
    levels: Mapping[str, np.ndarray]
    bucket: np.ndarray
    dropped: int
    clusters: str

    @property
    def rows(self) -> int:
        """Rows that are looked at."""
        return len(self.bucket)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where the columns of each node stand among all, which begin with a column of ones."""
        found, start = {}, 1
        for name, block in self.blocks.items():
            found[name] = slice(start, start + block.shape[1])
            start += block.shape[1]
        return found

    @cached_property
    def whole(self) -> np.ndarray:
        """All columns, the rows in order of their buckets."""
        order = np.argsort(self.bucket, kind="stable")
        columns = [np.ones((self.rows, 1)), *self.blocks.values()]
        return np.hstack(columns)[order]

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.searchsorted(np.sort(self.bucket), np.arange(self.buckets + 1))

    @cached_property
    def buckets(self) -> int:
        """Buckets that have rows; they are numbered without gaps."""
        return int(self.bucket.max()) + 1

    @cached_property
    def products(self) -> np.ndarray:
        """Cross-products of all columns, B x K x K."""
        return self._products(self.whole, self.whole)

    def cells(self, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray] | None:
        """Products of the combinations of some nodes' levels with themselves and with all columns.

        Returns
        -------
        own, with_all : ndarray, B x C x C and B x C x K; or None
            None where there are too many combinations for the rows.
        """
        sizes = [int(self.levels[name].max()) + 1 for name in names]
        if np.prod(sizes, dtype=float) > 2**40:
            return None
        code = np.ravel_multi_index([self.levels[name] for name in names], sizes)
        seen, code = np.unique(code, return_inverse=True)
        if len(seen) > min(_CELLS, self.rows // _ROWS_A_CELL):
            return None
        order = np.argsort(self.bucket, kind="stable")
        hot = np.zeros((self.rows, len(seen)))
        hot[np.arange(self.rows), code[order]] = 1.0
        return self._products(hot, hot), self._products(hot, self.whole)

    def _products(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        ends = self._ends
        return np.stack([left[a:b].T @ right[a:b] for a, b in pairwise(ends)])

    def tested(self, name: str) -> np.ndarray:
        """Which sums of a node's columns are tested: of a text the frequent levels, k x p."""
        count = self.blocks[name].shape[1]
        return np.eye(count)[:, : _TESTED - 1] if name in self.levels else np.eye(count)


def coded_columns(
    table: ForeignTable, columns: Mapping[str, str], cluster: str | None, buckets: int = BUCKETS
) -> CodedColumns:
    """Some columns of a table as numbers.

    Parameters
    ----------
    table : ForeignTable
    columns : mapping of str to str
        By node, its column.
    cluster : str, optional
        Rows that share it stay together; without it every row stands for itself.
    buckets : int

    Raises
    ------
    TableError
        For a column that is not there or cannot be used.
    DataError
        For too few rows or users.
    """
    asked = {**columns, **({"": cluster} if cluster else {})}
    for name, column in asked.items():
        if column not in table.schema.names:
            said = f"the node {name!r}" if name else "--cluster"
            raise TableError(
                f"{table.name} has no column {column!r} ({said}); its columns are "
                f"{', '.join(table.schema.names)}. Say under nodes what the table calls it (column: ...), or "
                "that it is latent."
            )
    held = table.here(list(dict.fromkeys(asked.values())))
    full = np.ones(held.num_rows, bool)
    for column in columns.values():
        full &= ~_gaps(held[column])
    rows = held.filter(pa.array(full))
    if rows.num_rows < FEWEST:
        raise DataError(
            f"{table.name}: found {rows.num_rows} rows without gaps, expected {FEWEST} or more."
        )
    number = bucket_numbers(rows, cluster, buckets, table.name)
    seen, bucket = np.unique(number, return_inverse=True)
    if len(seen) < FEWEST:
        raise DataError(
            f"{table.name}: the values of {cluster!r} fill {len(seen)} of {buckets} buckets, expected at least "
            f"{FEWEST}: so few users do not tell how users differ."
        )
    blocks, levels = {}, {}
    for name, column in columns.items():
        block, level = _coded(rows[column])
        blocks[name] = block
        if level is not None:
            levels[name] = level
    dropped = held.num_rows - rows.num_rows
    return CodedColumns(blocks, levels, bucket, dropped, cluster or "rows")


def bucket_numbers(rows: pa.Table, cluster: str | None, buckets: int, name: str) -> np.ndarray:
    """The bucket of each row, by the hash of its user; without users rows are dealt out in turn.

    Raises
    ------
    TableError
        For a column that names no user.
    """
    if not cluster:
        return np.arange(rows.num_rows) % buckets
    hashed = buckets_of(rows[cluster], buckets)
    if hashed is None:
        raise TableError(f"{name}, column {cluster!r}: {rows[cluster].type} names no user.")
    return hashed


def _gaps(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_floating(column.type):  # what is infinite is no number to go by
        column = pc.if_else(pc.is_finite(column), column, None)
    return np.asarray(column.is_null().combine_chunks())


def _coded(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray | None]:
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        values = column.cast(pa.float64(), safe=False).to_numpy()
        spread = values.std()
        return ((values - values.mean()) / (spread if spread > 0 else 1.0))[:, None], None
    if pa.types.is_temporal(kind):
        return _coded(column.cast(pa.timestamp("us")).cast(pa.int64()))
    coded = pc.cast(column, pa.string()).dictionary_encode().combine_chunks()
    coded = coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded
    code = np.asarray(coded.indices)
    often = np.argsort(-np.bincount(code), kind="stable")
    rank = np.empty(len(often), np.int64)
    rank[often] = np.arange(len(often))
    level = np.minimum(rank[code], _LEVELS - 1)
    hot = level[:, None] == np.arange(1, max(min(len(often), _LEVELS), 2))
    return hot.astype(float), level
