"""A Delta table as a source: its live data files are the raw files.

Data files of a Delta table never change, so a file is known by its path in the table. An
append adds files, and only these are new. A rewrite (OPTIMIZE, UPDATE, MERGE) makes new files
of old rows; they come in again, and cleaning removes them as duplicates.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from truelift.errors import SourceError
from truelift.files.raw import RawFile
from truelift.lake.log import live_files, open_table, reads_directly
from truelift.logs.sources import parquet_rows
from truelift.logs.sources.columns import as_text, bronze_names, text_batch
from truelift.logs.sources.file_format import FileFormat
from truelift.logs.sources.inside import names_inside
from truelift.logs.sources.unit import Unit


def find(path: str, key: str, version: int | None = None) -> list[RawFile]:
    """The data files of a table's version (the newest by default), sorted by URI.

    Raises
    ------
    SourceError
        If there is no table or no such version, or its files do not hold its rows as they
        are (deletion vectors, column mapping).
    """
    uri = path if urlsplit(path).scheme else os.path.abspath(os.path.expanduser(path))
    table = _open(uri, key, version)
    direct, reason = reads_directly(table)
    if not direct:
        raise SourceError(
            f"{key}: {path} cannot be read file by file: {reason}. Give a copy without it "
            "(for deletion vectors: REORG TABLE ... APPLY (PURGE), then switch them off)."
        )
    columns = json.dumps([field.name for field in table.schema().fields])
    actions = pa.table(table.get_add_actions(flatten=True)).to_pydict()
    changed = dict(zip(map(unquote, actions["path"]), actions["modification_time"], strict=True))
    root = f"{uri.rstrip('/')}/"
    files = []
    for file in live_files(table, uri):
        name = file.uri.removeprefix(root)
        details = {"columns": columns, "partition": json.dumps(file.partition)}
        files.append(RawFile(file.uri, name, file.size, _nanoseconds(changed[name]), details))
    if not files:
        raise SourceError(f"{key}: the Delta table {path} is empty. Expected rows.")
    return files


def identify(file: RawFile) -> str:
    """The batch of a data file, by its path in the table; its content is not read."""
    return hashlib.blake2b(f"{file.name}\n{file.size}".encode(), digest_size=12).hexdigest()


def header(file: RawFile, options: dict[str, str]) -> list[str]:
    """The table's columns, and what is wanted from inside of them.

    A file written before a column was added lacks it.
    """
    found = parquet_rows.header(file, options)
    inside = [name for name in json.loads(options.get("wanted", "[]")) if name in found]
    own = json.loads(file.details["columns"])
    return [*own, *(name for name in inside if name not in own)]


def units(file: RawFile, source_file: str, batch_id: str, options: dict[str, str]) -> list[Unit]:
    """Units of a data file from its footer."""
    planned = parquet_rows.units(file, source_file, batch_id, {**options, **file.details})
    own = bronze_names(json.loads(file.details["columns"]))
    inside = json.loads(planned[0].options.get("inside", "[]")) if planned else []
    names = (*own, *names_inside(inside, own))
    return [replace(unit, source="delta", names=names) for unit in planned]


def read(unit: Unit) -> Iterator[pa.RecordBatch]:
    """Rows of one unit as text, with the partition's values and nulls for what is missing."""
    constants = json.loads(unit.options["partition"])
    columns = json.loads(unit.options["columns"])
    for part, rows in parquet_rows.typed_batches(unit):
        texts = [
            as_text(part.column(place))
            if (place := part.schema.get_field_index(name)) >= 0
            else pa.repeat(pa.scalar(constants.get(name), pa.string()), part.num_rows)
            for name in columns
        ]
        texts += parquet_rows.texts_inside(unit, part)
        yield text_batch(unit.names, texts, unit.source_file, rows)


def _open(uri: str, key: str, version: int | None) -> Any:
    from deltalake.exceptions import DeltaError

    try:
        table = open_table(uri, version)
    except (DeltaError, OSError) as error:
        wanted = "" if version is None else f" at version {version} (source.version)"
        raise SourceError(f"{key}: {uri} cannot be opened{wanted}: {error}") from error
    if table is None:
        raise SourceError(f"{key}: there is no Delta table at {uri}. Give the table's folder.")
    return table


def _nanoseconds(value: Any) -> int:
    """A commit's time, which deltalake gives as an instant or as milliseconds."""
    return int(value) * 10**6 if isinstance(value, int) else int(value.timestamp() * 1000) * 10**6


#: The row of the registry.
DELTA = FileFormat("delta", header, units, read, identify=identify)
