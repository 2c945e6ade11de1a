"""What a task does with raw units: read them as text, and keep the users of the sample."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from truelift.errors import TrueliftError
from truelift.lake.data_files import DataFileRecord, SliceWriter
from truelift.lake.kernels import numbered_tasks
from truelift.lake.workers import remember_archives
from truelift.logs.sampling import in_sample
from truelift.logs.sources.columns import BATCH_ID, CORRUPT, FILE_TIME, SOURCE_FILE, SOURCE_ROW
from truelift.logs.sources.json_names import aligned
from truelift.logs.sources.registry import read
from truelift.logs.sources.unit import Unit

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Observation, SparkSession

READ = "_rows_read"
OUT = "_rows_sampled_out"
_INSTANT = pa.timestamp("us", tz="UTC")
_MOST_TASKS = 4096


@dataclass(frozen=True)
class UnitReader:
    """Reads the units of a task, keeps the sampled users, lays out the columns.

    Attributes
    ----------
    units : tuple of tuple of Unit
        The work of each task, by its number.
    columns : tuple of str
        The columns of all files together; a file that lacks one gives nulls.
    user : str, optional
        Column of the user, None for streams without one (the items), which are not sampled.
    share : float
        Share of users kept.
    """

    units: tuple[tuple[Unit, ...], ...]
    columns: tuple[str, ...]
    user: str | None
    share: float
    schema: pa.Schema = field(init=False)

    def __post_init__(self) -> None:
        texts = [(name, pa.string()) for name in (*self.columns, CORRUPT, SOURCE_FILE)]
        places = [(SOURCE_ROW, pa.int64()), (FILE_TIME, _INSTANT), (BATCH_ID, pa.string())]
        counts = [(READ, pa.int64()), (OUT, pa.int64())]
        object.__setattr__(self, "schema", pa.schema([*texts, *places, *counts]))

    @property
    def of_bronze(self) -> pa.Schema:
        """Columns of the rows, without their counts."""
        return pa.schema(list(self.schema)[:-2])

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        remember_archives()
        for batch in batches:
            for number in batch.column(0).to_pylist():
                for unit in self.units[number]:
                    yield from self._rows_of(unit)

    def _rows_of(self, unit: Unit) -> Iterator[pa.RecordBatch]:
        rows = out = 0
        for batch in read(unit):
            rows += batch.num_rows
            if self.user is not None and self.share < 1:
                kept = in_sample(self._users(batch), self.share)
                out += int((~kept).sum())
                batch = batch.filter(pa.array(kept))
            if batch.num_rows:
                yield self._laid_out(batch, unit)
        # The last row of a unit carries its counts and nothing else; it never reaches bronze.
        nothing = [pa.nulls(1, kind) for kind in self.schema.types[:-2]]
        counts = [pa.array([rows], pa.int64()), pa.array([out], pa.int64())]
        yield pa.RecordBatch.from_arrays([*nothing, *counts], schema=self.schema)

    def _users(self, batch: pa.RecordBatch) -> pa.Array:
        given = {name.lower(): i for i, name in enumerate(batch.schema.names)}
        index = given.get(str(self.user).lower())
        return pa.nulls(batch.num_rows, pa.string()) if index is None else batch.column(index)

    def _laid_out(self, batch: pa.RecordBatch, unit: Unit) -> pa.RecordBatch:
        given = {name.lower(): i for i, name in enumerate(batch.schema.names)}
        same = {
            FILE_TIME: pa.scalar(unit.modified, _INSTANT),
            BATCH_ID: pa.scalar(unit.batch_id, pa.string()),
        }
        count = batch.num_rows
        arrays = []
        for name, kind in zip(self.schema.names, self.schema.types, strict=True):
            if name in same:
                arrays.append(pa.repeat(same[name], count))
            elif (place := given.get(name.lower())) is not None:
                arrays.append(batch.column(place))
            else:
                arrays.append(pa.nulls(count, kind))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def reader_of(
    units: Sequence[Unit],
    held: Iterable[str],
    user: str | None,
    share: float,
    tasks: int = _MOST_TASKS,
) -> UnitReader:
    """A reader of all units, spread over tasks.

    Parameters
    ----------
    held : iterable of str
        Columns that the table has; a column is spelled as it is there.
    tasks : int
        At most so many.
    """
    held = tuple(held)
    units = aligned(units, held)
    count = min(len(units), tasks, _MOST_TASKS)
    shared_out = tuple(tuple(units[start::count]) for start in range(count))
    spelled = {name.lower(): name for name in held}
    columns = tuple(spelled.get(name.lower(), name) for name in all_columns(units))
    return UnitReader(shared_out, columns, user, share)


def all_columns(units: Iterable[Unit]) -> tuple[str, ...]:
    """Columns of all files, by first appearance; names that differ in case only are one."""
    names: dict[str, str] = {}
    for unit in units:
        for name in unit.names:
            names.setdefault(name.lower(), name)
    return tuple(names.values())


class RowsHere:
    """Rows for bronze as this process reads them, one batch after the other.

    Parameters
    ----------
    reader : UnitReader
    numbers : iterable of pyarrow.RecordBatch, optional
        Which tasks' units are read, as Spark tells a task its number; by default all of them.

    Attributes
    ----------
    read, sampled_out : int
        Rows read and left out, known once the stream is at its end.
    error : TrueliftError or None
        What broke the stream; who reads it across Arrow's interface sees another error.
    """

    def __init__(self, reader: UnitReader, numbers: Iterable[pa.RecordBatch] | None = None):
        self.read = self.sampled_out = 0
        self.error: TrueliftError | None = None
        self._reader = reader
        every = pa.array(range(len(reader.units)), pa.int64())
        self._numbers = [pa.record_batch([every], ["task"])] if numbers is None else numbers

    def stream(self) -> pa.RecordBatchReader:
        """The rows, without their counts."""
        return pa.RecordBatchReader.from_batches(self._reader.of_bronze, self.batches())

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The same as they come."""
        names = self._reader.of_bronze.names
        try:
            for batch in self._reader(self._numbers):
                if batch.column(READ).null_count:
                    yield batch.select(names)
                else:
                    self.read += batch.column(READ)[0].as_py()
                    self.sampled_out += batch.column(OUT)[0].as_py()
        except TrueliftError as error:
            self.error = error
            raise


