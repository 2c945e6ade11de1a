"""Tasks that write a table's data files where they run; the driver commits them in one go.

Rows that a kernel has made are Arrow columns already. Handing them to Spark's writer turns them
into rows, sorts these by partition and turns them into columns again, which takes several times
as long as the kernel itself. Here each task writes Parquet files of whole (bucket, period)
slices and returns what Delta's log says of them; nothing is visible before the commit, and what
a failed or repeated task has left is a file that no version names (``maintain`` removes it).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from truelift.files.places import storage_uri
from truelift.lake.commit_ids import new_commit_id, require_commit, user_metadata
from truelift.lake.data_files import DataFileRecord, SliceWriter, add_actions, opened_for_files
from truelift.lake.kernels import RowKernel, run_buckets, tables_of_bucket
from truelift.lake.log import arrow_schema, open_table
from truelift.lake.scan import ScanPlan
from truelift.lake.tables import TableSpec
from truelift.lake.writes import (
    Commit,
    TableState,
    application_of,
    lost_race,
    state_metadata,
    table_state,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def takes_buckets(uri: str, spec: TableSpec) -> bool:
    """Whether :func:`replace_by_kernel` can write to what is there, be it nothing.

    It cannot where tasks cannot write files (:func:`~.data_files.opened_for_files`), or the
    table has columns that Spark has to deal with.
    """
    if spec.is_open or spec.change_feed or not spec.partition_by:
        return False
    plain, table = opened_for_files(uri, spec.partition_by)
    return plain and (
        table is None or arrow_schema(table) == pa.schema(_delta_schema(spec).to_arrow())
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


def replace_by_rows(uri: str, spec: TableSpec, rows: pa.Table, fingerprint: str) -> Commit:
    """Make a table hold exactly these rows, which one process has: no session is needed.

    Raises
    ------
    JobFailure
        If another run writes meanwhile: nothing of this one is published.
    """
    state = table_state(uri)
    writer = SliceWriter(uri, spec.arrow, spec.partition_by)
    files = [*writer.add(rows.select(spec.names).cast(spec.arrow)), *writer.close()]
    return commit_files(uri, spec, files, fingerprint, state, {})


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
    from deltalake.transaction import create_table_with_add_actions

    application, adds = application_of(spec), add_actions(files)
    commit_id, metadata = new_commit_id(), state_metadata(fingerprint, state, notes)
    properties = CommitProperties(
        custom_metadata={"userMetadata": user_metadata(commit_id, metadata)},
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
    require_commit(uri, spec.name, version, commit_id)
    rows = sum(file["rows"] for file in files)
    return Commit(spec.name, version, rows, skipped=False, id=commit_id)


def _delta_schema(spec: TableSpec) -> Any:
    from deltalake import Schema

    return Schema.from_arrow(spec.arrow)


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
