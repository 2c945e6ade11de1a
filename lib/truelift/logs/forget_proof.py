"""Proof that a person is forgotten: every data file that is left is read and searched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from truelift.errors import InvariantError
from truelift.files.places import filesystem_of
from truelift.lake.tables import TABLES
from truelift.logs.parsing import BLANKS
from truelift.logs.person import Person, people_columns, words_of
from truelift.logs.sources.columns import CORRUPT

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.settings import SourceOptions

_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Searched:
    """What the search of the files came to.

    Attributes
    ----------
    files : int
        Data files, live or not; each was read whole.
    namesakes : dict of str to int
        Columns of other things (a quantity, a campaign) that hold the same text as one of the
        person's names, with their rows: ``bronze.events.quantity``.
    """

    files: int
    namesakes: dict[str, int]


def prove_forgotten(job: Job, person: Person) -> Searched:
    """Search every data file below the lake for a person.

    A key that is a pseudonym may stand nowhere. A name may not stand where people do, nor as a
    word in a torn record, nor in a column that the table should not have; elsewhere the same
    text is another thing's, and is counted.

    Raises
    ------
    InvariantError
        Naming the file and the column that still hold the person.
    """
    filesystem, root = filesystem_of(job.lake.root)
    paths = data_files(job.lake.root)
    namesakes: Counter[str] = Counter()
    for path in paths:
        table = table_of(path, root)
        for batch, people in batches_of(filesystem, path, table, job.settings.source):
            for column, is_theirs, rows in findings(batch, table, people, person):
                if is_theirs:
                    raise InvariantError(f"{path}: the column {column!r} still holds the person.")
                namesakes[f"{table}.{column}"] += rows
    return Searched(len(paths), dict(sorted(namesakes.items())))


def data_files(root: str) -> list[str]:
    """Paths of all data files below a lake, live or not."""
    filesystem, path = filesystem_of(root)
    listed = filesystem.get_file_info(pafs.FileSelector(path, recursive=True, allow_not_found=True))
    data = (f for f in listed if f.type == pafs.FileType.File and f.path.endswith(".parquet"))
    return sorted(f.path for f in data if "/_delta_log/" not in f.path)


def table_of(path: str, root: str) -> str:
    """The table in whose folder a file lies: ``gold.scores``."""
    return ".".join(path[len(root) :].strip("/").split("/")[:2])


def batches_of(
    filesystem: pafs.FileSystem, path: str, table: str, source: SourceOptions
) -> Iterator[tuple[pa.RecordBatch, frozenset[str]]]:
    """The batches of a file, each with the columns that hold people and nothing else."""
    file = pq.ParquetFile(path, filesystem=filesystem)
    people = people_columns(source, table, file.schema_arrow.names)
    for batch in file.iter_batches(_BATCH_ROWS):
        if table in ("silver.quarantine", "ops.refused"):
            named = people_columns(source, "bronze.events", _raw_keys(batch))
            people |= {f"raw.{name}" for name in named}
        yield batch, people


def findings(
    batch: pa.RecordBatch, table: str, people: frozenset[str], person: Person
) -> Iterator[tuple[str, bool, int]]:
    """Columns of a batch with the person's texts: is it the person, and in how many rows."""
    names, keys = pa.array(sorted(person.names)), pa.array(sorted(person.keys))
    own = pa.concat_arrays([names, keys])
    for column, texts in _texts(batch):
        if column == "unit_id":
            found = _units_of(batch, texts, person)
        elif column.removeprefix("raw.") == CORRUPT:
            found = sum(words_of(texts, person.names))
        else:
            found = _equal(texts, own)
        if not found:
            continue
        theirs = column in {*people, "unit_id", CORRUPT, f"raw.{CORRUPT}"}
        theirs = theirs or not _known(table, column)
        theirs = theirs or (person.pseudonymous and _equal(texts, keys) > 0)
        yield column, theirs, found


def _known(table: str, column: str) -> bool:
    """Whether a column is one that the table should have, and that holds other things."""
    if table.startswith("bronze."):
        return True
    spec = TABLES.get(table)
    return spec is not None and column.partition(".")[0] in spec.names


def _equal(texts: pa.Array, wanted: pa.Array) -> int:
    bare = pc.utf8_trim(texts, characters=BLANKS)
    return pc.sum(pc.is_in(bare, value_set=wanted)).as_py() or 0


def _units_of(batch: pa.RecordBatch, texts: pa.Array, person: Person) -> int:
    """Rows whose unit is ``campaign:user_key`` of the person.

    Keys may hold colons, so a row that names its own user is believed: the unit ``c:a:b`` of a
    user ``a:b`` is not one of the user ``b``.
    """
    found = 0
    for key in person.keys:
        hits = pc.fill_null(pc.ends_with(texts, f":{key}"), False)
        rows = batch.filter(hits)
        named = "user_key" in batch.schema.names
        owners = rows.column("user_key").to_pylist() if named else [None] * rows.num_rows
        units = texts.filter(hits).to_pylist()
        found += sum(
            owner is None or owner in person.keys or not unit.endswith(f":{owner}")
            for unit, owner in zip(units, owners, strict=True)
        )
    return found


def _raw_keys(batch: pa.RecordBatch) -> list[str]:
    """The columns of the raw records that a batch of rejected rows holds."""
    place = batch.schema.get_field_index("raw")
    if place < 0 or not pa.types.is_map(batch.schema.field(place).type):
        return []
    return list(pc.unique(batch.column(place).keys).to_pylist())


def _texts(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.Array]]:
    """Every text of a batch with its column; the entries of ``raw`` under their own keys."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if name == "raw" and pa.types.is_map(column.type):
            for key in pc.unique(column.keys).to_pylist():
                yield f"raw.{key}", column.items.filter(pc.equal(column.keys, key))
        else:
            for texts in _flat(column):
                yield name, texts.cast(pa.string())


def _flat(column: pa.Array) -> Iterator[pa.Array]:
    """The texts in a column, in lists and maps too."""
    kind = column.type
    if pa.types.is_map(kind):
        yield from _flat(column.items)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _flat(column.flatten())
    elif pa.types.is_dictionary(kind):
        yield from _flat(column.dictionary_decode())
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield column
