"""Tasks that write a table's data files where they run; the driver commits them in one go.

Rows that a kernel has made are Arrow columns already. Handing them to Spark's writer turns them
into rows, sorts these by partition and turns them into columns again, which takes several times
as long as the kernel itself. Here each task writes Parquet files of whole (bucket, period)
slices and returns what Delta's log says of them; nothing is visible before the commit, and what
a failed or repeated task has left is a file that no version names (``maintain`` removes it).
"""

from __future__ import annotations

import datetime
import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from truelift.lake.kernels import RowKernel, run_buckets, tables_of_bucket
from truelift.lake.log import arrow_schema, filesystem_of, open_table, storage_uri
from truelift.lake.scan import ScanPlan
from truelift.lake.tables import PLAIN_WRITER_FEATURES, TableSpec
from truelift.lake.writes import Commit, TableState, application_of, lost_race, state_metadata

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# What Delta's log is to say of a file, by deltalake's names, and its "rows".
DataFileRecord = dict[str, Any]
_GROUP_ROWS = 131_072
_LONGEST_TEXT = 64
# Rows by which a column's values are called repeating, and how many of them may be distinct.
_FIRST_ROWS, _DISTINCT_SHARE = 1024, 0.5
_LAST_YEAR = 253_402_300_800 * 1_000_000


def takes_buckets(uri: str, spec: TableSpec) -> bool:
    """Whether :func:`replace_by_kernel` can write to what is there, be it nothing.

    It cannot where Arrow has no file system for the place, or the table has a feature or
    columns that Spark has to deal with.
    """
    if spec.is_open or spec.change_feed or not spec.partition_by:
        return False
    try:
        filesystem_of(uri)
        table = open_table(uri)
    except (OSError, ValueError, pa.ArrowException):
        return False
    if table is None:
        return True
    metadata = table.metadata()
    return (
        set(table.protocol().writer_features or ()) <= PLAIN_WRITER_FEATURES
        and tuple(metadata.partition_columns) == spec.partition_by
        and metadata.configuration.get("delta.columnMapping.mode", "none") == "none"
        and arrow_schema(table) == pa.schema(_delta_schema(spec).to_arrow())
    )


def replace_by_kernel(
    spark: SparkSession,
    kernel: RowKernel,
    plans: Mapping[str, ScanPlan],
    uri: str,
    spec: TableSpec,
    fingerprint: str,
    state: TableState,
    notes: Mapping[str, Any],
    slices: Mapping[str, Sequence[int]] | None = None,
) -> Commit:
    """Replace slices of a table, or all of it, by what a row kernel makes of other tables.

    Parameters
    ----------
    kernel : callable
        As in :func:`~truelift.lake.kernels.map_buckets`; its columns are those of ``spec``.
    state, notes, slices
        As in :func:`~truelift.lake.writes.replace_slices`, which has the same result.

    Raises
    ------
    JobFailure
        If another run has written since ``state`` was read: nothing of this one is published.
    """
    files = _written(spark, kernel, plans, uri, spec)
    return commit_files(uri, spec, files, fingerprint, state, notes, slices)


def commit_files(
    uri: str,
    spec: TableSpec,
    files: Sequence[DataFileRecord],
    fingerprint: str,
    state: TableState,
    notes: Mapping[str, Any],
    slices: Mapping[str, Sequence[int]] | None = None,
) -> Commit:
    """Publish files that tasks have written, in the place of slices or of the whole table.

    Raises
    ------
    JobFailure
        If another run has written since ``state`` was read: nothing of this one is published.
    """
    from deltalake import CommitProperties, Transaction
    from deltalake.exceptions import CommitFailedError, DeltaError
    from deltalake.transaction import AddAction, create_table_with_add_actions

    application = application_of(spec)
    adds = [AddAction(**{k: v for k, v in file.items() if k != "rows"}) for file in files]
    properties = CommitProperties(
        custom_metadata={"userMetadata": json.dumps(state_metadata(fingerprint, state, notes))},
        app_transactions=[Transaction(application, state.sequence + 1)],
        max_commit_retries=0,
    )
    common: dict[str, Any] = {
        "partition_by": list(spec.partition_by),
        "commit_properties": properties,
    }
    table, schema = open_table(uri), _delta_schema(spec)
    if table is None and state.version >= 0:
        raise lost_race(spec.name)
    try:
        if table is None:
            create_table_with_add_actions(
                storage_uri(uri), schema, adds, "error", configuration=spec.properties(), **common
            )
        else:
            if (table.transaction_version(application) or 0) != state.sequence:
                raise lost_race(spec.name)
            removes = _removed(table, spec, slices)
            table.create_write_transaction([*adds, *removes], "append", schema, **common)
    except CommitFailedError as error:
        raise lost_race(spec.name) from error
    except DeltaError as error:
        if table is None and open_table(uri) is not None:
            raise lost_race(spec.name) from error
        raise
    version = 0 if table is None else int(table.version()) + 1
    return Commit(spec.name, version, sum(file["rows"] for file in files), skipped=False)


