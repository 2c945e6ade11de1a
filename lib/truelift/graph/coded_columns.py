"""Columns of any kind as numbers, and their cross-products by bucket of users.

A number is one column in units of its spread; a text or a truth value is one for each of its levels but the
most frequent. Products of all columns, bucket by bucket, are all that is kept, and they are sums over rows that
flow by: memory does not grow with the table. With every bucket left out in turn they tell how much a figure would
differ on other users, whatever the rows of one user have in common.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import count_nameless
from truelift.errors import DataError, TableError
from truelift.graph.column_codes import HOT, CodedColumn, Layout, coded_by, full_rows
from truelift.graph.rows import batches_of, refuse_nameless, with_names
from truelift.lake.buckets import buckets_of
from truelift.lake.foreign import ForeignTable

BUCKETS = 40
#: Fewer buckets with users in them tell nothing of how users differ.
FEWEST = 10
#: Levels of a text that are tested.
_TESTED = 5
#: Rows that two levels of independent texts should have together.
_ROWS_TOGETHER = 10
#: Combinations of levels that are held fixed as such, and rows that each should have on average.
_CELLS, _ROWS_A_CELL = 200, 10
#: The same where a text has more levels than columns: there is no other way to hold it fixed.
_MOST_CELLS = 5000
#: Numbers of the sums of combinations that are made in one reading.
_IN_MEMORY = 1 << 25


@dataclass(frozen=True, eq=False)
class Cells:
    """Sums within combinations of levels.

    Parameters
    ----------
    rows : ndarray, B x C
    sums : ndarray, B x C x K
        Of all columns.
    """

    rows: np.ndarray
    sums: np.ndarray


@dataclass(frozen=True, eq=False)
class CodedColumns:
    """Sums over rows without gaps.

    Parameters
    ----------
    table : ForeignTable
    coded : mapping of str to CodedColumn
        By node.
    cluster : str or None
    of : int
        Buckets that users are dealt to.
    filled : ndarray of int
        Those that have rows.
    rows, dropped : int
        Rows that are looked at, and rows with a gap in one of the columns.
    """

    table: ForeignTable
    coded: Mapping[str, CodedColumn]
    cluster: str | None
    of: int
    filled: np.ndarray
    rows: int
    dropped: int
    _known: dict[tuple[str, ...], Cells | None] = field(default_factory=dict)

    @property
    def clusters(self) -> str:
        """What was left out in turn, for messages."""
        return self.cluster or "rows"

    @property
    def levels(self) -> set[str]:
        """Nodes that have levels."""
        return {name for name, coded in self.coded.items() if coded.is_text}

    @property
    def buckets(self) -> int:
        """Buckets that have rows."""
        return len(self.filled)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where the columns of each node stand among all, which begin with a column of ones."""
        return Layout(self.coded).slices()

    @cached_property
    def products(self) -> np.ndarray:
        """Cross-products of all columns, B x K x K, in units of their spreads."""
        found = self._raw * self._units * self._units[:, None]
        assert isinstance(found, np.ndarray)
        return found

    @cached_property
    def _raw(self) -> np.ndarray:
        layout = Layout(self.coded)
        back = layout.back()
        total = np.zeros((self.of, len(back), len(back)), np.int64)
        for batch, codes, bucket in self._batches():
            matrix = layout.matrix(batch, codes)
            for b, own in _parts(bucket, self.of):
                total[b] += (matrix[:, own] @ matrix[:, own].T).astype(np.int64)
        return back.T @ total[self.filled].astype(float) @ back

    @cached_property
    def _units(self) -> np.ndarray:
        """One over the spread of each number."""
        whole = self._raw.sum(axis=0)
        units = np.ones(len(whole))
        for name, coded in self.coded.items():
            if not coded.is_text:
                at = self.slices[name].start
                variance = whole[at, at] / self.rows - (whole[0, at] / self.rows) ** 2
                units[at] = 1 / math.sqrt(variance) if variance > 0 else 1.0
        return units

    def needs_cells(self, names: Sequence[str]) -> bool:
        """Whether some texts are held fixed by their combinations: several, or one of many levels."""
        return len(names) > 1 or any(self._is_wide(name) for name in names)

    def _is_wide(self, name: str) -> bool:
        return len(self.coded[name].levels) > HOT

    def cells(self, names: Sequence[str]) -> Cells | None:
        """Sums within the combinations of some texts' levels.

        None where there are too many combinations: for the rows, or, where one of the texts has more levels than
        have columns of their own, for memory.
        """
        key = tuple(sorted(names))
        if key not in self._known:
            self.prepare([key])
        return self._known[key]

    def can_hold(self, names: Sequence[str]) -> bool:
        """Whether all levels of some texts can be held fixed."""
        wide = any(self._is_wide(name) for name in names)
        return not wide or self.cells(names) is not None

    def prepare(self, several: Iterable[Sequence[str]]) -> None:
        """Sums of combinations that :meth:`cells` will be asked for, in as few readings as memory allows."""
        asked = {tuple(sorted(names)) for names in several} - set(self._known)
        keys = self._combinations({names for names in asked if self.needs_cells(names)})
        self._known.update(dict.fromkeys(asked - set(keys)))
        while keys:
            group: dict[tuple[str, ...], np.ndarray] = {}
            room = _IN_MEMORY
            for names in list(keys):
                size = self.of * len(keys[names]) * len(Layout(self.coded).back())
                if group and size > room:
                    continue
                room -= size
                group[names] = keys.pop(names)
            self._known.update(self._cells_of(group))

    def _combinations(self, several: set[tuple[str, ...]]) -> dict[tuple[str, ...], np.ndarray]:
        """Keys of the combinations that rows have, rising; sets with too many are left out."""
        most = {
            names: _MOST_CELLS if any(map(self._is_wide, names)) else min(_CELLS, self.rows // _ROWS_A_CELL)
            for names in several
            if math.prod(self._sizes(names)) < 2**62
        }  # fmt: skip
        found = {names: np.zeros(0, np.int64) for names in most}
        if not found:
            return {}
        for _, codes, _ in self._batches():
            for names in list(found):
                seen = np.union1d(found[names], self._keys(names, codes))
                if len(seen) > most[names]:
                    del found[names]
                else:
                    found[names] = seen
        return found

    def _cells_of(self, keys: Mapping[tuple[str, ...], np.ndarray]) -> dict[tuple[str, ...], Cells]:
        layout = Layout(self.coded)
        back = layout.back()
        sums = {
            names: np.zeros((self.of, len(seen), len(back)), np.int64)
            for names, seen in keys.items()
        }
        for batch, codes, bucket in self._batches():
            matrix = layout.matrix(batch, codes).T
            for names, seen in keys.items():
                place = bucket * len(seen) + np.searchsorted(seen, self._keys(names, codes))
                order = np.argsort(place, kind="stable")
                filled, begins = np.unique(place[order], return_index=True)
                flat = sums[names].reshape(-1, len(back))
                flat[filled] += np.add.reduceat(matrix[order], begins, axis=0).astype(np.int64)
        made = {
            names: (total[self.filled].astype(float) @ back) * self._units
            for names, total in sums.items()
        }
        return {names: Cells(total[:, :, 0], total) for names, total in made.items()}

    def _sizes(self, names: Sequence[str]) -> list[int]:
        return [len(self.coded[name].levels) for name in names]

    def _keys(self, names: Sequence[str], codes: Mapping[str, np.ndarray]) -> np.ndarray:
        key = np.zeros_like(codes[names[0]])
        for name, size in zip(names, self._sizes(names), strict=True):
            key = key * size + codes[name]
        return key

    def _batches(self) -> Iterator[tuple[pa.RecordBatch, dict[str, np.ndarray], np.ndarray]]:
        """Rows without gaps, their levels and their buckets."""
        columns = {name: coded.column for name, coded in self.coded.items()}
        for batch, bucket, _ in _numbered(self.table, columns, self.cluster, self.of):
            codes = {
                name: coded.codes(batch[coded.column])
                for name, coded in self.coded.items()
                if coded.is_text
            }
            yield batch, codes, bucket

    def tested(self, name: str) -> np.ndarray:
        """Which sums of a node's columns are tested: of a text the frequent levels, k x p.

        Levels that too few rows have to meet those of another text are tested together, the frequent ones first: what
        is independent of a text is independent of any grouping of its levels.
        """
        coded = self.coded[name]
        every = np.eye(coded.width)
        if not coded.is_text:
            return every
        rows = self.products[:, 0, self.slices[name]].sum(axis=0)
        enough = math.sqrt(_ROWS_TOGETHER * self.rows)
        groups, held = [np.zeros(coded.width)], 0.0
        for level in range(coded.width):
            if held >= enough:
                if len(groups) == _TESTED - 1:
                    break
                groups, held = [*groups, np.zeros(coded.width)], 0.0
            groups[-1] += every[level]
            held += rows[level]
        # What is left over at the end meets too few: it goes with the rest, which is tested by difference.
        kept = groups if held >= enough or len(groups) == 1 else groups[:-1]
        return np.stack(kept, axis=1)


def coded_columns(
    table: ForeignTable, columns: Mapping[str, str], cluster: str | None, buckets: int = BUCKETS
) -> CodedColumns:
    """Some columns of a table as numbers.

    Parameters
    ----------
    table : ForeignTable
        Read some rows at a time.
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
        For too few rows or users, and rows without a user.
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
    dropped, filled = 0, np.zeros(buckets, bool)

    def looked_at() -> Iterator[pa.RecordBatch]:
        nonlocal dropped
        for batch, bucket, lost in _numbered(table, columns, cluster, buckets):
            dropped += lost
            filled[bucket] = True
            if batch.num_rows:
                yield batch

    schema = table.stored(list(dict.fromkeys(columns.values())))
    coded, rows = coded_by(columns, schema, looked_at(), table.name)
    if rows < FEWEST:
        raise DataError(f"{table.name}: found {rows} rows without gaps, expected {FEWEST} or more.")
    if filled.sum() < FEWEST:
        raise DataError(
            f"{table.name}: the values of {cluster!r} fill {filled.sum()} of {buckets} buckets, expected at least "
            f"{FEWEST}: so few users do not tell how users differ."
        )
    return CodedColumns(table, coded, cluster, buckets, np.flatnonzero(filled), rows, dropped)


def _numbered(
    table: ForeignTable, columns: Mapping[str, str], cluster: str | None, buckets: int
) -> Iterator[tuple[pa.RecordBatch, np.ndarray, int]]:
    """Rows without gaps, the bucket of each, and how many rows with gaps were left out."""
    wanted = list(dict.fromkeys([*columns.values(), *([cluster] if cluster else [])]))
    read = with_names(batches_of(table, wanted), cluster, table.name)
    start = 0
    for batch, lost in full_rows(read, set(columns.values())):
        if cluster is None:
            bucket = (start + np.arange(batch.num_rows)) % buckets
            start += batch.num_rows
        else:
            bucket = _hashed(batch[cluster], cluster, buckets, table.name)
        yield batch, bucket, lost


def _parts(bucket: np.ndarray, buckets: int) -> Iterator[tuple[int, np.ndarray]]:
    """Rows of each bucket that has some."""
    order = np.argsort(bucket, kind="stable")
    cuts = np.searchsorted(bucket[order], np.arange(buckets + 1))
    for b in range(buckets):
        if cuts[b + 1] > cuts[b]:
            yield b, order[cuts[b] : cuts[b + 1]]


def _hashed(users: pa.Array | pa.ChunkedArray, cluster: str, buckets: int, name: str) -> np.ndarray:
    hashed = buckets_of(users, buckets)
    if hashed is None:
        raise TableError(f"{name}, column {cluster!r}: {users.type} names no user.")
    return hashed


def bucket_numbers(rows: pa.Table, cluster: str | None, buckets: int, name: str) -> np.ndarray:
    """The bucket of each row, by the hash of its user; without users rows are dealt out in turn.

    Raises
    ------
    TableError, DataError
        For a column that names no user, or rows without one.
    """
    if not cluster:
        return np.arange(rows.num_rows) % buckets
    refuse_nameless(count_nameless(rows[cluster].combine_chunks())[0], cluster, name)
    return _hashed(rows[cluster], cluster, buckets, name)
