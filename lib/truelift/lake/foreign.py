"""Tables that others wrote: which columns they have, and some of them under names of our own.

Columns are read with Arrow, wherever they come from: Delta's log, the footers of Parquet files, or
CSV. So a column that is not asked for cannot stand in the way, whatever its name and type, and one
that is asked for may be called anything. Spark sees ``c0``, ``c1``, ... alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.fs as pafs

from truelift.errors import TableError
from truelift.files.places import filesystem_of
from truelift.fingerprints import fingerprint_of
from truelift.lake.address import TableAddress, is_delta
from truelift.lake.conditions import quoted
from truelift.lake.csv_tables import is_csv, read_csv
from truelift.lake.kernels import numbered_tasks, parallelism
from truelift.lake.log import current_version
from truelift.lake.scan import ScanPlan, ScanUnit, make_plan, read_batches
from truelift.lake.stored_types import stored_table, stored_type
from truelift.lake.table_files import files_of, parquet_plan

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True, eq=False)
class ForeignTable:
    """A table at one version.

    Parameters
    ----------
    name : str
        Its address, for messages.
    version : str
        Tells this content from another.
    schema : pyarrow.Schema
        All of its columns.
    plan : ScanPlan, optional
        Its files.
    held : pyarrow.Table, optional
        Its rows, where they were read already.
    frame : DataFrame, optional
        Its rows, where Spark has them.
    unclear : mapping of str to str
        Columns that cannot be used, and why.
    """

    name: str
    version: str
    schema: pa.Schema
    plan: ScanPlan | None = None
    held: pa.Table | None = None
    frame: DataFrame | None = None
    unclear: Mapping[str, str] = field(default_factory=dict)

    def stored(self, columns: Sequence[str]) -> pa.Schema:
        """The schema of some columns as :meth:`rows` and :func:`stored_table` give them.

        Raises
        ------
        TableError
            For a column that cannot be used.
        """
        fields = []
        for column in columns:
            if column in self.unclear:
                raise TableError(f"{self.name}, column {column!r}: {self.unclear[column]}.")
            if self.schema.names.count(column) > 1:
                raise TableError(
                    f"{self.name} has {self.schema.names.count(column)} columns named {column!r}, "
                    "expected one. Give them names of their own."
                )
            kind = stored_type(self.schema.field(column).type)
            if kind is None:
                raise TableError(
                    f"{self.name}, column {column!r}: found type "
                    f"{self.schema.field(column).type}, expected a number, a text, a date or a "
                    "truth value. Take the part that is meant out into a column of its own."
                )
            fields.append(pa.field(column, kind))
        return pa.schema(fields)

    def is_usable(self, column: str) -> bool:
        """Whether :meth:`stored` takes the column."""
        once = self.schema.names.count(column) == 1 and column not in self.unclear
        return once and stored_type(self.schema.field(column).type) is not None

    def rows(self, spark: SparkSession, columns: Sequence[str]) -> DataFrame:
        """Some columns as Spark's rows, named ``c0``, ``c1``, ... in the order asked for."""
        from pyspark.sql import functions as F
        from pyspark.sql.pandas.types import from_arrow_schema

        schema = self.stored(columns)
        safe = pa.schema([f.with_name(f"c{i}") for i, f in enumerate(schema)])
        if self.held is not None:
            return spark.createDataFrame(self.here(columns).rename_columns(safe.names))
        frame = self.frame
        if self.plan is not None and not self.plan.direct:
            reader = spark.read.format("delta").option("versionAsOf", self.plan.version)
            frame = reader.load(self.plan.uri)
        if frame is not None:
            names = [F.col(quoted(n)).alias(s) for n, s in zip(columns, safe.names, strict=True)]
            run = partial(_as_stored, schema=safe)
            return frame.select(*names).mapInArrow(run, from_arrow_schema(safe))
        assert self.plan is not None
        plan = self.plan.select(columns)
        shares = _shares(plan.units, parallelism(spark))
        run = partial(_units_task, shares=shares, plan=replace(plan, units=()), schema=safe)
        return numbered_tasks(spark, len(shares), run, from_arrow_schema(safe))

    def here(self, columns: Sequence[str]) -> pa.Table:
        """Some columns in this process, without Spark.

        Raises
        ------
        TableError
            If only Spark can read its rows.
        """
        schema = self.stored(columns)
        if self.held is not None:
            return stored_table(self.held.select(list(columns)), schema)
        assert self.plan is not None
        if not self.plan.direct:
            raise TableError(
                f"{self.name}: {self.plan.reason}, so that only Spark can read its rows. Name a lake "
                "(lake=...) to have Spark read them, or write the table anew without it."
            )
        plan = self.plan.select(columns)
        found = (read_batches(plan, unit) for unit in plan.units)
        batches = [batch for rows in found for batch in _as_stored(rows, schema)]
        return pa.Table.from_batches(batches, schema)


