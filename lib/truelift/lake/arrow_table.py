"""Small tables of the lake, read and appended as Arrow tables, without Spark."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from truelift.lake.log import (
    filesystem_of,
    live_files,
    open_table,
    storage_uri,
)

_PROPERTIES = {
    "delta.enableDeletionVectors": "false",
    "delta.setTransactionRetentionDuration": "interval 3650 days",
}
_BATCH = 500_000
# An append is a file of a few rows; many of them take long to open.
_COMPACT_EVERY = 100


def read_rows(uri: str) -> pa.Table | None:
    """All rows of the newest version, or None where there is no table."""
    table = open_table(uri)
    return None if table is None else pa.table(table.to_pyarrow_table())


def append_rows(uri: str, rows: pa.Table, batch_id: str) -> bool:
    """Append rows once; the table is made by its first rows, new columns are added.

    Parameters
    ----------
    batch_id : str
        A fingerprint of the rows. A batch that the table has seen is left out.

    Returns
    -------
    bool
        Whether rows were written.
    """
    from deltalake import CommitProperties, Transaction, write_deltalake

    application = f"truelift/{batch_id}"
    table = open_table(uri)
    if table is not None and table.transaction_version(application) is not None:
        return False
    write_deltalake(
        storage_uri(uri),
        rows,
        mode="append",
        schema_mode="merge",
        configuration=_PROPERTIES,
        commit_properties=CommitProperties(
            custom_metadata={"userMetadata": json.dumps({"fingerprint": batch_id})},
            app_transactions=[Transaction(application, 1)],
        ),
    )
    if table is not None and (table.version() + 2) % _COMPACT_EVERY == 0:
        open_table(uri).optimize.compact()
    return True


def added_rows(
    uri: str, columns: Sequence[str], version: int, since: int
) -> Iterator[pa.RecordBatch]:
    """Rows of the data files that a version has and an earlier one had not.

    Parameters
    ----------
    columns : sequence of str
        Text columns come dictionary-encoded; a column that a file lacks is left out.
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
            yield from parquet.iter_batches(_BATCH, columns=present)


def _paths(uri: str, version: int) -> set[str]:
    from deltalake.exceptions import DeltaError

    if version < 0:
        return set()
    try:
        return {file.uri for file in live_files(open_table(uri, version), uri)}
    except (DeltaError, OSError):
        return set()
