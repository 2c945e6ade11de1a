"""What the columns of a table are to discovery: numbers on a grid, or levels; and rows as such.

Numbers are laid on a grid of 1/256 of about a standard deviation, and products of whole numbers add up
without rounding. So sums, and all that follows from them, are the same in whatever order and parts the
rows come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.exact_sums import add_exactly, empty_sums, exact_value
from truelift.errors import DataError, TableError

MISSING, OTHER = "(missing)", "(other)"
#: Steps of the grid in a standard deviation, and the farthest step: 1,024 deviations.
_STEPS, _FAR = 256, 1 << 18
# Whole numbers of so few values are levels.
_FEW = 10
_MOST_SEEN = 5000


@dataclass(frozen=True)
class Variable:
    """A column of a table as a node.

    Parameters
    ----------
    name : str
    levels : tuple of str
        As texts, in order; empty for numbers.
    centre, step : float
        Of the grid of numbers.
    missing : bool
        Whether numbers are missing: they count as average, and an indicator stands beside them.
    """

    name: str
    levels: tuple[str, ...] = ()
    centre: float = 0.0
    step: float = 1.0
    missing: bool = False

    @property
    def width(self) -> int:
        """Columns of sums that it takes."""
        return len(self.levels) - 1 if self.levels else 1 + self.missing

    def codes(self, column: pa.Array) -> np.ndarray:
        """Levels as numbers from zero."""
        texts = _texts(column)
        last = self.levels.index(OTHER) if OTHER in self.levels else 0
        found = pc.index_in(texts, pa.array(self.levels, pa.string()))
        codes: np.ndarray = found.fill_null(last).to_numpy(zero_copy_only=False)
        return codes.astype(np.uint8)

    def fill(self, column: pa.Array, out: np.ndarray) -> None:
        """Whole numbers of the sums' columns into ``out``, width x n."""
        if self.levels:
            codes = self.codes(column)
            for level in range(1, len(self.levels)):
                out[level - 1] = codes == level
            return
        values = _numbers(column)
        lost = ~np.isfinite(values)
        grid = np.rint((values - self.centre) / self.step)
        np.clip(grid, -_FAR, _FAR, out=grid)
        out[0] = np.where(lost, 0.0, grid)
        if self.missing:
            out[1] = lost


def _texts(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.string()).fill_null(MISSING)


def _numbers(column: pa.Array) -> np.ndarray:
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.int32() if pa.types.is_date32(column.type) else pa.int64())
    values: np.ndarray = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.asarray(values, np.float64)


def _has_levels(kind: pa.DataType) -> bool:
    wide = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_boolean,
        pa.types.is_dictionary,
    )
    return any(is_kind(kind) for is_kind in wide)


@dataclass(eq=False)
class _Seen:
    """What was seen of a column."""

    kind: pa.DataType
    levels: Counter[str] | None
    named: bool
    sums: np.ndarray = field(default_factory=empty_sums)
    squares: np.ndarray = field(default_factory=empty_sums)
    rows: int = 0
    lost: int = 0

    def add(self, column: pa.Array) -> None:
        self.rows += len(column)
        if self.levels is not None:
            counted = pc.value_counts(_texts(column))
            names, counts = counted.field("values").to_pylist(), counted.field("counts").to_pylist()
            self.levels.update(dict(zip(names, counts, strict=True)))
            if len(self.levels) > _MOST_SEEN:
                if self.named:
                    return
                self.levels = None
            elif not self.named and len(self.levels) > _FEW + 1:
                self.levels = None
        if not _has_levels(self.kind):
            values = _numbers(column)
            finite = values[np.isfinite(values)]
            self.lost += len(values) - len(finite)
            add_exactly(finite, self.sums)
            with np.errstate(over="ignore"):
                squares = finite * finite
            add_exactly(squares[np.isfinite(squares)], self.squares)


