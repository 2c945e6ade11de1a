"""Parquet files: row groups are the units, large ones in ranges of rows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from truelift.errors import SourceError
from truelift.files.places import filesystem_of
from truelift.files.raw import RawFile
from truelift.logs.sources.columns import as_text, bronze_names, text_batch
from truelift.logs.sources.file_format import FileFormat
from truelift.logs.sources.inside import found_inside, names_inside, text_inside
from truelift.logs.sources.unit import Unit

# A range is found by decoding what lies before it, so a row group is cut into few of them.
_RANGE_ROWS = 200_000
_MOST_RANGES = 8
_BATCH = 20_000


def header(file: RawFile, options: dict[str, str]) -> list[str]:
    """Top-level column names of the file's schema, and what is wanted from inside of them."""
    schema = _open(file.uri).schema_arrow
    return [*schema.names, *found_inside(json.loads(options.get("wanted", "[]")), schema)]


def units(file: RawFile, source_file: str, batch_id: str, options: dict[str, str]) -> list[Unit]:
    """Units of a file from its footer."""
    footer = _open(file.uri)
    schema = footer.schema_arrow
    inside = found_inside(json.loads(options.get("wanted", "[]")), schema)
    names = bronze_names(schema.names)
    names = (*names, *names_inside(inside, names))
    known = {**options, "inside": json.dumps(inside)} if inside else options
    result, offset = [], 0
    for group in range(footer.metadata.num_row_groups):
        rows = footer.metadata.row_group(group).num_rows
        size = max(_RANGE_ROWS, math.ceil(rows / _MOST_RANGES))
        for first in range(0, rows, size):
            result.append(
                Unit(
                    "parquet", file.uri, source_file, batch_id, names, row_group=group,
                    first_row=first, rows=min(size, rows - first), row_offset=offset,
                    options=known,
                )
            )  # fmt: skip
        offset += rows
    return result


def read(unit: Unit) -> Iterator[pa.RecordBatch]:
    """Rows of one unit as text."""
    for part, rows in typed_batches(unit):
        texts = [as_text(column) for column in part.columns]
        texts += texts_inside(unit, part)
        yield text_batch(unit.names, texts, unit.source_file, rows)


def texts_inside(unit: Unit, part: pa.RecordBatch) -> list[pa.Array]:
    """What a unit takes from inside of its columns."""
    return [text_inside(part, name) for name in json.loads(unit.options.get("inside", "[]"))]


def typed_batches(unit: Unit) -> Iterator[tuple[pa.RecordBatch, pa.Array]]:
    """Rows of one unit as the file types them, and their numbers in the file."""
    at = 0
    for batch in _open(unit.uri).iter_batches(_BATCH, row_groups=[unit.row_group or 0]):
        first = max(unit.first_row - at, 0)
        last = min(unit.first_row + unit.rows - at, batch.num_rows)
        if first < last:
            start = unit.row_offset + at + first
            rows = pa.array(range(start, start + last - first), pa.int64())
            yield batch.slice(first, last - first), rows
        at += batch.num_rows
        if at >= unit.first_row + unit.rows:
            return


def _open(uri: str) -> pq.ParquetFile:
    system, path = filesystem_of(uri)
    try:
        return pq.ParquetFile(path, filesystem=system)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(
            f"{uri} cannot be read as Parquet: {error}. If it is no file of the source, give a "
            "pattern that leaves it out, such as 'folder/*.parquet'."
        ) from error


#: The row of the registry.
PARQUET = FileFormat("parquet", header, units, read, (".parquet",))
