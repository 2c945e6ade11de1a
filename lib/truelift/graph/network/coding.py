"""Values of columns as levels: words as they are, numbers in classes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.errors import ConfigError, DataError
from truelift.graph.model import Node

#: Distinct values of a column up to which each is a level.
MOST_LEVELS = 50


@dataclass(frozen=True, eq=False)
class Coding:
    """How one column is coded.

    Parameters
    ----------
    node : Node
    levels : tuple of str
        What the codes mean.
    values : pyarrow.Array or None
        The values of the levels; None where numbers are cut into classes.
    """

    node: Node
    levels: tuple[str, ...]
    values: pa.Array | None = None

    def codes(self, column: pa.Array) -> np.ndarray:
        """Codes of a column, -1 for a gap.

        Raises
        ------
        DataError
            For a value that is no level.
        """
        if self.values is None:
            numbers = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
            codes = np.searchsorted(np.array(self.node.cuts), numbers, side="right")
            return np.where(np.isnan(numbers), -1, codes)
        found = pc.index_in(column, value_set=self.values)
        codes = np.asarray(found.fill_null(-1))
        gaps = np.asarray(column.is_null(nan_is_null=pa.types.is_floating(column.type)))
        odd = (codes < 0) & ~gaps
        if odd.any():
            value = column[int(np.argmax(odd))].as_py()
            raise DataError(
                f"column {self.node.column!r}: found {value!r}, expected one of {', '.join(self.levels)}."
            )
        return codes


#: Distinct values of a column that are remembered while rows flow by; a property has fewer.
_REMEMBERED = 100_000


def codings_of(nodes: Mapping[str, Node], batches: Iterable[pa.RecordBatch]) -> dict[str, Coding]:
    """How the columns of some nodes are coded, from one reading of the rows.

    Raises
    ------
    ConfigError, DataError
        As for :func:`coding_of`.
    """
    seen: dict[str, pa.Array] = {}
    for batch in batches:
        for name, node in nodes.items():
            if node.cuts:
                continue
            found = pc.unique(batch[node.column])
            if name in seen:
                found = pc.unique(pa.chunked_array([seen[name], found.cast(seen[name].type)]))
            seen[name] = found if len(found) <= _REMEMBERED else found[: _REMEMBERED + 1]
    return {
        name: coding_of(node, seen.get(name, pa.array([], pa.string())))
        for name, node in nodes.items()
    }


def coding_of(node: Node, column: pa.Array | pa.ChunkedArray) -> Coding:
    """The levels of a column: classes between ``cuts``, else its distinct values in order.

    Raises
    ------
    ConfigError
        For a column of too many values without ``cuts``.
    """
    if node.cuts:
        ends = [_named(float(cut)) for cut in node.cuts]
        between = (f"{a}..{b}" for a, b in pairwise(ends))
        return Coding(node, (f"<{ends[0]}", *between, f">={ends[-1]}"))
    seen = pc.unique(column).drop_null()
    if pa.types.is_floating(seen.type):
        seen = seen.filter(pc.invert(pc.is_nan(seen)))
    if not len(seen):
        raise DataError(f"column {node.column!r}: found gaps alone, expected values.")
    if len(seen) > MOST_LEVELS:
        many = f"{len(seen):,}" if len(seen) <= _REMEMBERED else f"more than {_REMEMBERED:,}"
        raise ConfigError(
            f"nodes.{node.name}: the column {node.column!r} has {many} distinct values, expected at most "
            f"{MOST_LEVELS}. Say under cuts where it is cut into classes, such as cuts: [18, 30, 50]."
        )
    values = seen.take(pc.sort_indices(seen))
    return Coding(node, tuple(_named(v) for v in values.to_pylist()), values)


def level_of(levels: tuple[str, ...], text: str) -> str | None:
    """The level that a text in a question means: itself, the same number, or the class that holds it."""
    if text in levels:
        return text
    number = _number(text)
    if number is None:
        return next((level for level in levels if level.lower() == text.lower()), None)
    for level in levels:
        low, high = _ends(level)
        if _number(level) == number or (low is not None and low <= number < high):
            return level
    return None


def codings(nodes: Mapping[str, Node], table: pa.Table) -> dict[str, Coding]:
    """How the columns of some nodes are coded."""
    return {name: coding_of(node, table[node.column]) for name, node in nodes.items()}


def _ends(level: str) -> tuple[float | None, float]:
    """Where a class begins and ends; None for a level that is none."""
    if level.startswith("<"):
        high = _number(level[1:])
        return (None, 0.0) if high is None else (-math.inf, high)
    if level.startswith(">="):
        return _number(level[2:]), math.inf
    low, sign, end = level.partition("..")
    upper = _number(end)
    return (_number(low), upper) if sign and upper is not None else (None, 0.0)


def _named(value: object) -> str:
    """A value in full, for others may lie close by; whole numbers without a point."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return str(value)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
