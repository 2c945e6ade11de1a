"""Files of the traffic: events as CSV, JSON lines or Parquet, their truth beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from pyarrow import fs as pafs

from truelift.simulate.traffic.memory import without_broken
from truelift.simulate.traffic.text import EVENT_COLUMNS, TRUTH_SCHEMA

FORMATS = ("csv", "jsonl", "parquet")
# What is left of a broken line: so many columns.
_LEFT = 5

FILE_SCHEMA = pa.schema({"file": pa.string(), "rows": pa.int64(), "bytes": pa.int64()})
_PART_TRUTH = pa.schema(
    [
        pa.field("file", pa.string()),
        pa.field("file_row", pa.int64()),
        pa.field("event_id", pa.string()),
        *TRUTH_SCHEMA,
    ]
)


class PartWriter:
    """One file of events, and the file of its truth, both written from the start on.

    They get their names when they are whole: a task that dies leaves nothing that a reader
    takes for a file, and a task that runs twice writes the same file twice.

    Parameters
    ----------
    system : pyarrow.fs.FileSystem
    root : str
        Folder of the logs in that file system.
    name : str
        Path of the part below ``events`` and ``truth``, without its ending.
    form : str
        ``csv``, ``jsonl`` or ``parquet``.
    attempt : str
        Keeps two runs of one task apart.
    """

    def __init__(self, system: pafs.FileSystem, root: str, name: str, form: str, attempt: str):
        self._system, self._form = system, form
        self.file, self.rows = f"events/{name}.{form}", 0
        self._targets = (f"{root}/{self.file}", f"{root}/truth/{name}.parquet")
        folder_and_name = (target.rpartition("/") for target in self._targets)
        self._drafts = [f"{folder}/.{last}.{attempt}" for folder, _, last in folder_and_name]
        for target in self._targets:
            system.create_dir(target.rpartition("/")[0], recursive=True)
        with ExitStack() as opened:
            self._events: Any = opened.enter_context(self._open(self._drafts[0], form))
            self._truth: Any = opened.enter_context(self._open(self._drafts[1], "parquet", True))
            self._opened = opened.pop_all()

    def _open(self, path: str, form: str, is_truth: bool = False) -> Any:
        if form != "parquet":
            return self._system.open_output_stream(path, compression=None)
        schema = _PART_TRUTH if is_truth else pa.schema([(n, pa.string()) for n in EVENT_COLUMNS])
        return pq.ParquetWriter(path, schema, filesystem=self._system, compression="zstd")

    def append(self, table: pa.Table) -> None:
        """Add rows of blocks."""
        if self._form == "parquet":
            table = without_broken(table)
            self._events.write_table(table.select(list(EVENT_COLUMNS)))
        else:
            broken = pc.fill_null(pc.equal(table["dirt"], "corrupt_row"), False)
            whole, ragged = table.filter(pc.invert(broken)), table.filter(broken)
            table = pa.concat_tables([whole, ragged])
            write = _write_csv if self._form == "csv" else _write_json
            write(self._events, whole, ragged, self.rows == 0)
        places = pa.array(range(self.rows, self.rows + table.num_rows), pa.int64())
        columns = {
            "file": pa.repeat(pa.scalar(self.file), table.num_rows),
            "file_row": places,
            **{name: table[name] for name in _PART_TRUTH.names[2:]},
        }
        self._truth.write_table(pa.table(columns, schema=_PART_TRUTH))
        self.rows += table.num_rows

    def close(self) -> dict[str, Any]:
        """Finish both files; the name, rows and bytes of that of the events."""
        self._opened.close()
        for draft, target in zip(self._drafts, self._targets, strict=True):
            self._system.move(draft, target)
        size = self._system.get_file_info(self._targets[0]).size
        return {"file": self.file, "rows": self.rows, "bytes": int(size)}

    def abandon(self) -> None:
        """Drop what was written."""
        self._opened.close()
        for draft in self._drafts:
            if self._system.get_file_info(draft).type == pafs.FileType.File:
                self._system.delete_file(draft)


def by_day(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each day of receipt (``2024-01-31``), in the order of the days."""
    day = pc.utf8_slice_codeunits(table["received"], 0, 10)
    for name in pc.unique(day).sort().to_pylist():
        yield name, table.filter(pc.equal(day, name))


def _write_csv(stream: pa.NativeFile, whole: pa.Table, ragged: pa.Table, is_first: bool) -> None:
    options = pacsv.WriteOptions(include_header=is_first)
    pacsv.write_csv(whole.select(list(EVENT_COLUMNS)), stream, options)
    pacsv.write_csv(
        ragged.select(list(EVENT_COLUMNS[:_LEFT])),
        stream,
        pacsv.WriteOptions(include_header=False),
    )


def _write_json(stream: pa.NativeFile, whole: pa.Table, ragged: pa.Table, is_first: bool) -> None:  # noqa: ARG001
    for table, names, end in (
        (whole, EVENT_COLUMNS, "}\n"),
        (ragged, EVENT_COLUMNS[:_LEFT], "\n"),
    ):
        if table.num_rows:
            for chunk in _json_lines(table, names, end).chunks:
                whole_text = pa.ListArray.from_arrays(pa.array([0, len(chunk)]), chunk)
                stream.write(pc.binary_join(whole_text, "")[0].as_buffer())


def _json_lines(table: pa.Table, names: tuple[str, ...], end: str) -> pa.ChunkedArray:
    """Objects, one a line; the texts of the traffic hold nothing that JSON would escape."""
    fields = []
    for place, name in enumerate(names):
        lead = f'{", " if place else "{"}"{name}": '
        given = pc.binary_join_element_wise(lead + '"', table[name], '"', "")
        fields.append(pc.fill_null(given, lead + "null"))
    return pc.binary_join_element_wise(*fields, end, "")
