"""Columns of steps: what values they have, of what kind that makes them, and their codes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.texts import codes_among, whole
from truelift.arrays.times import microseconds
from truelift.errors import ConfigError, DataError
from truelift.graph.need.spec import CATEGORY, COUNT, NUMBER, NUMBERS, NeedSpec
from truelift.models.need.rows import NeedRows

#: Levels of a category, and of all inputs together.
MOST_LEVELS = 60
#: What an input says where it says nothing.
NOTHING = "nothing"
#: What a look at a bucket gives: values of columns of texts, and the ends of columns of numbers.
SEEN = pa.schema(
    [("column", pa.string()), ("value", pa.string()), ("rows", pa.int64()), ("low", pa.float64()),
     ("high", pa.float64()), ("whole", pa.bool_()), ("mean", pa.float64()), ("squares", pa.float64())]
)  # fmt: skip
SEEN_DDL = "column string, value string, rows bigint, low double, high double, whole boolean, mean double, squares double"


@dataclass(frozen=True, eq=False)
class LookKernel:
    """A row kernel: the values and ends of each column in a bucket, and its users and gaps.

    Parameters
    ----------
    spec : NeedSpec
    """

    spec: NeedSpec

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        """Rows of one bucket."""
        rows = tables["rows"]
        found: list[_Seen] = []
        for name in self.spec.inputs:
            found += _values(name, pc.fill_null(as_texts(whole(rows[name])), NOTHING))
        for name in self.spec.seen:
            column = whole(rows[name])
            named = self.spec.kinds.get(name) == CATEGORY
            if not _is_number(column.type):
                found += _values(name, as_texts(column))
                continue
            numbers = _as_numbers(column.drop_null())
            # In order, so that sums do not depend on the order of rows.
            numbers = np.sort(numbers[~np.isnan(numbers)])
            low, high = (numbers[0], numbers[-1]) if len(numbers) else (np.nan, np.nan)
            is_whole = bool((numbers == np.floor(numbers)).all())
            mean, squares = _moments(numbers)
            found.append(
                (name, None, len(numbers), float(low), float(high), is_whole, mean, squares)
            )
            if named or (is_whole and low >= 0 and high <= 1):
                found += _values(name, as_texts(column))
        for name in (self.spec.user, self.spec.time):
            found.append((name, None, _gaps(whole(rows[name])), *_NO_NUMBERS))
        return pa.Table.from_arrays(
            [pa.array(column, field.type) for column, field in zip(zip(*found, strict=True), SEEN, strict=True)],
            schema=SEEN,
        )  # fmt: skip


_Seen = tuple[str, str | None, int, float, float, bool, float, float]
_NO_NUMBERS = (math.nan, math.nan, True, math.nan, math.nan)


def _moments(numbers: np.ndarray) -> tuple[float, float]:
    """The mean, and the sum of squares around it."""
    if not len(numbers) or not np.isfinite(numbers[[0, -1]]).all():
        return math.nan, math.nan
    with np.errstate(over="ignore"):
        mean = float(numbers.mean())
        return mean, float(((numbers - mean) ** 2).sum())


def _gaps(column: pa.Array) -> int:
    found = column.null_count
    if pa.types.is_floating(column.type):
        found += pc.sum(pc.is_nan(column)).as_py() or 0
    return int(found)


def _as_numbers(column: pa.Array) -> np.ndarray:
    """In double precision: whole numbers beyond 2^53 to the nearest one that it has."""
    return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _values(name: str, texts: pa.Array) -> list[_Seen]:
    counted = pc.value_counts(texts.drop_null())
    told = counted.slice(0, MOST_LEVELS * 20).to_pylist()
    return [(name, v["values"], int(v["counts"]), *_NO_NUMBERS) for v in told]


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def as_texts(column: pa.Array) -> pa.Array:
    """Values as texts; a whole number has no point, whatever its type."""
    if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        numbers = column.cast(pa.float64())
        known = pc.fill_null(pc.is_finite(numbers), False)
        rounded = pc.if_else(known, pc.floor(numbers), pa.scalar(0.0))
        is_whole = pc.and_(known, pc.equal(numbers, rounded))
        wholes = pc.if_else(is_whole, rounded, pa.scalar(0.0)).cast(pa.int64(), safe=False)
        texts = pc.if_else(is_whole, wholes.cast(pa.string()), numbers.cast(pa.string()))
        nan = pc.and_(pc.is_valid(numbers), pc.is_nan(numbers))
        return pc.if_else(pc.fill_null(nan, True), pa.scalar(None, pa.string()), texts)
    return column.cast(pa.string())


@dataclass(frozen=True)
class Unit:
    """What a column of numbers is measured in, so that nothing depends on whether it says cents or millions.

    Parameters
    ----------
    middle, size : float
        A number is coded as its distance from the middle over the size: about a mean and a standard deviation, rounded
        to powers of two, whose division loses nothing.
    rows : int
        That have a number.
    """

    middle: float
    size: float
    rows: int


@dataclass(frozen=True)
class Coding:
    """How columns become arrays.

    Parameters
    ----------
    spec : NeedSpec
    kinds : dict of str to str
        Of every column that is seen.
    levels : dict of str to tuple of str
        Of categories and inputs, in order.
    units : dict of str to Unit
        Of columns of numbers.
    """

    spec: NeedSpec
    kinds: dict[str, str]
    levels: dict[str, tuple[str, ...]]
    units: dict[str, Unit]

    def of_kind(self, kind: str) -> tuple[str, ...]:
        """Columns of a kind, as they were named."""
        return tuple(name for name in self.spec.seen if self.kinds[name] == kind)

    @property
    def inputs(self) -> int:
        """Levels of all inputs together."""
        return math.prod(len(self.levels[name]) for name in self.spec.inputs)

    def input_name(self, code: int) -> str:
        """What a level of all inputs is called: ``mailed=1, banner=red``."""
        parts = []
        for name in reversed(self.spec.inputs):
            code, own = divmod(code, len(self.levels[name]))
            parts.append(f"{name}={self.levels[name][own]}")
        return ", ".join(reversed(parts)) or NOTHING

    @property
    def base(self) -> int:
        """The level of all inputs that others are compared with."""
        code = 0
        for name in self.spec.inputs:
            own = self.spec.base.get(name, self.levels[name][0])
            code = code * len(self.levels[name]) + self.levels[name].index(own)
        return code

    def steps(self, table: pa.Table) -> Steps:
        """A bucket's rows as arrays.

        Raises
        ------
        DataError
            For two rows of a user at one time.
        """
        spec = self.spec
        users = whole(table[spec.user])
        who = users.dictionary_encode()
        texts = as_texts(who.dictionary)
        rank = np.empty(len(texts), np.int64)
        rank[pc.sort_indices(texts).to_numpy()] = np.arange(len(texts))
        user = rank[who.indices.to_numpy(zero_copy_only=False).astype(np.int64)]
        when = _times(table[spec.time])
        order = np.lexsort((when, user))
        user, when = user[order], when[order]
        new = np.r_[True, user[1:] != user[:-1]][: len(user)]
        if (~new[1:] & (when[1:] == when[:-1])).any():
            place = int(np.flatnonzero(~new[1:] & (when[1:] == when[:-1]))[0]) + 1
            raise DataError(
                f"{spec.time}: found two rows of {spec.user} {texts[int(who.indices[int(order[place])].as_py())]} at "
                f"one time, expected one row a step. Add them up, or name a finer column of time."
            )
        starts = np.r_[np.flatnonzero(new), len(user)].astype(np.int64)
        rows = NeedRows(
            starts, self._inputs(table)[order], self._codes(table)[order],
            self._numbers(table, COUNT)[order], self._numbers(table, NUMBER)[order], np.zeros((len(user), 0)),
        )  # fmt: skip
        return Steps(rows, order)

    def _inputs(self, table: pa.Table) -> np.ndarray:
        code = np.zeros(table.num_rows, np.int32)
        for name in self.spec.inputs:
            texts = pc.fill_null(as_texts(whole(table[name])), NOTHING)
            own = codes_among(texts, pa.array(self.levels[name], pa.string()))
            code = code * len(self.levels[name]) + own.astype(np.int32)
        return code

    def _codes(self, table: pa.Table) -> np.ndarray:
        names = self.of_kind(CATEGORY)
        codes = np.empty((table.num_rows, len(names)), np.int32)
        for place, name in enumerate(names):
            values = pa.array(self.levels[name], pa.string())
            codes[:, place] = codes_among(as_texts(whole(table[name])), values)
        return codes

    def _numbers(self, table: pa.Table, kind: str) -> np.ndarray:
        names = self.of_kind(kind)
        found = np.empty((table.num_rows, len(names)))
        for place, name in enumerate(names):
            found[:, place] = _as_numbers(whole(table[name]))
            if kind == NUMBER:
                found[:, place] = (found[:, place] - self.units[name].middle) / self.units[
                    name
                ].size
        return found


@dataclass(frozen=True, eq=False)
class Steps:
    """A bucket's steps in order, and the places of its rows.

    Parameters
    ----------
    rows : NeedRows
    order : ndarray of int
        By step, the place of its row in the table.
    """

    rows: NeedRows
    order: np.ndarray


def _times(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_timestamp(column.type):
        return microseconds(column)
    held = whole(column)
    if pa.types.is_date(held.type):
        return held.cast(pa.int32()).to_numpy()
    if pa.types.is_integer(held.type):
        return held.to_numpy()
    if _is_number(held.type):
        return _as_numbers(held)
    codes = held.cast(pa.string()).dictionary_encode()
    rank = np.empty(len(codes.dictionary), np.int64)
    rank[pc.sort_indices(codes.dictionary).to_numpy()] = np.arange(len(codes.dictionary))
    return rank[codes.indices.to_numpy()]


def coding_of(spec: NeedSpec, looks: pa.Table, name: str, texts: Sequence[str]) -> Coding:
    """The kinds and levels of columns, from looks at all buckets.

    Parameters
    ----------
    spec : NeedSpec
    looks : pyarrow.Table
        As :data:`SEEN`.
    name : str
        Of the table, for messages.
    texts : sequence of str
        Columns that hold no numbers.

    Raises
    ------
    DataError, ConfigError
        For gaps in users or times, values that do not fit their kind, or too many levels.
    """
    found: dict[str, list[dict]] = {}
    for row in looks.to_pylist():
        found.setdefault(row["column"], []).append(row)
    for key in ("user", "time"):
        if gaps := sum(row["rows"] for row in found.get(getattr(spec, key), ())):
            raise DataError(
                f"{name}, column {getattr(spec, key)!r} ({key}): found {gaps:,} rows without a value, expected "
                "one in every row. Leave them out."
            )
    kinds, levels = {}, {}
    for column in spec.seen:
        kinds[column] = _kind(spec, column, found.get(column, []), column in texts, name)
    for column in (*spec.inputs, *(c for c in spec.seen if kinds[c] == CATEGORY)):
        own = found.get(column, [])
        values = {row["value"] for row in own if row["value"] is not None}
        levels[column] = tuple(sorted(values, key=_in_order))
        if len(values) > MOST_LEVELS:
            raise ConfigError(
                f"{name}, column {column!r}: found {len(values):,} levels or more, expected at most {MOST_LEVELS}. Take "
                f"coarser ones, or say kinds: {{{column}: count}} where they are numbers."
            )
        if not values:
            raise DataError(f"{name}, column {column!r}: found no values, expected some.")
        if len(values) == 1:
            raise DataError(
                f"{name}, column {column!r}: found only {next(iter(values))!r}, expected several values: it tells "
                "nothing. Leave it out."
            )
    for column, level in spec.base.items():
        if level not in levels[column]:
            raise ConfigError(
                f"base.{column}: found {level!r}, expected one of {', '.join(levels[column])}."
            )
    units = {c: _unit(found[c], c, name) for c in spec.seen if kinds[c] == NUMBER}
    coding = Coding(spec, kinds, levels, units)
    if coding.inputs > MOST_LEVELS:
        sizes = " x ".join(str(len(levels[c])) for c in spec.inputs)
        raise ConfigError(
            f"inputs: {', '.join(spec.inputs)} have {sizes} levels together, expected at most {MOST_LEVELS}."
        )
    return coding


def _in_order(text: str) -> tuple[int, float, str]:
    if text == NOTHING:
        return (-1, 0.0, text)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    # "nan" is a text as others are: as a number it would have no place in an order.
    return (1, 0.0, text) if math.isnan(value) else (0, value, text)


def _unit(looks: list[dict], column: str, name: str) -> Unit:
    """From looks at all buckets, in sums that do not depend on their order."""
    ends = [row for row in looks if row["value"] is None and row["rows"]]
    rows = sum(row["rows"] for row in ends)
    try:
        mean = math.fsum(row["rows"] * row["mean"] for row in ends) / rows
        squares = math.fsum(
            row["squares"] + row["rows"] * (row["mean"] - mean) ** 2 for row in ends
        )
    except (OverflowError, ValueError):
        mean, squares = 0.0, math.inf
    if not (math.isfinite(squares) and squares / rows > 0):
        raise DataError(
            f"{name}, column {column!r}: found numbers whose variance is beyond double precision, expected others. "
            "Measure them in another unit."
        )
    size = 2.0 ** round(math.log2(math.sqrt(squares / rows)))
    return Unit(round(mean / size) * size, size, rows)


def _kind(spec: NeedSpec, column: str, looks: list[dict], is_text: bool, name: str) -> str:
    asked = spec.kinds.get(column)
    if is_text:
        if asked in (COUNT, NUMBER):
            raise ConfigError(
                f"kinds.{column}: found {asked!r}, but {name} holds texts there; expected category."
            )
        if spec.model == NUMBERS:
            raise ConfigError(
                f"{name}, column {column!r}: found texts or truth values with model: numbers, expected numbers. Leave it "
                "out, or take model: states."
            )
        return CATEGORY
    ends = [row for row in looks if row["value"] is None and row["rows"]]
    if not ends:
        raise DataError(f"{name}, column {column!r}: found no values, expected some.")
    low, high = min(row["low"] for row in ends), max(row["high"] for row in ends)
    is_whole = all(row["whole"] for row in ends)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise DataError(f"{name}, column {column!r}: found an infinite value, expected numbers.")
    if asked == COUNT and not (is_whole and low >= 0):
        raise ConfigError(
            f"kinds.{column}: found count, but values of {name} go from {low:g} to {high:g}"
            f"{'' if is_whole else ' and are not whole'}; expected whole numbers from 0, or kinds: {{{column}: number}}."
        )
    if low == high and asked != CATEGORY:
        raise DataError(
            f"{name}, column {column!r}: found only {low:g}, expected several values: it tells nothing. Leave it out."
        )
    if asked is not None or spec.model == NUMBERS:
        return asked or NUMBER
    if is_whole and low >= 0 and high <= 1:
        return CATEGORY
    return COUNT if is_whole and low >= 0 else NUMBER
