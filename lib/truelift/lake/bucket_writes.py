"""Kernels that write a table's data files where they run; the driver commits them in one go.

Rows that a kernel has made are Arrow columns already. Handing them to Spark's writer turns them
into rows, sorts these by partition and turns them into columns again, which takes several times
as long as the kernel itself. Here each task writes Parquet files of whole (bucket, period)
slices and returns what Delta's log says of them; nothing is visible before the commit, and what
a failed or repeated task has left is a file that no version names (``maintain`` removes it).
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
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

_GROUP_ROWS = 131_072
_LONGEST_TEXT = 64


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
    from deltalake import CommitProperties, Transaction
    from deltalake.exceptions import CommitFailedError, DeltaError
    from deltalake.transaction import AddAction, create_table_with_add_actions

    application, sequence = application_of(spec), state.sequence + 1
    files = _written(spark, kernel, plans, uri, spec)
    adds = [AddAction(**{k: v for k, v in file.items() if k != "rows"}) for file in files]
    properties = CommitProperties(
        custom_metadata={"userMetadata": json.dumps(state_metadata(fingerprint, state, notes))},
        app_transactions=[Transaction(application, sequence)],
        max_commit_retries=0,
    )
    common: dict[str, Any] = {
        "partition_by": list(spec.partition_by), "commit_properties": properties
    }  # fmt: skip
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
) -> list[dict[str, Any]]:
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
        table = result.select(schema.names).cast(schema)
        files = [
            json.dumps(_write_file(part, values, uri))
            for values, part in _by_partition(table, partition_by)
        ]
        yield pa.record_batch({"file": pa.array(files, pa.string())})


def _by_partition(
    table: pa.Table, columns: tuple[str, ...]
) -> Iterator[tuple[dict[str, str], pa.Table]]:
    """The rows of each combination of partition values, in their order."""
    data = table.drop_columns(list(columns))
    for values in table.select(columns).group_by(list(columns)).aggregate([]).to_pylist():
        mask = None
        for name, value in values.items():
            mine = pc.equal(table[name], pa.scalar(value, table.schema.field(name).type))
            mask = mine if mask is None else pc.and_(mask, mine)
        yield {name: str(value) for name, value in values.items()}, data.filter(mask)


def _write_file(table: pa.Table, values: dict[str, str], uri: str) -> dict[str, Any]:
    folder = "/".join(f"{name}={value}" for name, value in values.items())
    path = f"{folder}/part-{uuid.uuid4()}.snappy.parquet"
    filesystem, root = filesystem_of(uri)
    if isinstance(filesystem, pafs.LocalFileSystem):
        filesystem.create_dir(f"{root}/{folder}", recursive=True)
    pq.write_table(
        table,
        f"{root}/{path}",
        filesystem=filesystem,
        row_group_size=_GROUP_ROWS,
        compression="snappy",
        store_schema=False,
    )
    return {
        "path": path,
        "size": filesystem.get_file_info(f"{root}/{path}").size,
        "partition_values": values,
        "modification_time": int(time.time() * 1000),
        "data_change": True,
        "stats": json.dumps(_statistics(table)),
        "rows": table.num_rows,
    }


def _statistics(table: pa.Table) -> dict[str, Any]:
    """What lets readers leave the file out: rows, and bounds of times, integers and short texts."""
    lowest: dict[str, Any] = {}
    highest: dict[str, Any] = {}
    for field in table.schema:
        kind = field.type
        if not (
            pa.types.is_timestamp(kind) or pa.types.is_integer(kind) or pa.types.is_string(kind)
        ):
            continue
        bounds = pc.min_max(table[field.name])
        found = [_bound(bounds[end]) for end in ("min", "max")]
        if None not in found:
            lowest[field.name], highest[field.name] = found
    nulls = {
        field.name: table[field.name].null_count
        for field in table.schema
        if not pa.types.is_nested(field.type)
    }
    return {
        "numRecords": table.num_rows, "minValues": lowest, "maxValues": highest, "nullCount": nulls
    }  # fmt: skip


def _bound(value: pa.Scalar) -> Any:
    """A bound as the log spells it; times are cut to milliseconds, as the protocol says."""
    if not value.is_valid:
        return None
    if pa.types.is_timestamp(value.type):
        found = value.cast(pa.timestamp("us", tz=value.type.tz)).as_py()
        return f"{found:%Y-%m-%dT%H:%M:%S}.{found.microsecond // 1000:03d}Z"
    plain = value.as_py()
    return None if isinstance(plain, str) and len(plain) > _LONGEST_TEXT else plain
