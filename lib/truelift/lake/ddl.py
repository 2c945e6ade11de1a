"""Columns written as Spark's DDL, as an Arrow schema: no session is needed to know a table's types."""

from __future__ import annotations

import re

import pyarrow as pa

from truelift.errors import TableError

# Commas between columns have a blank behind them, those inside of a type have none.
LISTED = re.compile(r",\s+")
_PLAIN = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


def arrow_schema_of(columns: str) -> pa.Schema:
    """``"user_key string, counts map<string,int>"`` as an Arrow schema.

    Raises
    ------
    TableError
        For a type that no table of the lake has.
    """
    pairs = (column.split(maxsplit=1) for column in LISTED.split(columns))
    return pa.schema([(name, _type_of(kind.strip())) for name, kind in pairs])


def _type_of(kind: str) -> pa.DataType:
    if kind.startswith("array<"):
        return pa.list_(_type_of(kind[6:-1]))
    if kind.startswith("map<"):
        key, _, value = kind[4:-1].partition(",")
        return pa.map_(_type_of(key), _type_of(value))
    if kind not in _PLAIN:
        known = ", ".join([*_PLAIN, "array<...>", "map<...,...>"])
        raise TableError(f"Columns of the lake: found type {kind!r}, expected one of {known}.")
    return _PLAIN[kind]
