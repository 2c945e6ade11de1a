"""What an ingest has to do: which raw files are known, which are new, what changed in them."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from truelift.logs.live import settled, waits
from truelift.logs.manifest import (
    BronzeTable,
    IngestedFile,
    Manifest,
    held_rows,
    times_left,
    unrecorded,
    with_share,
)
from truelift.logs.redelivered import (
    KnownContent,
    Redelivered,
    find_redelivered,
    refuse_redelivered,
)
from truelift.logs.sources.columns import CORRUPT, OTHER, PROVENANCE, held_name
from truelift.logs.sources.mapping import refuse_misspelt, require_one_meaning, wanted_columns
from truelift.logs.sources.planning import SourceFile, find_streams, plan_file, with_mapped
from truelift.logs.sources.unit import Unit
from truelift.settings import Settings, SourceOptions

# Hashing waits for the disk or the network more than for a core.
_READERS = 8

__all__ = ["Intake", "KnownContent", "drift", "entry", "find_contents", "plan_intake"]


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
        Columns that bronze lacks, and those that it or another file has, or the settings name,
        and a fresh file has not.
    redelivered : Redelivered
        Files that came again with other content.
    recorded : tuple of IngestedFile
        What is known of the files that bronze holds or held.
    leaving : tuple of IngestedFile
        Those of their earlier contents that are to leave bronze.
    waiting : tuple of str
        Files whose last line has no line end yet.
    again : tuple of str
        What tells this append of contents that were in bronze before from the first one.
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
    redelivered: Redelivered = field(default_factory=Redelivered)
    recorded: tuple[IngestedFile, ...] = ()
    leaving: tuple[IngestedFile, ...] = ()
    waiting: tuple[str, ...] = ()
    again: tuple[str, ...] = ()


def find_contents(source: SourceOptions, manifest: Manifest) -> dict[str, list[KnownContent]]:
    """Every stream's files with their fingerprints.

    A file whose path, size and time are in the manifest is not read. Of one that is still
    written, the last line waits for its end.
    """
    known = manifest.checksums()
    streams = find_streams(source)

    def identified(file: SourceFile) -> KnownContent | None:
        held = known.get((file.label, file.raw.size, file.modified))
        if held is not None:
            return KnownContent(file, held)
        taken = settled(file, source.settle_seconds)
        if taken is None:
            return None
        return KnownContent(taken, taken.checksum(), waits(file, taken))

    with ThreadPoolExecutor(_READERS) as pool:
        found = {stream: list(pool.map(identified, files)) for stream, files in streams.items()}
    return {stream: [c for c in contents if c is not None] for stream, contents in found.items()}


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
        For a new file that is not of its format or lacks a column that every file must have;
        for a mapped column that none has and one like it; for a corrected file, if those are
        to be refused.
    """
    held = manifest.of_table(stream, bronze)
    lost = _as_found(unrecorded(stream, bronze, held), contents, share)
    recorded = (*held, *lost)
    rows = held_rows(recorded)
    batches = {with_share(c.checksum, share): c for c in contents}
    fresh = tuple(c for batch, c in batches.items() if batch not in rows)
    units: list[Unit] = []
    for c in fresh:
        units += plan_file(settings.source, stream, c.file, with_share(c.checksum, share))
    wanted = wanted_columns(settings.source, stream)
    require_one_meaning(wanted, units)
    listed = {(f.path, f.size, f.modified) for f in recorded}
    moved = [
        entry(stream, c, share, bronze, bronze.version, 0)
        for c in contents
        if with_share(c.checksum, share) in rows
        and (c.file.label, c.file.raw.size, c.file.modified) not in listed
    ]
    there = (*bronze.columns, *(name for unit in units for name in unit.names))
    mapped = [held_name(name, there) for name in wanted.values()]
    new, missing = drift(bronze.columns, units, mapped)
    # Keys of JSON come and go; a header that lacks a column and has one like it is a slip.
    headers = [name for unit in units if unit.source != "jsonl" for name in unit.names]
    if headers:
        refuse_misspelt(wanted, (*bronze.columns, *headers))
    left, way = times_left(recorded), settings.source.redelivered
    again = find_redelivered(contents, recorded, share)
    if way == "refuse":
        refuse_redelivered(again, stream)
    return Intake(
        stream=stream,
        bronze=bronze,
        share=share,
        fresh=fresh,
        units=tuple(with_mapped(unit, settings.source, stream) for unit in units),
        unlisted=(*lost, *moved),
        known_rows=sum(rows.get(batch, 0) for batch in batches),
        new_columns=new,
        missing_columns=missing,
        redelivered=again,
        recorded=recorded,
        leaving=again.old if way == "replace" else (),
        waiting=tuple(c.file.label for c in contents if c.waits),
        again=tuple(f"{batch} {left[batch]}" for batch in batches if left.get(batch)),
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


def drift(
    held: Iterable[str], units: Iterable[Unit], mapped: Iterable[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Columns that files bring and the table lacks, and those that some file lacks.

    Parameters
    ----------
    held : iterable of str
        Columns of the bronze table; empty where there is none yet, and then nothing is new.
    units : iterable of Unit
        Units of the new files.
    mapped : iterable of str
        Columns that the settings name.

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
        for key, name in {**{n.lower(): n for n in mapped}, **union, **table}.items()
        if any(key not in names for names in files.values())
    )
    return new, missing
