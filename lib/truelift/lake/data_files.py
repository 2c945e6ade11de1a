"""Data files that a task writes by itself: Parquet, and what Delta's log is to say of each.

Nothing is visible before a commit names the files; what a failed or repeated task has left is a
file that no version names (``maintain`` removes it).
"""

from __future__ import annotations

import datetime
import json
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from truelift.files.places import filesystem_of
from truelift.lake.log import open_table
from truelift.lake.tables import PLAIN_WRITER_FEATURES

# What Delta's log is to say of a file, by deltalake's names, and its "rows".
DataFileRecord = dict[str, Any]
_GROUP_ROWS = 131_072
_LONGEST_TEXT = 64
# Rows by which a column's values are called repeating, and how many of them may be distinct.
_FIRST_ROWS, _DISTINCT_SHARE = 1024, 0.5
_LAST_YEAR = 253_402_300_800 * 1_000_000


def opened_for_files(uri: str, partition_by: tuple[str, ...]) -> tuple[bool, Any]:
    """Whether tasks can write a table's data files themselves, and the table, if there is one.

    They cannot where Arrow has no file system for the place, or the table has a feature, names
    of columns or partitions that Spark has to deal with.
    """
    try:
        filesystem_of(uri)
        table = open_table(uri)
    except (OSError, ValueError, pa.ArrowException):
        return False, None
    if table is None:
        return True, None
    metadata = table.metadata()
    plain = (
        set(table.protocol().writer_features or ()) <= PLAIN_WRITER_FEATURES
        and tuple(metadata.partition_columns) == partition_by
        and metadata.configuration.get("delta.columnMapping.mode", "none") == "none"
    )
    return plain, table


def add_actions(files: Iterable[DataFileRecord]) -> list[Any]:
    """The files as actions of a commit."""
    from deltalake.transaction import AddAction

    return [AddAction(**{k: v for k, v in file.items() if k != "rows"}) for file in files]


def discard_files(uri: str, files: Sequence[DataFileRecord]) -> None:
    """Delete files that were written and are not to be published, and folders thus emptied."""
    filesystem, root = filesystem_of(uri.rstrip("/"))
    for file in files:
        filesystem.delete_file(f"{root}/{file['path']}")
    if isinstance(filesystem, pafs.LocalFileSystem):
        _remove_emptied(Path(root), {Path(root, file["path"]).parent for file in files})


def _remove_emptied(root: Path, folders: Iterable[Path]) -> None:
    """Remove folders that are empty, and those above them, up to the one around the table."""
    for folder in folders:
        for place in (folder, *folder.parents):
            if not place.is_relative_to(root.parent):
                break
            try:
                place.rmdir()
            except OSError:  # It holds something, or another run was faster.
                break


class SliceWriter:
    """Writes rows that come slice by slice: a file a slice, or more where it is large.

    Parameters
    ----------
    uri : str
        The table.
    schema : pyarrow.Schema
        Of the rows, with the partition columns.
    partition_by : tuple of str
        What makes a slice, nothing for a table without partitions. Rows of a slice follow each
        other; where they do not, it gets several files.
    most_rows : int
        Rows of a file.
    """

    def __init__(
        self, uri: str, schema: pa.Schema, partition_by: tuple[str, ...], most_rows: int = 4_000_000
    ):
        self._uri, self._partition_by, self._most = uri.rstrip("/"), partition_by, most_rows
        self._data = pa.schema([f for f in schema if f.name not in partition_by])
        self._open: _OpenFile | None = None
        self._values: dict[str, str] = {}

    def add(self, table: pa.Table) -> Iterator[DataFileRecord]:
        """Take rows; what the log is to say of the files that were finished by them."""
        for values, part in _by_partition(table, self._partition_by):
            if self._open is not None and (values != self._values or self._open.rows >= self._most):
                yield from self.close()
            if self._open is None:
                self._open, self._values = _OpenFile(self._uri, values, self._data, part), values
            self._open.write(part)

    def close(self) -> Iterator[DataFileRecord]:
        """Finish the file that is open, if one is."""
        if self._open is not None:
            done, self._open = self._open.close(), None
            yield done


def _by_partition(
    table: pa.Table, columns: tuple[str, ...]
) -> Iterator[tuple[dict[str, str], pa.Table]]:
    """The rows of each combination of partition values, in the order in which they come."""
    if not columns:
        yield {}, table
        return
    data = table.drop_columns(list(columns))
    grouped = table.select(columns).group_by(list(columns), use_threads=False)
    found = grouped.aggregate([]).to_pylist()
    for values in found:
        part = data
        if len(found) > 1:
            masks = [
                pc.equal(table[name], pa.scalar(value, table.schema.field(name).type))
                for name, value in values.items()
            ]
            part = data.filter(reduce(pc.and_, masks))
        yield {name: str(value) for name, value in values.items()}, part


