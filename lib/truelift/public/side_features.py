"""Features of users or items from a table at hand: numbers as they are, texts and truth values as columns of 0 and 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.errors import DataError, TableError
from truelift.models.factors.seen import standard
from truelift.public.tables import named_columns, opened, text_codes

# A text with more values than this says who one is, not what one is like.
_MOST_VALUES = 200


def side_features(given: Any, key: str, argument: str, keys: pa.Array) -> np.ndarray:
    """Features of all keys, in units of their spread; who is not in the table is like the mean.

    Parameters
    ----------
    given : DataFrame, Arrow table, str or path
        A row a key; all other columns are features.
    key : str
        The column of keys.
    argument : str
        What messages call the table.
    keys : Array of text
        Users or items, in the order of the result.

    Raises
    ------
    TrueliftError
        For a key that comes twice, a table without any of the keys or without features, or a column
        that cannot be used.
    """
    table = opened(given)
    names = [name for name in table.schema.names if name != key]
    if not names:
        raise TableError(
            f"{argument}: {table.name} has no column beside {key!r}, expected features."
        )
    rows = named_columns(table, {n: (n, argument) for n in (key, *names)}, frozenset())
    own = text_codes(rows[key], table.name, key).cast(pa.string())
    whole = own.drop_null()
    if len(pc.unique(whole)) < len(whole):
        raise DataError(f"{argument}: {table.name} has a {key!r} twice, expected one row each.")
    place = pc.index_in(keys, own)
    if place.null_count == len(place):
        raise DataError(
            f"{argument}: {table.name} has none of the {len(keys):,} values of {key!r} that labels name."
        )
    none = [np.zeros((rows.num_rows, 0))]
    values = np.column_stack([*none, *(c for n in names for c in _columns(rows[n], table.name, n))])
    row = pc.fill_null(place, -1).to_numpy(zero_copy_only=False)
    values = np.where(row[:, None] >= 0, values[row], np.nan)
    known = ~np.isnan(values)
    usual = np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return standard(np.where(known, values, usual))


def _columns(column: pa.ChunkedArray, table: str, name: str) -> list[np.ndarray]:
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        number = column.cast(pa.float64(), safe=False).to_numpy()
        return [np.where(np.isfinite(number), number, np.nan)]
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8()).cast(pa.string())
    try:
        codes = text_codes(column, table, name)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise TableError(
            f"{table}, column {name!r}: found {kind}, expected numbers, texts or truth values."
        ) from None
    count = len(codes.dictionary)
    if count > _MOST_VALUES:
        raise DataError(
            f"{table}, column {name!r}: found {count:,} different texts, expected at most {_MOST_VALUES}. "
            "Leave it out, or give what it stands for as columns."
        )
    place = codes.indices.to_numpy(zero_copy_only=False)
    unknown = pc.is_null(codes).to_numpy(zero_copy_only=False)
    return [np.where(unknown, np.nan, place == code) for code in range(count)]