@dataclass(frozen=True)
class WrittenUnits:
    """Data files of units, which no version of the table names yet, and rows read and left out."""

    files: list[DataFileRecord]
    read: int
    sampled_out: int


def write_units(spark: SparkSession, reader: UnitReader, uri: str) -> WrittenUnits:
    """Read all units in Spark's tasks, each of which writes its rows as data files of a table."""
    write = partial(_write_task, reader=reader, uri=uri)
    columns = "file string, read long, out long"
    found = numbered_tasks(spark, len(reader.units), write, columns).collect()
    files = [json.loads(row["file"]) for row in found if row["file"] is not None]
    return WrittenUnits(
        sorted(files, key=lambda file: file["path"]),
        sum(row["read"] for row in found),
        sum(row["out"] for row in found),
    )


def _write_task(
    batches: Iterator[pa.RecordBatch], reader: UnitReader, uri: str
) -> Iterator[pa.RecordBatch]:
    writer, rows = SliceWriter(uri, reader.of_bronze, ()), RowsHere(reader, batches)
    files = [file for batch in rows.batches() for file in writer.add(pa.table(batch))]
    files += writer.close()
    # The first line has the counts, the others only a file each.
    texts = [None, *(json.dumps(file) for file in files)]
    counts = [pa.array([n] + [0] * len(files), pa.int64()) for n in (rows.read, rows.sampled_out)]
    arrays = [pa.array(texts, pa.string()), *counts]
    yield pa.RecordBatch.from_arrays(arrays, names=["file", "read", "out"])


def raw_rows(spark: SparkSession, reader: UnitReader) -> tuple[DataFrame, Observation]:
    """Rows for bronze, and what will be known of their number once they are written."""
    from pyspark.sql import Observation
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_schema

    observed = Observation()
    schema = from_arrow_schema(reader.schema)
    frame = numbered_tasks(spark, len(reader.units), reader, schema)
    frame = frame.observe(observed, F.sum(READ).alias(READ), F.sum(OUT).alias(OUT))
    return frame.filter(F.col(READ).isNull()).drop(READ, OUT), observed
