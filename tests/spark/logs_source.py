"""A small data set of one's own for the Spark tests of the logs room."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import yaml
from deltalake import DeltaTable

MAPPING = {"user": "u", "item": "i", "time": "t", "quantity": "q", "value": "v"}
HEADER = "u,i,t,q,v"


def write_dataset(folder: Path, source: dict, **sections) -> str:
    """A data set's YAML; its path is what ``make_settings(dataset=...)`` takes."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "own.yaml"
    source = {"format": "csv", "mapping": MAPPING, **source}
    path.write_text(yaml.safe_dump({"source": source, "buckets": 5, **sections}))
    return str(path)


def write_csv(path: Path, *lines: str, header: str = HEADER) -> str:
    """A file of literal lines under a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *lines]) + "\n")
    return str(path)


def held(lake, name: str) -> pa.Table:
    """A table's newest rows, read without Spark; times are UTC and naive, as Spark gives them."""
    table = DeltaTable(lake.uri(name)).to_pyarrow_table()
    fields = [
        field.with_type(pa.timestamp("us")) if pa.types.is_timestamp(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def records(rows: pa.Table) -> list[SimpleNamespace]:
    """Rows by column name; maps are dictionaries."""
    return [SimpleNamespace(**row) for row in rows.to_pylist(maps_as_pydicts="strict")]


def rows_of(rows, *columns: str) -> list[tuple]:
    """The rows of a DataFrame, or of a table that is held, as sorted tuples."""
    if isinstance(rows, pa.Table):
        chosen = rows.select(columns).to_pylist(maps_as_pydicts="strict")
        found = [tuple(row.values()) for row in chosen]
    else:
        found = [tuple(row) for row in rows.select(*columns).collect()]
    return sorted(found, key=lambda row: tuple(str(value) for value in row))
