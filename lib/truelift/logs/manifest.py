"""Which raw files bronze holds: ``ops.ingested_files``, read and written without Spark.

A row is written after the append to bronze that it tells of. What a crash left between the
two is found by the version of bronze: rows of versions that the manifest does not know are
looked at, and only these.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from truelift.lake.arrow_table import added_rows, append_rows, keep_small, read_rows
from truelift.lake.log import open_table, recent_commits
from truelift.lake.tables import table_spec
from truelift.logs.sources.columns import BATCH_ID, FILE_TIME, SOURCE_FILE

if TYPE_CHECKING:
    from truelift.lake import Lake

TABLE = "ops.ingested_files"
SCHEMA = table_spec("ops.ingested_files").arrow


@dataclass(frozen=True)
class IngestedFile:
    """A raw file that bronze holds.

    Attributes
    ----------
    stream, path : str
        Stream, and ``source_file`` of its rows.
    size : int or None
        In bytes; None where the row was made from bronze after a crash.
    modified : int or None
        When the file was last changed, in microseconds since 1970 (UTC).
    checksum, batch_id : str
        Fingerprint of the content, and the same with the sample's share.
    rows : int
        Rows appended to bronze. A known file that is seen under another path or time gets a
        row of its own with 0, so that rows add up; rows that have left bronze again are below 0.
    sample_share : float
        Share of users kept.
    table_id : str
        Delta's id of the bronze table; files of a table that was dropped are not known.
    table_version : int
        A version of bronze that holds the rows.
    """

    stream: str
    path: str
    size: int | None
    modified: int | None
    checksum: str
    batch_id: str
    rows: int
    sample_share: float
    table_id: str
    table_version: int


@dataclass(frozen=True)
class BronzeTable:
    """What the log says of one bronze table; ``version`` is -1 where there is none."""

    uri: str
    table_id: str
    version: int
    columns: tuple[str, ...]

    @staticmethod
    def of(lake: Lake, stream: str) -> BronzeTable:
        """The table of a stream as it stands."""
        uri = lake.uri(f"bronze.{stream}")
        table = open_table(uri)
        if table is None:
            return BronzeTable(uri, "", -1, ())
        names = tuple(field.name for field in table.schema().fields)
        return BronzeTable(uri, str(table.metadata().id), int(table.version()), names)


@dataclass(frozen=True)
class Manifest:
    """The rows of ``ops.ingested_files``."""

    files: tuple[IngestedFile, ...] = ()

    @staticmethod
    def read(lake: Lake) -> Manifest:
        """The manifest of a lake; empty where there is none yet."""
        table = read_rows(lake.uri(TABLE))
        if table is None:
            return Manifest()
        whole = table.select(SCHEMA.names).cast(SCHEMA)
        place = SCHEMA.get_field_index("modified")
        micros = whole.column("modified").cast(pa.int64())
        columns = whole.set_column(place, "modified", micros).to_pydict().values()
        return Manifest(tuple(IngestedFile(*row) for row in zip(*columns, strict=True)))

    def checksums(self) -> dict[tuple[str, int, int], str]:
        """Checksum by path, size and time of the last change."""
        return {
            (f.path, f.size, f.modified): f.checksum
            for f in self.files
            if f.size is not None and f.modified is not None
        }

    def of_table(self, stream: str, bronze: BronzeTable) -> tuple[IngestedFile, ...]:
        """Files of a stream that are in this very bronze table."""
        return tuple(
            f for f in self.files if f.stream == stream and f.table_id == bronze.table_id != ""
        )


def rows_by_batch(files: Iterable[IngestedFile]) -> dict[str, int]:
    """Rows in bronze by batch id."""
    rows: dict[str, int] = {}
    for file in files:
        rows[file.batch_id] = rows.get(file.batch_id, 0) + file.rows
    return rows


def held_rows(files: Iterable[IngestedFile]) -> dict[str, int]:
    """Rows in bronze by batch id, of the batches that have not left it again."""
    known = list(files)
    latest: dict[str, IngestedFile] = {}
    for file in known:
        before = latest.get(file.batch_id)
        if before is None or file.table_version >= before.table_version:
            latest[file.batch_id] = file
    rows = rows_by_batch(known)
    return {batch: rows[batch] for batch, file in latest.items() if file.rows >= 0}


def times_left(files: Iterable[IngestedFile]) -> dict[str, int]:
    """How often a batch has left bronze, by batch id."""
    return Counter(file.batch_id for file in files if file.rows < 0)


def unrecorded(
    stream: str, bronze: BronzeTable, known: Iterable[IngestedFile]
) -> tuple[IngestedFile, ...]:
    """Files in bronze that the manifest lacks: appended, and not recorded before a crash."""
    listed = list(known)
    held, last = held_rows(listed), max((f.table_version for f in listed), default=-1)
    if bronze.version <= last:
        return ()
    # Maintenance makes versions, and no fingerprint in their commits.
    later = recent_commits(bronze.uri, bronze.version - last)
    if last >= 0 and not any(c.fingerprint for c in later if c.version > last):
        return ()
    found = files_added(stream, bronze, bronze.version, last)
    return tuple(f for f in found if f.batch_id not in held)


def files_added(
    stream: str, bronze: BronzeTable, version: int, since: int
) -> tuple[IngestedFile, ...]:
    """Raw files whose rows came into bronze between two versions, as bronze itself tells."""
    keys = [BATCH_ID, SOURCE_FILE, FILE_TIME]
    counts: dict[tuple[str, str, datetime.datetime | None], int] = {}
    for batch in added_rows(bronze.uri, keys, version, since):
        present = [name for name in keys if name in batch.schema.names]
        grouped = pa.table(batch).group_by(present).aggregate([([], "count_all")])
        for row in grouped.to_pylist():
            key = (row[BATCH_ID], row[SOURCE_FILE], row.get(FILE_TIME))
            counts[key] = counts.get(key, 0) + row["count_all"]
    return tuple(
        IngestedFile(
            stream=stream,
            path=path,
            size=None,
            modified=None if time is None else _micros(time),
            checksum=batch_id.partition("@")[0],
            batch_id=batch_id,
            rows=rows,
            sample_share=share_of(batch_id),
            table_id=bronze.table_id,
            table_version=version,
        )
        for (batch_id, path, time), rows in sorted(counts.items(), key=lambda item: item[0][:2])
    )


def record(lake: Lake, files: Iterable[IngestedFile], batch_id: str) -> None:
    """Append rows to the manifest once."""
    rows = [astuple(f) for f in files]
    if not rows:
        return
    columns = zip(*rows, strict=True)
    arrays = [pa.array(c, kind) for c, kind in zip(columns, SCHEMA.types, strict=True)]
    uri = lake.uri(TABLE)
    table = pa.Table.from_arrays(arrays, schema=SCHEMA)
    keep_small(uri, append_rows(uri, table_spec(TABLE), table, batch_id))


def with_share(checksum: str, share: float) -> str:
    """A batch id: the content, and which share of its users was kept."""
    return checksum if share >= 1 else f"{checksum}@{share:g}"


def share_of(batch_id: str) -> float:
    """The share of users in a batch id."""
    return float(batch_id.partition("@")[2] or 1)


def _micros(time: datetime.datetime) -> int:
    since = time - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return since // datetime.timedelta(microseconds=1)
