"""A small data set of one's own for the Spark tests of the logs room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import yaml
from deltalake import DeltaTable, write_deltalake

from tests.conftest import RecordingRun
from truelift.job import Job
from truelift.lake import Lake
from truelift.lake.tables import table_spec
from truelift.pipeline import pin_inputs, step_named

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


def run_steps(lake: Lake, settings, folder: Path, *steps: Callable[[Job], object]) -> Job:
    """Run steps on a lake that tests of a module share; the last one's job.

    For fixtures that outlive a test; in a test there is ``make_job``.
    """
    for step in steps:
        inputs = pin_inputs(step_named(step.__name__), lake)
        fingerprint = f"test-{step.__name__}-{sorted(inputs.items())}"
        job = Job(step.__name__, settings, lake, inputs, fingerprint, RecordingRun(), folder)
        step(job)
    return job


def put_rows(lake: Lake, name: str, rows: list[dict] | pa.Table, mode: str = "overwrite") -> None:
    """Make a table hold rows, or add them to it, without Spark; columns not given are null."""
    spec = table_spec(name)
    records = rows.to_pylist() if isinstance(rows, pa.Table) else rows
    table = pa.Table.from_pylist(records, spec.arrow)
    by = list(spec.partition_by) or None
    write_deltalake(
        lake.uri(name), table, mode=mode, partition_by=by, configuration=spec.properties()
    )


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