def discard_files(uri: str, files: Sequence[DataFileRecord]) -> None:
    """Delete files that were written and are not to be published, and folders thus emptied."""
    filesystem, root = filesystem_of(uri.rstrip("/"))
    for file in files:
        filesystem.delete_file(f"{root}/{file['path']}")
    if isinstance(filesystem, pafs.LocalFileSystem):
        _remove_emptied(Path(root), {Path(root, file["path"]).parent for file in files})


def _remove_emptied(root: Path, folders: Iterable[Path]) -> None:
    """Remove folders that are empty, and those above them, up to the one around the table."""
    for folder in folders:
        for place in (folder, *folder.parents):
            if not place.is_relative_to(root.parent):
                break
            try:
                place.rmdir()
            except OSError:  # It holds something, or another run was faster.
                break


def _delta_schema(spec: TableSpec) -> Any:
    from deltalake import Schema
    from pyspark.sql.pandas.types import to_arrow_schema

    return Schema.from_arrow(to_arrow_schema(spec.schema()))


def _removed(table: Any, spec: TableSpec, slices: Mapping[str, Sequence[int]] | None) -> list[Any]:
    """The live files of the slices (no buckets stand for all of them), to be taken out."""
    from deltalake.transaction import RemoveAction

    actions = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    now = int(time.time() * 1000)
    removed = []
    for action in actions:
        values: dict[str, str | None] = {
            name: str(action[f"partition.{name}"]) for name in spec.partition_by
        }
        if slices is not None:
            buckets = slices.get(str(values["period"]))
            if buckets is None or (buckets and int(str(values["bucket"])) not in buckets):
                continue
        removed.append(RemoveAction(action["path"], True, now, action["size_bytes"], values))
    return removed


def _written(
    spark: SparkSession,
    kernel: RowKernel,
    plans: Mapping[str, ScanPlan],
    uri: str,
    spec: TableSpec,
) -> list[DataFileRecord]:
    """Run the kernel; what the log is to say of each file, and its ``rows``."""
    from pyspark.sql.pandas.types import to_arrow_schema

    work = partial(
        _files_of_bucket,
        kernel=kernel,
        schema=to_arrow_schema(spec.schema()),
        uri=uri.rstrip("/"),
        partition_by=spec.partition_by,
    )
    rows = run_buckets(spark, work, plans, "file string").collect()
    return sorted((json.loads(row.file) for row in rows), key=lambda file: file["path"])


def _files_of_bucket(
    bucket: int, sources: dict[str, Iterator[pa.RecordBatch]], schemas: dict[str, pa.Schema],
    kernel: RowKernel, schema: pa.Schema, uri: str, partition_by: tuple[str, ...],
) -> Iterator[pa.RecordBatch]:  # fmt: skip
    for result in tables_of_bucket(bucket, sources, schemas, kernel):
        writer = SliceWriter(uri, schema, partition_by)
        records = [*writer.add(result.select(schema.names).cast(schema)), *writer.close()]
        files = pa.array([json.dumps(record) for record in records], pa.string())
        yield pa.record_batch({"file": files})


class SliceWriter:
    """Writes rows that come slice by slice: a file a slice, or more where it is large.

    Parameters
    ----------
    uri : str
        The table.
    schema : pyarrow.Schema
        Of the rows, with the partition columns.
    partition_by : tuple of str
        What makes a slice. Rows of a slice follow each other; where they do not, it gets
        several files.
    most_rows : int
        Rows of a file.
    """

    def __init__(
        self, uri: str, schema: pa.Schema, partition_by: tuple[str, ...], most_rows: int = 4_000_000
    ):
        self._uri, self._partition_by, self._most = uri.rstrip("/"), partition_by, most_rows
        self._data = pa.schema([f for f in schema if f.name not in partition_by])
        self._open: _OpenFile | None = None
        self._values: dict[str, str] = {}

    def add(self, table: pa.Table) -> Iterator[DataFileRecord]:
        """Take rows; what the log is to say of the files that were finished by them."""
        for values, part in _by_partition(table, self._partition_by):
            if self._open is not None and (values != self._values or self._open.rows >= self._most):
                yield from self.close()
            if self._open is None:
                self._open, self._values = _OpenFile(self._uri, values, self._data, part), values
            self._open.write(part)

    def close(self) -> Iterator[DataFileRecord]:
        """Finish the file that is open, if one is."""
        if self._open is not None:
            done, self._open = self._open.close(), None
            yield done


def _by_partition(
    table: pa.Table, columns: tuple[str, ...]
) -> Iterator[tuple[dict[str, str], pa.Table]]:
    """The rows of each combination of partition values, in the order in which they come."""
    data = table.drop_columns(list(columns))
    grouped = table.select(columns).group_by(list(columns), use_threads=False)
    found = grouped.aggregate([]).to_pylist()
    for values in found:
        part = data
        if len(found) > 1:
            masks = [
                pc.equal(table[name], pa.scalar(value, table.schema.field(name).type))
                for name, value in values.items()
            ]
            part = data.filter(reduce(pc.and_, masks))
        yield {name: str(value) for name, value in values.items()}, part