class _OpenFile:
    """A data file in the making: row groups as they fill up, bounds as they are known."""

    def __init__(self, uri: str, values: dict[str, str], schema: pa.Schema, first: pa.Table):
        folder = "".join(f"{name}={value}/" for name, value in values.items())
        self.rows = 0
        self._path, self._values = f"{folder}part-{uuid.uuid4()}.snappy.parquet", values
        self._filesystem, root = filesystem_of(uri)
        self._full = f"{root}/{self._path}"
        if isinstance(self._filesystem, pafs.LocalFileSystem):
            self._filesystem.create_dir(f"{root}/{folder}", recursive=True)
        self._writer = pq.ParquetWriter(
            self._full,
            schema,
            filesystem=self._filesystem,
            compression="snappy",
            use_dictionary=_repeating(first),
            store_schema=False,
        )
        self._held: list[pa.Table] = []
        self._held_rows = 0
        self._bounds = _Bounds(schema)

    def write(self, table: pa.Table) -> None:
        self._held.append(table)
        self._held_rows += table.num_rows
        self.rows += table.num_rows
        if self._held_rows >= _GROUP_ROWS:
            self._flush()

    def close(self) -> DataFileRecord:
        self._flush()
        self._writer.close()
        return {
            "path": self._path,
            "size": self._filesystem.get_file_info(self._full).size,
            "partition_values": self._values,
            "modification_time": int(time.time() * 1000),
            "data_change": True,
            "stats": json.dumps(self._bounds.statistics()),
            "rows": self.rows,
        }

    def _flush(self) -> None:
        if self._held_rows:
            table = pa.concat_tables(self._held)
            self._bounds.add(table)
            self._writer.write_table(table, row_group_size=_GROUP_ROWS)
        self._held, self._held_rows = [], 0


def _repeating(table: pa.Table) -> list[str]:
    """Paths of the leaves whose values repeat, by the first rows.

    Others, like times and ids, are larger with a dictionary than without, and the writer hashes
    every value before it gives the dictionary up.
    """
    first, paths = table.slice(0, _FIRST_ROWS), []
    for field in table.schema:
        if pa.types.is_list(field.type):
            paths.append(f"{field.name}.list.element")
        elif pa.types.is_map(field.type):
            paths += [f"{field.name}.key_value.key", f"{field.name}.key_value.value"]
        elif (
            pa.types.is_nested(field.type)
            or pc.count_distinct(first[field.name], mode="all").as_py()
            <= first.num_rows * _DISTINCT_SHARE
        ):
            paths.append(field.name)
    return paths


class _Bounds:
    """What lets readers leave a file out: rows, and bounds of times, integers and short texts."""

    def __init__(self, schema: pa.Schema):
        kinds = (pa.types.is_timestamp, pa.types.is_integer, pa.types.is_string)
        self._bounded = [f.name for f in schema if any(kind(f.type) for kind in kinds)]
        self._times = {f.name for f in schema if pa.types.is_timestamp(f.type)}
        self._rows = 0
        self._low: dict[str, Any] = {}
        self._high: dict[str, Any] = {}
        self._nulls = {f.name: 0 for f in schema if not pa.types.is_nested(f.type)}

    def add(self, table: pa.Table) -> None:
        self._rows += table.num_rows
        for name in self._nulls:
            self._nulls[name] += table[name].null_count
        for name in self._bounded:
            column = table[name].cast(pa.int64()) if name in self._times else table[name]
            bounds = pc.min_max(column)
            low, high = bounds["min"].as_py(), bounds["max"].as_py()
            if low is not None:
                self._low[name] = min(self._low.get(name, low), low)
                self._high[name] = max(self._high.get(name, high), high)

    def statistics(self) -> dict[str, Any]:
        spelled = {
            n: (self._spelled(n, self._low), self._spelled(n, self._high)) for n in self._low
        }
        known = {n: both for n, both in spelled.items() if None not in both}
        return {
            "numRecords": self._rows,
            "minValues": {n: low for n, (low, _) in known.items()},
            "maxValues": {n: high for n, (_, high) in known.items()},
            "nullCount": self._nulls,
        }

    def _spelled(self, name: str, bounds: dict[str, Any]) -> Any:
        """A bound as the log spells it, None where it has no spelling; times are cut to
        milliseconds, as the protocol says.
        """
        value = bounds[name]
        if name in self._times:
            if not 0 <= value < _LAST_YEAR:
                return None
            seconds, rest = divmod(value, 1_000_000)
            moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
            return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1000:03d}Z"
        return None if isinstance(value, str) and len(value) > _LONGEST_TEXT else value
