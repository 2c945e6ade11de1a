"""What an ingest has to do: which raw files are known, which are new, what changed in them."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from truelift.logs.manifest import (
    BronzeTable,
    IngestedFile,
    Manifest,
    rows_by_batch,
    unrecorded,
    with_share,
)
from truelift.logs.sources.columns import CORRUPT, OTHER, PROVENANCE
from truelift.logs.sources.mapping import require_one_meaning, wanted_columns
from truelift.logs.sources.planning import SourceFile, find_streams, plan_file
from truelift.logs.sources.unit import Unit
from truelift.settings import Settings, SourceOptions

# Hashing waits for the disk or the network more than for a core.
_READERS = 8


@dataclass(frozen=True)
class KnownContent:
    """A raw file with the fingerprint of its content."""

    file: SourceFile
    checksum: str


@dataclass(frozen=True)
class Intake:
    """The work of an ingest on one stream.

    Attributes
    ----------
    stream : str
    bronze : BronzeTable
        The table as it stood when the work was planned.
    share : float
        Share of users to keep.
    fresh : tuple of KnownContent
        Files that bronze does not hold, one for each content.
    units : tuple of Unit
        Their units.
    unlisted : tuple of IngestedFile
        What the manifest lacks of files that bronze holds.
    known_rows : int
        Rows in bronze of the files found that it holds.
    new_columns, missing_columns : tuple of str
        Columns that bronze lacks, and those that it or another file has and a fresh file has
        not.
    """

    stream: str
    bronze: BronzeTable
    share: float
    fresh: tuple[KnownContent, ...]
    units: tuple[Unit, ...]
    unlisted: tuple[IngestedFile, ...]
    known_rows: int
    new_columns: tuple[str, ...]
    missing_columns: tuple[str, ...]


def find_contents(source: SourceOptions, manifest: Manifest) -> dict[str, list[KnownContent]]:
    """Every stream's files with their fingerprints.

    A file whose path, size and time are in the manifest is not read.
    """
    known = manifest.checksums()
    streams = find_streams(source)

    def identified(file: SourceFile) -> KnownContent:
        held = known.get((file.label, file.raw.size, file.modified))
        return KnownContent(file, held or file.checksum())

    with ThreadPoolExecutor(_READERS) as pool:
        return {stream: list(pool.map(identified, files)) for stream, files in streams.items()}


def plan_intake(
    settings: Settings,
    stream: str,
    contents: list[KnownContent],
    manifest: Manifest,
    bronze: BronzeTable,
    share: float,
) -> Intake:
    """Compare a stream's files with what bronze holds, and open those that are new.

    Raises
    ------
    SourceError
        For a new file that is not of its format or lacks a mapped column.
    """
    held = manifest.of_table(stream, bronze)
    lost = _as_found(unrecorded(stream, bronze, held), contents, share)
    rows = rows_by_batch((*held, *lost))
    batches = {with_share(c.checksum, share): c for c in contents}
    fresh = tuple(c for batch, c in batches.items() if batch not in rows)
    units: list[Unit] = []
    for c in fresh:
        units += plan_file(settings.source, stream, c.file, with_share(c.checksum, share))
    require_one_meaning(wanted_columns(settings.source, stream), units)
    listed = {(f.path, f.size, f.modified) for f in (*held, *lost)}
    moved = [
        entry(stream, c, share, bronze, bronze.version, 0)
        for c in contents
        if with_share(c.checksum, share) in rows
        and (c.file.label, c.file.raw.size, c.file.modified) not in listed
    ]
    new, missing = drift(bronze.columns, units)
    return Intake(
        stream=stream,
        bronze=bronze,
        share=share,
        fresh=fresh,
        units=tuple(units),
        unlisted=(*lost, *moved),
        known_rows=sum(rows.get(batch, 0) for batch in batches),
        new_columns=new,
        missing_columns=missing,
    )


def _as_found(
    lost: Iterable[IngestedFile], contents: Iterable[KnownContent], share: float
) -> tuple[IngestedFile, ...]:
    """Rows made from bronze, with the size and the time of the file where it is still there."""
    found = {(c.file.label, with_share(c.checksum, share)): c.file for c in contents}
    return tuple(
        replace(row, size=file.raw.size, modified=file.modified)
        if (file := found.get((row.path, row.batch_id)))
        else row
        for row in lost
    )


def entry(
    stream: str, known: KnownContent, share: float, bronze: BronzeTable, version: int, rows: int
) -> IngestedFile:
    """The manifest's row of a file."""
    return IngestedFile(
        stream=stream,
        path=known.file.label,
        size=known.file.raw.size,
        modified=known.file.modified,
        checksum=known.checksum,
        batch_id=with_share(known.checksum, share),
        rows=rows,
        sample_share=share,
        table_id=bronze.table_id,
        table_version=version,
    )


def drift(held: Iterable[str], units: Iterable[Unit]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Columns that files bring and the table lacks, and those that some file lacks.

    Parameters
    ----------
    held : iterable of str
        Columns of the bronze table; empty where there is none yet, and then nothing is new.
    units : iterable of Unit
        Units of the new files.

    Returns
    -------
    new, missing : tuple of str
        In the order of their first appearance; case does not count.
    """
    ours = {OTHER, CORRUPT, *PROVENANCE}
    table = {name.lower(): name for name in held if name not in ours}
    files = {
        (unit.batch_id, unit.source_file): {n.lower(): n for n in unit.names if n not in ours}
        for unit in units
    }
    union = {key: name for names in files.values() for key, name in names.items()}
    new = tuple(name for key, name in union.items() if key not in table) if table else ()
    missing = tuple(
        name
        for key, name in {**union, **table}.items()
        if any(key not in names for names in files.values())
    )
    return new, missing
