"""Columns as Spark's DDL writes them are Arrow's types, without a session."""

from __future__ import annotations

import pyarrow as pa
import pytest

from truelift.errors import TableError
from truelift.lake.ddl import arrow_schema_of
from truelift.lake.tables import TABLES


def test_plain_and_nested_types():
    found = arrow_schema_of("a string, b array<bigint>, c map<string,array<int>>, d timestamp")
    assert found == pa.schema(
        {
            "a": pa.string(),
            "b": pa.list_(pa.int64()),
            "c": pa.map_(pa.string(), pa.list_(pa.int32())),
            "d": pa.timestamp("us", tz="UTC"),
        }
    )


def test_every_table_has_the_columns_that_it_names():
    for spec in TABLES.values():
        assert tuple(spec.arrow.names) == spec.names


def test_a_type_that_no_table_has_is_refused():
    with pytest.raises(TableError, match="found type 'float', expected one of string"):
        arrow_schema_of("a string, b float")