def look(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, table: str, most_levels: int,
    as_levels: Sequence[str] = (),
) -> tuple[Variable, ...]:  # fmt: skip
    """Levels and grids of all columns, from one reading.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
    schema : pyarrow.Schema
        Of the columns that are nodes.
    table : str
        For messages.
    most_levels : int
        Rarer ones are put together.
    as_levels : sequence of str
        Columns of numbers that are names.

    Raises
    ------
    DataError
        Naming all columns that are constant.
    TableError
        For texts that name almost every row.
    """
    seen = {}
    for f in schema:
        named = _has_levels(f.type) or f.name in as_levels
        counted = named or pa.types.is_integer(f.type)
        seen[f.name] = _Seen(f.type, Counter() if counted else None, named)
    for batch in batches:
        for f in schema:
            seen[f.name].add(batch.column(batch.schema.get_field_index(f.name)))
    if not any(s.rows for s in seen.values()):
        raise DataError(f"{table} has no rows, expected some to learn a graph from.")
    for name, s in seen.items():
        if s.levels is not None and len(s.levels) > _MOST_SEEN:
            raise TableError(
                f"{table}, column {name!r}: found more than {_MOST_SEEN:,} different texts, expected "
                "a property and no name of rows or people. Leave it out of the columns (--columns), "
                "or name it as --cluster."
            )
    found = {name: _variable(name, s, most_levels) for name, s in seen.items()}
    if constant := [name for name, v in found.items() if v is None]:
        raise DataError(
            f"{table}: {', '.join(repr(n) for n in constant)} "
            f"{'has' if len(constant) == 1 else 'have'} the same value in every row, so nothing "
            "can depend on it. Leave constant columns out (--columns)."
        )
    return tuple(v for v in found.values() if v is not None)


def _variable(name: str, seen: _Seen, most: int) -> Variable | None:
    if seen.levels is not None:
        common = [level for level, _ in sorted(seen.levels.items(), key=lambda i: (-i[1], i[0]))]
        if len(common) < 2:
            return None
        levels = sorted(common[: most - 1] if len(common) > most else common)
        return Variable(name, (*levels, OTHER) if len(common) > most else tuple(levels))
    n = seen.rows - seen.lost
    if n == 0:
        return None
    mean = exact_value(seen.sums) / n
    variance = exact_value(seen.squares) / n - mean * mean
    if variance <= 0:
        return None
    # Powers of two keep the grid's arithmetic exact.
    step = 2.0 ** (int(np.floor(np.log2(float(variance)) / 2)) - int(np.log2(_STEPS)))
    if float(variance) <= (float(abs(mean)) * 1e-9) ** 2:
        return None
    return Variable(name, (), float(mean), step, seen.lost > 0)


def places(variables: Sequence[Variable]) -> np.ndarray:
    """Where each variable's columns begin in the sums, and their number at the end."""
    return np.concatenate([[0], np.cumsum([v.width for v in variables])])


def encoded(batch: pa.RecordBatch, variables: Sequence[Variable]) -> np.ndarray:
    """A batch as whole numbers, columns of the sums x rows."""
    starts = places(variables)
    out = np.empty((int(starts[-1]), batch.num_rows))
    for v, at in zip(variables, starts[:-1], strict=True):
        column = batch.column(batch.schema.get_field_index(v.name))
        v.fill(column, out[at : at + v.width])
    return out


def codes_of(batches: Iterable[pa.RecordBatch], variables: Sequence[Variable]) -> np.ndarray:
    """Levels of all rows as numbers, p x n; for variables that all have levels."""
    return np.concatenate(list(_codes(batches, variables)), axis=1)


def _codes(
    batches: Iterable[pa.RecordBatch], variables: Sequence[Variable]
) -> Iterator[np.ndarray]:
    yield np.zeros((len(variables), 0), np.uint8)
    for batch in batches:
        held = [batch.column(batch.schema.get_field_index(v.name)) for v in variables]
        yield np.array(
            [v.codes(c) for v, c in zip(variables, held, strict=True)], np.uint8
        ).reshape(len(variables), batch.num_rows)
