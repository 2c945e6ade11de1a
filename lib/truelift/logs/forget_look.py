"""Every place of a lake where a person is, looked for before anything is deleted.

A proof that fails after the deletion comes too late: the person is half gone. So all data files are
searched first, with the eyes of the proof. What the deletion of rows takes out, and the copies under
``work/``, may hold the person; anything else stands in the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from truelift.errors import TableError
from truelift.files.places import filesystem_of
from truelift.lake.copies import WORK
from truelift.lake.log import live_files, open_table
from truelift.lake.tables import TABLES
from truelift.logs.forget_proof import batches_of, data_files, findings, table_of
from truelift.logs.parsing import BLANKS
from truelift.logs.person import Person, words_of
from truelift.logs.sources.columns import CORRUPT

if TYPE_CHECKING:
    from truelift.job import Job


@dataclass(frozen=True)
class Places:
    """Where a person is besides the rows that the tables are asked for.

    Attributes
    ----------
    copies : tuple of str
        Copies under ``work/`` that hold the person.
    obstacles : tuple of str
        Files and columns out of which the deletion of rows does not take the person.
    """

    copies: tuple[str, ...]
    obstacles: tuple[str, ...]


def look_for(job: Job, person: Person) -> Places:
    """Search the files that the newest versions of the tables are made of, and all other files."""
    lake, source = job.lake, job.settings.source
    filesystem, root = filesystem_of(lake.root)
    live = {
        name: {filesystem_of(f.uri)[1] for f in live_files(table, lake.uri(name))}
        for name in (*TABLES, *lake.panels())
        if (table := open_table(lake.uri(name))) is not None
    }
    copies: set[str] = set()
    obstacles: list[str] = []
    for path in data_files(lake.root):
        table = table_of(path, root)
        if table in live and path not in live[table]:
            continue  # of an older version alone: purged with it
        for batch, people in batches_of(filesystem, path, table, source):
            rest = _left(batch, table, people, person) if table in live else batch
            held = [c for c, theirs, _ in findings(rest, table, people, person) if theirs]
            if not held:
                continue
            if table.startswith(f"{WORK}."):
                copies.add(table.partition(".")[2])
            else:
                obstacles += [f"{table if table in live else path}: the column {c!r}" for c in held]
    return Places(tuple(sorted(copies)), tuple(dict.fromkeys(obstacles)))


def require_reachable(places: Places) -> None:
    """Refuse to begin what could not be finished.

    Raises
    ------
    TableError
        Naming every place out of which the person would not go.
    """
    if places.obstacles:
        raise TableError(
            f"{'; '.join(places.obstacles)} hold{'s' if len(places.obstacles) == 1 else ''} the "
            "person, and the deletion of the person's rows does not reach that. Expected the person "
            "in rows with their own user_key or name alone. Delete that file or table, or take the "
            "column out, or move it out of the lake, then forget. Nothing was deleted."
        )


def _left(
    batch: pa.RecordBatch, table: str, people: frozenset[str], person: Person
) -> pa.RecordBatch:
    """The rows that stay: what :func:`~.person.condition_of` says, on Arrow's columns."""
    wanted = person.names if table.startswith("bronze.") else person.keys
    gone = pa.array([False] * batch.num_rows)
    for name in sorted(people & set(batch.schema.names)):
        texts = batch.column(name).cast(pa.string())
        if table.startswith("bronze."):
            texts = pc.utf8_trim(texts, characters=BLANKS)
        found = pc.fill_null(pc.is_in(texts, value_set=pa.array(sorted(wanted))), False)
        gone = pc.or_(gone, found)
    for texts in _torn(batch):
        gone = pc.or_(gone, pa.array(words_of(texts, person.names)))
    return batch.filter(pc.invert(gone))


def _torn(batch: pa.RecordBatch) -> list[pa.Array]:
    """Torn records: a text for each row, or null."""
    found = [batch.column(CORRUPT)] if CORRUPT in batch.schema.names else []
    place = batch.schema.get_field_index("raw")
    if place >= 0 and pa.types.is_map(batch.schema.field(place).type):
        raw = batch.column(place).to_pylist()
        found.append(pa.array([dict(row or ()).get(CORRUPT) for row in raw], pa.string()))
    return found
