"""Columns of a table at hand, in whatever form it comes, under the names that a kernel knows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.errors import DataError, TableError
from truelift.lake.address import TableAddress
from truelift.lake.foreign import ForeignTable, frame_table, open_foreign
from truelift.lake.scan import read_batches

_TEXT = pa.dictionary(pa.int32(), pa.string())


def is_spark_frame(table: Any) -> bool:
    """Whether it is a DataFrame of Spark, classic or over Connect."""
    return type(table).__module__.startswith("pyspark.")


def address_of(table: Any) -> TableAddress | None:
    """Where a table lies; None for one that is here."""
    is_path = isinstance(table, (str, os.PathLike))
    return TableAddress.parse(os.fspath(table)) if is_path else None


def opened(table: Any) -> ForeignTable:
    """A table in memory, or one at an address.

    Raises
    ------
    TableError
        For what is no table.
    """
    address = address_of(table)
    if address is not None:
        return open_foreign(address)
    return frame_table(table, f"the {type(table).__name__}")


def named_columns(
    table: ForeignTable, columns: Mapping[str, tuple[str, str]], texts: frozenset[str]
) -> pa.Table:
    """Some columns as they are kept there, under other names.

    Parameters
    ----------
    table : ForeignTable
    columns : mapping of str to (str, str)
        By new name, the column and the argument that names it, for messages.
    texts : frozenset of str
        Of new names, those that Parquet may give as codes.

    Raises
    ------
    TableError
        For a column that is not there, or that cannot be used.
    """
    for column, argument in columns.values():
        if column not in table.schema.names:
            raise TableError(
                f"{table.name} has no column {column!r} ({argument}); its columns are "
                f"{', '.join(table.schema.names)}."
            )
    asked = list(dict.fromkeys(column for column, _ in columns.values()))
    table.stored(asked)
    if table.held is not None:
        rows = table.held.select(asked)
    elif table.plan is not None and table.plan.direct:
        wide = (pa.types.is_string, pa.types.is_large_string)
        kinds = {c: table.schema.field(c).type for c in asked}
        coded = {
            c
            for name, (c, _) in columns.items()
            if name in texts and any(is_text(kinds[c]) for is_text in wide)
        }
        plan = table.plan.select(asked).coded(coded)
        batches = [batch for unit in plan.units for batch in read_batches(plan, unit)]
        rows = pa.Table.from_batches(batches, plan.schema).unify_dictionaries()
    else:
        rows = table.here(asked)
    return pa.table([rows[column] for column, _ in columns.values()], list(columns))


def text_codes(column: pa.ChunkedArray, table: str, name: str) -> pa.DictionaryArray:
    """A column of keys as codes of distinct texts; whole numbers are spelt without a point.

    A blank text names nobody: it is null, as in the logs.

    Raises
    ------
    TableError
        For numbers with a fraction, which name nobody.
    """
    if column.type == _TEXT and column.num_chunks == 1:
        return _without_blanks(column.chunk(0))
    if pa.types.is_floating(column.type):
        column = _whole_numbers(column, table, name)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0) if whole.num_chunks else pa.array([], column.type)
    values = whole.dictionary
    if not pa.types.is_string(values.type):
        whole = pa.DictionaryArray.from_arrays(whole.indices, values.cast(pa.string()))
    return _without_blanks(whole)


def _without_blanks(codes: pa.DictionaryArray) -> pa.DictionaryArray:
    blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(codes.dictionary), ""), False)
    if not pc.any(blank).as_py():
        return codes
    place = pc.fill_null(blank.take(codes.indices), False)
    indices = pc.if_else(place, pa.scalar(None, codes.indices.type), codes.indices)
    return pa.DictionaryArray.from_arrays(indices, codes.dictionary)


def _whole_numbers(column: pa.ChunkedArray, table: str, name: str) -> pa.ChunkedArray:
    """Numbers that became floats because some are missing, as whole numbers again."""
    column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:
        raise TableError(
            f"{table}, column {name!r}: found numbers with a fraction, expected keys: texts or whole "
            "numbers."
        ) from None


def number_values(column: pa.ChunkedArray, table: str, name: str) -> np.ndarray:
    """A column of numbers or truth values in double precision; NaN where there is none.

    Raises
    ------
    DataError
        For anything else.
    """
    kind = column.type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise DataError(f"{table}, column {name!r}: found {kind}, expected numbers.")
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy())


def instants(column: pa.ChunkedArray, table: str, name: str, unit: str | None) -> pa.ChunkedArray:
    """A column of times as UTC microseconds; a time without a zone counts as UTC.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        Timestamps, days, ISO 8601 texts, or numbers since 1970 in ``unit``.
    table, name : str
        For messages.
    unit : str, optional
        ``'s'``, ``'ms'``, ``'us'`` or ``'ns'``, for numbers.

    Raises
    ------
    TableError
        For texts that are no times, and numbers of which the unit is not known.
    """
    kind, wanted = column.type, pa.timestamp("us", "UTC")
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _from_numbers(column, table, name, unit)
    if pa.types.is_timestamp(kind):
        plain = column.cast(pa.timestamp("us", kind.tz), safe=False)
        return plain.cast(wanted)
    try:
        return column.cast(pa.timestamp("us"), safe=False).cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise TableError(
            f"{table}, column {name!r}: found {kind} ({error}), expected timestamps, or texts such as "
            "2026-01-31 18:30:00. Parse them first."
        ) from None


def _from_numbers(
    column: pa.ChunkedArray, table: str, name: str, unit: str | None
) -> pa.ChunkedArray:
    scales = {"s": 1_000_000, "ms": 1_000, "us": 1}
    if unit not in {*scales, "ns"}:
        raise TableError(
            f"{table}, column {name!r}: found numbers, expected timestamps, or unit= one of 's', 'ms', "
            f"'us', 'ns' that says what they count since 1970 (found {unit!r})."
        )
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        micro = pc.divide(column, 1000.0) if unit == "ns" else pc.multiply(column, scales[unit])
        return pc.round(micro).cast(pa.int64()).cast(pa.timestamp("us", "UTC"))
    whole = column.cast(pa.int64())
    micro = pc.divide(whole, 1000) if unit == "ns" else pc.multiply_checked(whole, scales[unit])
    return micro.cast(pa.timestamp("us", "UTC"))
