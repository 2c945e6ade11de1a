"""Tables of the lake, read and appended as Arrow rows, without Spark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from truelift.errors import JobFailure
from truelift.files.places import filesystem_of, storage_uri
from truelift.lake.commit_ids import new_commit_id, taken, user_metadata
from truelift.lake.data_files import DataFileRecord, add_actions, opened_for_files
from truelift.lake.log import live_files, open_table, recent_commits
from truelift.lake.tables import PLAIN_WRITER_FEATURES, TableSpec
from truelift.lake.writes import Commit, application_of

_BATCH = 500_000
# Row groups are what Spark and the scan plans share out to tasks.
_GROUP_ROWS = 131_072
# An append is a file, and many small ones take long to open.
_COMPACT_EVERY = 100


def read_rows(uri: str) -> pa.Table | None:
    """All rows of the newest version, or None where there is no table.

    For tables without partitions.
    """
    table = open_table(uri)
    if table is None:
        return None
    parts = [pa.schema(table.schema().to_arrow()).empty_table()]
    for file in live_files(table, uri):
        system, path = filesystem_of(file.uri)
        with system.open_input_file(path) as stream:
            parts.append(pq.ParquetFile(stream).read(use_threads=False))
    return pa.concat_tables(parts, promote_options="permissive")


def takes_rows(uri: str) -> bool:
    """Whether :func:`append_rows` can write to what is there, be it nothing."""
    table = open_table(uri)
    return table is None or set(table.protocol().writer_features or ()) <= PLAIN_WRITER_FEATURES


def takes_files(uri: str) -> bool:
    """Whether tasks can write files for :func:`append_files` to what is there, be it nothing."""
    return opened_for_files(uri, ())[0]


def append_rows(
    uri: str, spec: TableSpec, rows: pa.Table | pa.RecordBatchReader, batch_id: str
) -> Commit:
    """Append rows once, as :func:`truelift.lake.writes.append_batch` does with Spark.

    The table is made by its first rows, and new columns are added to it.

    Parameters
    ----------
    rows : Table or RecordBatchReader
        A stream is written as it comes and is never held as a whole.
    batch_id : str
        A fingerprint of the rows. A batch that the table has seen is left out.

    Returns
    -------
    Commit
        With ``rows`` 0 where it was skipped.

    Raises
    ------
    JobFailure
        If another run made the table meanwhile, with other rows.
    """
    from deltalake import WriterProperties, write_deltalake

    def write(table: Any, properties: Any) -> None:  # noqa: ARG001
        write_deltalake(
            storage_uri(uri),
            rows,
            mode="append",
            schema_mode="merge",
            configuration=spec.properties(),
            writer_properties=WriterProperties(
                compression="SNAPPY", max_row_group_size=_GROUP_ROWS
            ),
            commit_properties=properties,
        )

    return _append(uri, spec, batch_id, write)


def append_files(
    uri: str, spec: TableSpec, schema: pa.Schema, files: Sequence[DataFileRecord], batch_id: str
) -> Commit:
    """Append data files that tasks have written (:mod:`truelift.lake.data_files`), once.

    The table is made by its first files. Columns of ``schema`` that it lacks are added before, in
    a commit of their own. Where the batch is skipped the files belong to no version: it is for the
    caller to discard them.

    Raises
    ------
    JobFailure
        As for :func:`append_rows`.
    """
    from deltalake import Schema
    from deltalake.transaction import create_table_with_add_actions

    added, columns = add_actions(files), Schema.from_arrow(schema)

    def write(table: Any, properties: Any) -> None:
        if table is None:
            create_table_with_add_actions(
                storage_uri(uri), columns, added, "error", partition_by=[],
                configuration=spec.properties(), commit_properties=properties,
            )  # fmt: skip
            return
        held = {field.name for field in table.schema().fields}
        if new := [field for field in columns.fields if field.name not in held]:
            table.alter.add_columns(new)
        table.create_write_transaction(
            added, "append", table.schema(), commit_properties=properties
        )

    commit = _append(uri, spec, batch_id, write)
    return commit if commit.skipped else replace(commit, rows=sum(f["rows"] for f in files))


def _append(uri: str, spec: TableSpec, batch_id: str, write: Callable[[Any, Any], None]) -> Commit:
    """``write(table, commit properties)``, unless the table has seen the batch."""
    from deltalake import CommitProperties, Transaction
    from deltalake.exceptions import CommitFailedError, DeltaError

    application = f"{application_of(spec)}/{batch_id}"
    table = open_table(uri)
    if _has_seen(table, application):
        return Commit(spec.name, int(table.version()), 0, skipped=True)
    commit_id = new_commit_id()
    properties = CommitProperties(
        custom_metadata={"userMetadata": user_metadata(commit_id, {"fingerprint": batch_id})},
        app_transactions=[Transaction(application, 1)],
        # Of two runs that make the table, one has to fail: a second attempt would
        # come after the other's first version, and not see its batches.
        max_commit_retries=0 if table is None else None,
    )
    try:
        write(table, properties)
    except DeltaError as error:
        newest = open_table(uri)
        if _has_seen(newest, application):
            return Commit(spec.name, int(newest.version()), 0, skipped=True)
        made_meanwhile = table is None and newest is not None
        if not made_meanwhile and not isinstance(error, CommitFailedError):
            raise
        raise JobFailure(
            f"{spec.name}: another run wrote to it meanwhile, and nothing of this one was "
            f"published in it ({error}). Run again."
        ) from error
    found = next((c for c in recent_commits(uri) if c.commit == commit_id), None)
    if found is None:
        raise taken(uri, spec.name)
    return Commit(spec.name, found.version, found.rows, skipped=False, id=commit_id)


def _has_seen(table: Any, application: str) -> bool:
    return table is not None and table.transaction_version(application) is not None


def keep_small(uri: str, commit: Commit) -> None:
    """Make one file of a small table's many, every hundred appends."""
    if (commit.version + 1) % _COMPACT_EVERY == 0:
        open_table(uri).optimize.compact()


def added_rows(
    uri: str, columns: Sequence[str], version: int, since: int
) -> Iterator[pa.RecordBatch]:
    """Rows of the data files that a version has and an earlier one had not.

    Parameters
    ----------
    columns : sequence of str
        They come dictionary-encoded; a column that a file lacks is left out.
    version, since : int
        Versions of the table. With a negative ``since``, or one whose log is gone, all files
        of the version are read.
    """
    before = _paths(uri, since)
    for file in live_files(open_table(uri, version), uri):
        if file.uri in before:
            continue
        system, path = filesystem_of(file.uri)
        with system.open_input_file(path) as stream:
            footer = pq.read_metadata(stream)
            present = [name for name in columns if name in footer.schema.names]
            parquet = pq.ParquetFile(stream, metadata=footer, read_dictionary=present)
            yield from parquet.iter_batches(_BATCH, columns=present, use_threads=False)


def _paths(uri: str, version: int) -> set[str]:
    from deltalake.exceptions import DeltaError

    if version < 0:
        return set()
    try:
        table: Any = open_table(uri, version)
        return {file.uri for file in live_files(table, uri)}
    except (DeltaError, OSError):
        return set()
