"""CSV as a table: the separator is looked for, types are those that all rows of a column allow.

The driver reads the files as a whole. What is larger than its memory is written as Parquet first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.fs as pafs

from truelift.errors import TableError

_ENDINGS = re.compile(r"\.(csv|tsv|tab)(\.(gz|bz2|zst))?$", re.IGNORECASE)
_SEPARATORS = ",;\t|"


def is_csv(path: str) -> bool:
    """Whether a file is CSV, by its name."""
    return _ENDINGS.search(path) is not None


def read_csv(filesystem: pafs.FileSystem, paths: Sequence[str], name: str) -> pa.Table:
    """All files as one table; their first lines name the columns.

    Parameters
    ----------
    filesystem : pyarrow.fs.FileSystem
    paths : sequence of str
    name : str
        For messages.

    Raises
    ------
    TableError
        Naming the file, for one that is no CSV with a header.
    """
    parts = [_read(filesystem, path, name) for path in paths]
    if any(part.schema.names != parts[0].schema.names for part in parts):
        other = next(i for i, p in enumerate(parts) if p.schema.names != parts[0].schema.names)
        raise TableError(
            f"{name}: {paths[other]} has the columns {', '.join(parts[other].schema.names)}, "
            f"expected those of {paths[0]}: {', '.join(parts[0].schema.names)}."
        )
    return pa.concat_tables(parts, promote_options="permissive")


def _read(filesystem: pafs.FileSystem, path: str, name: str) -> pa.Table:
    try:
        with filesystem.open_input_stream(path, compression="detect") as stream:
            head = stream.read(1 << 16)
        separator = _separator(head)
        table = _parsed(filesystem, path, separator, ".")
        if separator == ";":
            table = _with_commas(table, _parsed(filesystem, path, separator, ","))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise TableError(
            f"{name}: {path} cannot be read as CSV ({error}). Expected UTF-8, a line of column "
            "names, and as many values in every line."
        ) from None
    if odd := [f.name for f in table.schema if pa.types.is_binary(f.type)]:
        raise TableError(
            f"{name}: {path} cannot be read as CSV: {', '.join(odd)} is not UTF-8. Write it anew as "
            "UTF-8 (iconv -f windows-1252 -t utf-8 does so for many files)."
        )
    columns = [_without_blanks(column) for column in table.columns]
    return pa.Table.from_arrays(columns, [n.strip() for n in table.column_names])


def _parsed(filesystem: pafs.FileSystem, path: str, separator: str, decimal_point: str) -> pa.Table:
    with filesystem.open_input_stream(path, compression="detect") as stream:
        return pacsv.read_csv(
            stream,
            parse_options=pacsv.ParseOptions(delimiter=separator, newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                decimal_point=decimal_point, strings_can_be_null=False
            ),
        )


def _separator(head: bytes) -> str:
    """The one that the first line has most of, outside of quotes."""
    line = next(iter(head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n").splitlines()), b"")
    bare = re.sub(r'"[^"]*"', "", line.decode("utf-8", "replace"))
    return max(_SEPARATORS, key=bare.count)


def _with_commas(points: pa.Table, commas: pa.Table) -> pa.Table:
    """Where only commas make numbers of a column, the numbers with commas."""
    for place, (found, other) in enumerate(zip(points.columns, commas.columns, strict=True)):
        if pa.types.is_string(found.type) and pa.types.is_floating(other.type):
            points = points.set_column(place, points.column_names[place], other)
    return points


def _without_blanks(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """An empty text as a null."""
    if not pa.types.is_string(column.type):
        return column
    empty = pc.equal(pc.utf8_trim_whitespace(column), "")
    return pc.if_else(empty, pa.scalar(None, pa.string()), column)
