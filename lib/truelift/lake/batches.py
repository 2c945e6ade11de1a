"""Batches that leave a table again: their rows are found by ``batch_id``, in one commit."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from truelift.files.places import filesystem_of
from truelift.lake.arrow_table import takes_files
from truelift.lake.data_files import DataFileRecord, SliceWriter, add_actions
from truelift.lake.log import TAKEN_OUT, arrow_schema, open_table
from truelift.lake.writes import lost_race

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_KEY = "batch_id"
_BATCH = 100_000


def delete_batches(uri: str, batches: Collection[str], spark: Callable[[], SparkSession]) -> int:
    """Delete the rows of batches of an appended table; the version without them.

    Files that hold one are written again without it, and the rest stays as it is. Deleting
    what is not there makes no version.

    Parameters
    ----------
    uri : str
    batches : collection of str
    spark : callable
        Gives the session, for tables whose files only Spark can write.

    Raises
    ------
    JobFailure
        If another run has rewritten one of these files meanwhile; nothing is deleted.
    """
    if not takes_files(uri):
        listed = ", ".join(f"'{batch}'" for batch in sorted(batches))
        spark().sql(f"DELETE FROM delta.`{uri}` WHERE {_KEY} IN ({listed})").collect()
        return int(open_table(uri).version())
    table = open_table(uri)
    leaving = pa.array(sorted(batches), pa.string())
    removed: list[dict[str, Any]] = []
    written: list[DataFileRecord] = []
    for action in pa.table(table.get_add_actions(flatten=True)).to_pylist():
        if _holds(uri, action["path"], leaving):
            removed.append(action)
            written += _rest(uri, action["path"], arrow_schema(table), leaving)
    if removed:
        _commit(table, uri, removed, written)
    return int(open_table(uri).version())


def _holds(uri: str, path: str, leaving: pa.Array) -> bool:
    return any(
        pc.any(pc.is_in(rows.column(0), leaving)).as_py() for rows in _rows(uri, path, [_KEY])
    )


def _rest(uri: str, path: str, schema: pa.Schema, leaving: pa.Array) -> Iterator[DataFileRecord]:
    """New files with the other rows of a file."""
    plain = pa.schema([(field.name, _plain(field.type)) for field in schema])
    writer = SliceWriter(uri, plain, ())
    for rows in _rows(uri, path, None):
        kept = pa.table(rows).filter(pc.invert(pc.is_in(rows.column(_KEY), leaving)))
        if kept.num_rows:
            columns = [
                kept[field.name].cast(field.type)
                if field.name in kept.schema.names
                else pa.nulls(kept.num_rows, field.type)
                for field in plain
            ]
            yield from writer.add(pa.table(columns, schema=plain))
    yield from writer.close()


def _rows(uri: str, path: str, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    system, root = filesystem_of(uri.rstrip("/"))
    with system.open_input_file(f"{root}/{path}") as stream:
        parquet = pq.ParquetFile(stream)
        yield from parquet.iter_batches(_BATCH, columns=columns, use_threads=False)


def _plain(kind: pa.DataType) -> pa.DataType:
    """Text as Arrow's own kind of it; the log gives another."""
    texts = (pa.types.is_string_view, pa.types.is_large_string)
    return pa.string() if any(of(kind) for of in texts) else kind


def _commit(
    table: Any, uri: str, removed: list[dict[str, Any]], written: list[DataFileRecord]
) -> None:
    from deltalake import CommitProperties
    from deltalake.exceptions import CommitFailedError
    from deltalake.transaction import RemoveAction

    now = int(time.time() * 1000)
    gone = [RemoveAction(a["path"], True, now, a["size_bytes"], {}) for a in removed]
    metadata = {"userMetadata": json.dumps({TAKEN_OUT: True})}
    try:
        table.create_write_transaction(
            [*add_actions(written), *gone],
            "append",
            table.schema(),
            partition_by=[],
            commit_properties=CommitProperties(custom_metadata=metadata),
        )
    except CommitFailedError as error:
        raise lost_race(uri) from error