def open_foreign(address: TableAddress) -> ForeignTable:
    """The table at an address: Delta, Parquet or CSV.

    Raises
    ------
    TableError
        If there is no table there, not that version, or one that cannot be read.
    """
    if is_delta(address.uri):
        plan = make_plan(address.uri, address.uri, version=address.version)
        return ForeignTable(address.uri, str(plan.version), plan.schema, plan)
    if address.version is not None:
        raise TableError(f"{address.uri} is no Delta table, so it has no version to ask for.")
    files = files_of(address.uri)
    version = _files_version(files)
    if is_csv(files[0].path):
        filesystem, _ = filesystem_of(address.uri)
        held = read_csv(filesystem, [f.path for f in files], address.uri)
        return ForeignTable(address.uri, version, held.schema, held=held)
    plan, unclear = parquet_plan(address.uri, files)
    return ForeignTable(address.uri, version, plan.schema, plan, unclear=unclear)


def table_version(address: TableAddress) -> str:
    """The version that :func:`open_foreign` would give, by logs and lists of files alone.

    Raises
    ------
    TableError
        If there is no table there.
    """
    newest = current_version(address.uri) if is_delta(address.uri) else None
    if newest is not None:
        return str(newest if address.version is None else address.version)
    return _files_version(files_of(address.uri))


def _files_version(files: Sequence[pafs.FileInfo]) -> str:
    """Files of the same names, sizes and times hold the same; no version of Delta looks like it."""
    return "f" + fingerprint_of(files=[(f.path, f.size, str(f.mtime_ns)) for f in files])


def open_address(spark: SparkSession, address: TableAddress) -> tuple[DataFrame, str]:
    """All rows of a table under its own names, for SQL on them, and the version that they are of.

    Raises
    ------
    TableError
        As for :func:`open_foreign`.
    """
    found = open_foreign(address)
    if found.plan is not None and is_delta(address.uri):
        reader = spark.read.format("delta").option("versionAsOf", found.plan.version)
        return reader.load(address.uri), found.version
    if found.plan is not None and _spark_reads(found.schema):
        return spark.read.parquet(address.uri), found.version
    # Nested columns are for Spark alone; all others come as Arrow reads them.
    names = [f.name for f in found.schema if f.name not in found.unclear and stored_type(f.type)]
    return found.rows(spark, names).toDF(*names), found.version


def _spark_reads(schema: pa.Schema) -> bool:
    """Whether Spark's reader of Parquet knows all types, and tells the names apart."""
    odd = (pa.types.is_time, pa.types.is_duration, pa.types.is_float16, pa.types.is_null)
    nanoseconds = any(pa.types.is_timestamp(k) and k.unit == "ns" for k in schema.types)
    once = len({name.lower() for name in schema.names}) == len(schema.names)
    return once and not nanoseconds and not any(one(k) for one in odd for k in schema.types)


def _shares(units: Sequence[ScanUnit], tasks: int) -> list[list[ScanUnit]]:
    """Units to tasks: the largest first, each to the lightest."""
    shares: list[list[ScanUnit]] = [[] for _ in range(max(min(tasks, len(units)), 1))]
    loads = [0] * len(shares)
    for unit in sorted(units, key=lambda u: -u.size):
        lightest = loads.index(min(loads))
        loads[lightest] += unit.size
        shares[lightest].append(unit)
    return shares


def _units_task(
    batches: Iterable[pa.RecordBatch], shares: list[list[ScanUnit]], plan: ScanPlan,
    schema: pa.Schema,
) -> Iterator[pa.RecordBatch]:  # fmt: skip
    for batch in batches:
        for number in batch.column(0).to_pylist():
            for unit in shares[number]:
                yield from _as_stored(read_batches(plan, unit), schema)


def _as_stored(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if batch.num_rows:
            yield from stored_table(pa.Table.from_batches([batch]), schema).to_batches()


def frame_table(frame: Any, name: str) -> ForeignTable:
    """A pandas DataFrame, an Arrow table or another table in memory.

    Columns that Arrow cannot hold are known as such, and stand in nobody's way until they are used.

    Raises
    ------
    TableError
        If it is no table.
    """
    if isinstance(frame, pa.RecordBatch):
        frame = pa.Table.from_batches([frame])
    unclear: dict[str, str] = {}
    if not isinstance(frame, pa.Table):
        frame = _table_of(frame, unclear)
    return ForeignTable(name, "0", frame.schema, held=frame, unclear=unclear)


def _table_of(frame: Any, unclear: dict[str, str]) -> pa.Table:
    # A DataFrame of pandas comes from where pandas was loaded; the others need not wait for it.
    pd = sys.modules.get("pandas")
    if pd is not None and isinstance(frame, pd.DataFrame):
        if any(name is not None for name in frame.index.names):
            kept = [n for n in frame.index.names if n is not None and n not in frame.columns]
            frame = pd.concat(
                [frame.index.to_frame(index=False)[kept], frame.reset_index(drop=True)], axis=1
            )
        names, columns = [], []
        for place, name in enumerate(frame.columns):
            names.append(str(name))
            try:
                columns.append(pa.array(frame.iloc[:, place], from_pandas=True))
            except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
                columns.append(pa.nulls(len(frame)))
                unclear[str(name)] = f"its values are of several types or of none ({error})"
        arrays = [c if isinstance(c, pa.ChunkedArray) else pa.chunked_array([c]) for c in columns]
        return pa.Table.from_arrays(arrays, names)
    if hasattr(frame, "__arrow_c_stream__"):
        return pa.table(frame)
    raise TableError(
        f"Found {type(frame).__module__}.{type(frame).__qualname__}, expected a table: the address "
        "of a Delta table, of Parquet or CSV, or a pandas DataFrame or Arrow table in memory."
    )