class _OpenFile:
    """A data file in the making: row groups as they fill up, bounds as they are known."""

    def __init__(self, uri: str, values: dict[str, str], schema: pa.Schema, first: pa.Table):
        folder = "/".join(f"{name}={value}" for name, value in values.items())
        self.rows = 0
        self._path, self._values = f"{folder}/part-{uuid.uuid4()}.snappy.parquet", values
        self._filesystem, root = filesystem_of(uri)
        self._full = f"{root}/{self._path}"
        if isinstance(self._filesystem, pafs.LocalFileSystem):
            self._filesystem.create_dir(f"{root}/{folder}", recursive=True)
        self._writer = pq.ParquetWriter(
            self._full,
            schema,
            filesystem=self._filesystem,
            compression="snappy",
            use_dictionary=_repeating(first),
            store_schema=False,
        )
        self._held: list[pa.Table] = []
        self._held_rows = 0
        self._bounds = _Bounds(schema)

    def write(self, table: pa.Table) -> None:
        self._held.append(table)
        self._held_rows += table.num_rows
        self.rows += table.num_rows
        if self._held_rows >= _GROUP_ROWS:
            self._flush()

    def close(self) -> DataFileRecord:
        self._flush()
        self._writer.close()
        return {
            "path": self._path,
            "size": self._filesystem.get_file_info(self._full).size,
            "partition_values": self._values,
            "modification_time": int(time.time() * 1000),
            "data_change": True,
            "stats": json.dumps(self._bounds.statistics()),
            "rows": self.rows,
        }

    def _flush(self) -> None:
        if self._held_rows:
            table = pa.concat_tables(self._held)
            self._bounds.add(table)
            self._writer.write_table(table, row_group_size=_GROUP_ROWS)
        self._held, self._held_rows = [], 0


def _repeating(table: pa.Table) -> list[str]:
    """Paths of the leaves whose values repeat, by the first rows.

    Others, like times and ids, are larger with a dictionary than without, and the writer hashes
    every value before it gives the dictionary up.
    """
    first, paths = table.slice(0, _FIRST_ROWS), []
    for field in table.schema:
        if pa.types.is_list(field.type):
            paths.append(f"{field.name}.list.element")
        elif pa.types.is_map(field.type):
            paths += [f"{field.name}.key_value.key", f"{field.name}.key_value.value"]
        elif (
            pa.types.is_nested(field.type)
            or pc.count_distinct(first[field.name], mode="all").as_py()
            <= first.num_rows * _DISTINCT_SHARE
        ):
            paths.append(field.name)
    return paths


class _Bounds:
    """What lets readers leave a file out: rows, and bounds of times, integers and short texts."""

    def __init__(self, schema: pa.Schema):
        kinds = (pa.types.is_timestamp, pa.types.is_integer, pa.types.is_string)
        self._bounded = [f.name for f in schema if any(kind(f.type) for kind in kinds)]
        self._times = {f.name for f in schema if pa.types.is_timestamp(f.type)}
        self._rows = 0
        self._low: dict[str, Any] = {}
        self._high: dict[str, Any] = {}
        self._nulls = {f.name: 0 for f in schema if not pa.types.is_nested(f.type)}

    def add(self, table: pa.Table) -> None:
        self._rows += table.num_rows
        for name in self._nulls:
            self._nulls[name] += table[name].null_count
        for name in self._bounded:
            column = table[name].cast(pa.int64()) if name in self._times else table[name]
            bounds = pc.min_max(column)
            low, high = bounds["min"].as_py(), bounds["max"].as_py()
            if low is not None:
                self._low[name] = min(self._low.get(name, low), low)
                self._high[name] = max(self._high.get(name, high), high)

    def statistics(self) -> dict[str, Any]:
        spelled = {
            n: (self._spelled(n, self._low), self._spelled(n, self._high)) for n in self._low
        }
        known = {n: both for n, both in spelled.items() if None not in both}
        return {
            "numRecords": self._rows,
            "minValues": {n: low for n, (low, _) in known.items()},
            "maxValues": {n: high for n, (_, high) in known.items()},
            "nullCount": self._nulls,
        }

    def _spelled(self, name: str, bounds: dict[str, Any]) -> Any:
        """A bound as the log spells it, None where it has no spelling; times are cut to
        milliseconds, as the protocol says.
        """
        value = bounds[name]
        if name in self._times:
            if not 0 <= value < _LAST_YEAR:
                return None
            seconds, rest = divmod(value, 1_000_000)
            moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
            return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1000:03d}Z"
        return None if isinstance(value, str) and len(value) > _LONGEST_TEXT else value
