"""What the columns of a table are to tests of independence, from one reading: numbers on a fine grid, or levels.

Numbers are whole numbers of the largest deviation over 2^30, in two parts of 15 bits, so that products add up without
rounding: whatever batches and files the rows come in, the sums are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.exact_sums import add_exactly, empty_sums, exact_value
from truelift.errors import TableError

#: Levels of a text that have a column of their own.
HOT = 50
_MOST_LEVELS = 5000
_HALF = 15


@dataclass(frozen=True)
class CodedColumn:
    """How one column is coded.

    Parameters
    ----------
    column : str
    levels : tuple of str
        Of a text or a truth value, the most frequent first; empty for numbers.
    centre, reach : float
        The mean of a number, and a power of two that no deviation from it exceeds.
    """

    column: str
    levels: tuple[str, ...] = ()
    centre: float = 0.0
    reach: float = 1.0

    @property
    def is_text(self) -> bool:
        """Whether it has levels."""
        return bool(self.levels)

    @property
    def width(self) -> int:
        """Columns of the sums: of a text one for each frequent level but the first."""
        return max(min(len(self.levels), HOT) - 1, 1) if self.levels else 1

    def codes(self, column: pa.Array) -> np.ndarray:
        """Places of the levels."""
        found = pc.index_in(texts_of(column), pa.array(self.levels, pa.string()))
        codes: np.ndarray = found.to_numpy(zero_copy_only=False)
        return codes.astype(np.int64)

    def halves(self, column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """A number on the grid, its upper and its lower bits."""
        grid = np.rint((numbers_of(column) - self.centre) / self.reach * 2.0 ** (2 * _HALF))
        upper = np.floor(grid / 2**_HALF)
        return upper, grid - upper * 2**_HALF


@dataclass(frozen=True)
class Layout:
    """Where the columns of some nodes stand in the sums.

    Parameters
    ----------
    coded : mapping of str to CodedColumn
    """

    coded: Mapping[str, CodedColumn]

    def slices(self) -> dict[str, slice]:
        """By node, its columns; before all stands one of ones."""
        ends = np.cumsum([1, *(c.width for c in self.coded.values())]).tolist()
        return {name: slice(a, b) for name, (a, b) in zip(self.coded, pairwise(ends), strict=True)}

    def back(self) -> np.ndarray:
        """What makes columns of the matrix of a batch: plain ones, upper bits, lower bits."""
        slices = self.slices()
        numbers = [slices[name].start for name, c in self.coded.items() if not c.is_text]
        size = 1 + sum(c.width for c in self.coded.values())
        plain = [place for place in range(size) if place not in numbers]
        found = np.zeros((len(plain) + 2 * len(numbers), size))
        found[np.arange(len(plain)), plain] = 1.0
        at = len(plain) + np.arange(len(numbers))
        found[at, numbers] = 2.0**-_HALF
        found[at + len(numbers), numbers] = 2.0 ** (-2 * _HALF)
        return found

    def matrix(self, batch: pa.RecordBatch, codes: Mapping[str, np.ndarray]) -> np.ndarray:
        """A batch as whole numbers, columns x rows."""
        plain, upper, lower = [np.ones(batch.num_rows)], [], []
        for name, coded in self.coded.items():
            if coded.is_text:
                plain += [codes[name] == level for level in range(1, coded.width + 1)]
            else:
                high, low = coded.halves(batch[coded.column])
                upper.append(high)
                lower.append(low)
        return np.array([*plain, *upper, *lower], float)


@dataclass(eq=False)
class _Seen:
    levels: Counter[str] | None
    low: float = np.inf
    high: float = -np.inf
    sums: np.ndarray = field(default_factory=empty_sums)

    def add(self, column: pa.Array) -> None:
        if self.levels is not None:
            counted = pc.value_counts(texts_of(column))
            names, counts = counted.field("values").to_pylist(), counted.field("counts").to_pylist()
            self.levels.update(dict(zip(names, counts, strict=True)))
            return
        values = numbers_of(column)
        add_exactly(values, self.sums)
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))


def coded_by(
    columns: Mapping[str, str], schema: pa.Schema, batches: Iterable[pa.RecordBatch], table: str
) -> tuple[dict[str, CodedColumn], int]:
    """How the columns of some nodes are coded, and the number of their rows.

    Parameters
    ----------
    columns : mapping of str to str
        By node, its column.
    schema : pyarrow.Schema
    batches : iterable of pyarrow.RecordBatch
        Without gaps.
    table : str
        For messages.

    Raises
    ------
    TableError
        For a text that names nearly every row.
    """
    seen = {
        name: _Seen(Counter() if is_text(schema.field(column).type) else None)
        for name, column in columns.items()
    }
    rows = 0
    for batch in batches:
        rows += batch.num_rows
        for name, column in columns.items():
            seen[name].add(batch[column])
            levels = seen[name].levels
            if levels is not None and len(levels) > _MOST_LEVELS:
                raise TableError(
                    f"{table}, column {column!r} (the node {name!r}): found more than {_MOST_LEVELS:,} different "
                    "texts, expected a property and no name of rows or people. Say that the node is latent, or put "
                    "texts together."
                )
    return {name: _coded(columns[name], s, rows) for name, s in seen.items()}, rows


def _coded(column: str, seen: _Seen, rows: int) -> CodedColumn:
    if seen.levels is not None:
        ranked = sorted(seen.levels.items(), key=lambda item: (-item[1], item[0]))
        return CodedColumn(column, tuple(level for level, _ in ranked))
    centre = float(exact_value(seen.sums) / max(rows, 1))
    reach = max(seen.high - centre, centre - seen.low, 0.0)
    return CodedColumn(column, (), centre, 2.0 ** np.ceil(np.log2(reach)) if reach > 0 else 1.0)


def full_rows(
    batches: Iterable[pa.RecordBatch], columns: Iterable[str]
) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Rows without a gap in some columns, and how many had one."""
    names = list(columns)
    for batch in batches:
        full = np.ones(batch.num_rows, bool)
        for name in names:
            full &= ~_gaps(batch[name])
        kept = batch if full.all() else batch.filter(pa.array(full))
        yield kept, batch.num_rows - kept.num_rows


def _gaps(column: pa.Array) -> np.ndarray:
    if pa.types.is_floating(column.type):  # what is infinite is no number to go by
        column = pc.if_else(pc.is_finite(column), column, None)
    gaps: np.ndarray = column.is_null().to_numpy(zero_copy_only=False)
    return gaps


def is_text(kind: pa.DataType) -> bool:
    """Whether a column has levels: texts and truth values."""
    types = pa.types
    number = (types.is_integer, types.is_floating, types.is_decimal, types.is_temporal)
    return not any(is_kind(kind) for is_kind in number)


def texts_of(column: pa.Array) -> pa.Array:
    """Levels as texts."""
    return column.cast(pa.string())


def numbers_of(column: pa.Array) -> np.ndarray:
    """Numbers, days and instants."""
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
    values: np.ndarray = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values
