"""Tables that others wrote: which columns they have, and some of them under names of our own.

Columns are read with Arrow, wherever they come from: Delta's log, the footers of Parquet files, or
CSV. So a column that is not asked for cannot stand in the way, whatever its name and type, and one
that is asked for may be called anything. Spark sees ``c0``, ``c1``, ... alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from truelift.errors import TableError
from truelift.files.places import filesystem_of
from truelift.fingerprints import fingerprint_of
from truelift.lake.address import TableAddress, is_delta
from truelift.lake.conditions import quoted
from truelift.lake.csv_tables import is_csv, read_csv
from truelift.lake.kernels import numbered_tasks, parallelism
from truelift.lake.log import DataFile, current_version
from truelift.lake.scan import ScanPlan, ScanUnit, make_plan, read_batches, schema_hex, units_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_NO_PARTITION = "__HIVE_DEFAULT_PARTITION__"


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
    plan, unclear = _parquet_plan(address.uri, files)
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


def files_of(uri: str) -> list[pafs.FileInfo]:
    """The Parquet files of a table, else its CSV files, in the order of their names.

    Raises
    ------
    TableError
        If there are none.
    """
    filesystem, root = filesystem_of(uri)
    info = filesystem.get_file_info(root)
    if info.type == pafs.FileType.File:
        if is_csv(info.path) or _is_parquet(filesystem, info):
            return [info]
        found: list[pafs.FileInfo] = []
        there = f"a file, {info.base_name!r}, that is neither Parquet nor CSV"
    elif info.type == pafs.FileType.Directory:
        selector = pafs.FileSelector(root, recursive=True)
        inside = [f for f in filesystem.get_file_info(selector) if f.is_file and f.size]
        seen = [f for f in inside if not _is_hidden(f.path[len(root) :])]
        found = [f for f in seen if f.path.lower().endswith((".parquet", ".parq", ".pq"))]
        found = found or [f for f in seen if is_csv(f.path)]
        found = found or [f for f in seen if _is_parquet(filesystem, f)]
        there = "a folder without Parquet or CSV files"
    else:
        found, there = [], "nothing"
    if not found:
        raise TableError(
            f"There is no table at {uri}: found {there}. Expected a Delta table, Parquet or CSV: "
            "a file or a folder of files. Write other formats as Parquet first, or read them into "
            "a DataFrame and hand that to a call of Python (import truelift as tl)."
        )
    return sorted(found, key=lambda f: f.path)


def _is_hidden(path: str) -> bool:
    """What Spark and Hive keep for themselves, by the name of a file or a folder."""
    return any(part.startswith(("_", ".")) and "=" not in part for part in path.split("/"))


def _is_parquet(filesystem: pafs.FileSystem, info: pafs.FileInfo) -> bool:
    with filesystem.open_input_file(info.path) as stream:
        return bool(stream.read(4) == b"PAR1")


def _parquet_plan(uri: str, files: Sequence[pafs.FileInfo]) -> tuple[ScanPlan, dict[str, str]]:
    """A plan of Parquet files, folders named ``column=value`` included, and unusable columns."""
    filesystem, root = filesystem_of(uri)

    def footer(file: pafs.FileInfo) -> tuple[pa.Schema, int]:
        try:
            found = pq.read_metadata(file.path, filesystem=filesystem)
            return found.schema.to_arrow_schema(), found.num_rows
        except (pa.ArrowException, OSError) as error:
            raise TableError(
                f"{uri}: the file {file.path} cannot be read as Parquet ({error}). Remove it, or "
                "write it anew."
            ) from None

    with ThreadPoolExecutor(max_workers=16) as pool:
        footers = list(pool.map(footer, files))
    partitions = [_partition(file.path[len(root) :]) for file in files]
    own, unclear = _common([schema for schema, _ in footers])
    fields = [*own, *(f for f in _partition_fields(partitions) if f.name not in own.names)]
    scheme = uri.partition("://")[0] + "://" if "://" in uri else ""
    held = [
        DataFile(f"{scheme}{file.path}", file.size, rows, partition)
        for file, (_, rows), partition in zip(files, footers, partitions, strict=True)
    ]
    schema = pa.schema(fields)
    plan = ScanPlan(uri, uri, 0, tuple(schema.names), tuple(units_of(held)), (), schema_hex(schema))
    return plan, unclear


def _partition(path: str) -> dict[str, str | None]:
    """Values in the names of folders, as Hive writes them."""
    found: dict[str, str | None] = {}
    for part in path.split("/")[:-1]:
        name, sign, value = part.partition("=")
        if sign and name:
            found[unquote(name)] = None if value == _NO_PARTITION else unquote(value)
    return found


def _partition_fields(partitions: Sequence[Mapping[str, str | None]]) -> Iterator[pa.Field]:
    for name in dict.fromkeys(name for partition in partitions for name in partition):
        values = {partition.get(name) for partition in partitions} - {None}
        whole = all(str(v).lstrip("-").isdecimal() for v in values) and bool(values)
        yield pa.field(name, pa.int64() if whole else pa.string())


def _common(schemas: Sequence[pa.Schema]) -> tuple[pa.Schema, dict[str, str]]:
    """All columns of some files, with types that hold the values of all of them."""
    fields: list[pa.Field] = []
    places: dict[str, int] = {}
    unclear: dict[str, str] = {}
    for number, schema in enumerate(schemas):
        for found in schema.remove_metadata():
            found = found.remove_metadata().with_nullable(True)
            if number and found.name in places:
                place = places[found.name]
                if fields[place].type == found.type:
                    continue
                try:
                    both = [pa.schema([fields[place]]), pa.schema([found])]
                    fields[place] = pa.unify_schemas(both, promote_options="permissive").field(0)
                except (pa.ArrowException, TypeError):
                    unclear[found.name] = (
                        f"its files disagree on the type: found {fields[place].type} and "
                        f"{found.type}, expected one. Write them anew with one type"
                    )
                continue
            places[found.name] = len(fields)
            fields.append(found)
    return pa.schema(fields), unclear


def stored_type(kind: pa.DataType) -> pa.DataType | None:
    """The type in which a column is kept: one that Arrow, Spark and the kernels all know.

    None for nested columns.
    """
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return stored_type(kind.storage_type)
    if types.is_dictionary(kind):
        return stored_type(kind.value_type)
    if types.is_nested(kind):
        return None
    if types.is_uint64(kind):
        return pa.decimal128(20, 0)
    if types.is_unsigned_integer(kind):
        return pa.int64() if types.is_uint32(kind) else pa.int32()
    if types.is_decimal(kind):
        return kind if types.is_decimal128(kind) else pa.float64()
    if types.is_float16(kind):
        return pa.float32()
    if types.is_timestamp(kind):
        return pa.timestamp("us", "UTC")
    if types.is_date(kind):
        return pa.date32()
    if types.is_duration(kind):
        return pa.int64()
    kept = (types.is_boolean, types.is_integer, types.is_floating)
    return kind if any(known(kind) for known in kept) else pa.string()


def stored_table(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Columns in the types of :func:`stored_type`."""
    columns = [_stored(table.column(i), f.type) for i, f in enumerate(schema)]
    return pa.Table.from_arrays(columns, schema=schema)


def _stored(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([c.storage for c in column.chunks], column.type.storage_type)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.type == kind:
        return column
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(kind)
    if _is_bytes(column.type):
        texts = [None if value is None else value.hex() for value in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])
    if pa.types.is_duration(column.type):
        return column.cast(pa.int64())
    return column.cast(kind, safe=False)


def _is_bytes(kind: pa.DataType) -> bool:
    known = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    return any(one(kind) for one in known)


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
