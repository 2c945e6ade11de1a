"""Delimited text: a header line, then records; quoted values may hold line ends."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.csv as pacsv

from truelift.logs.sources.columns import bronze_names, text_batch
from truelift.logs.sources.csv_recovery import Record, records
from truelift.logs.sources.files import RawFile, open_raw
from truelift.logs.sources.lines import BLOCK, UTF8, not_encoded, text_lines
from truelift.logs.sources.unit import Unit

_BLOCK = BLOCK
_BATCH = 50_000


def header(file: RawFile, options: dict[str, str]) -> list[str]:
    """Column names as the file's first line gives them.

    Where the first record goes on with empty values (each line ends with a delimiter, and the
    header does not), these are columns without a name.
    """
    # Bytes that are not UTF-8 are a matter of their row, not of the file.
    errors = "replace" if options["encoding"].lower() in UTF8 else "strict"
    with open_raw(file.uri) as stream:
        try:
            lines = text_lines(stream, options["encoding"], errors)
            first = list(itertools.islice((line for line in lines if line.strip()), 2))
        except UnicodeDecodeError as error:
            raise not_encoded(file.uri, options["encoding"], error) from error
    names, *rows = list(csv.reader(first, delimiter=options["delimiter"])) or [[]]
    surplus = rows[0][len(names) :] if rows else []
    return names + surplus if not any(surplus) else names


def units(file: RawFile, source_file: str, batch_id: str, options: dict[str, str]) -> list[Unit]:
    """One unit a file: only a full scan knows where a record of quoted text begins.

    A file without a line below its header has no unit.
    """
    with open_raw(file.uri) as stream:
        lines = text_lines(stream, options["encoding"], errors="replace")
        if len(list(itertools.islice((line for line in lines if line.strip()), 2))) < 2:
            return []
    names = bronze_names(header(file, options))
    return [Unit("csv", file.uri, source_file, batch_id, names, options=options)]


def read(unit: Unit) -> Iterator[pa.RecordBatch]:
    """Rows of one file as text; a record that does not fit the header is kept whole.

    Arrow parses. What Arrow gives up on (a quote that never closes, so that one record
    outgrows a block) goes on, from the same record, with a slower parser that recovers at
    the next line.
    """
    done = 0
    try:
        for piece in _fast(unit):
            yield _numbered(unit, piece, done)
            done += piece.num_rows
    except pa.ArrowInvalid:
        yield from _slow(unit, done)
    except UnicodeDecodeError as error:
        raise not_encoded(unit.source_file, unit.options["encoding"], error) from error


def _fast(unit: Unit) -> Iterator[pa.RecordBatch]:
    """Values and, in the last column, the text of records that do not fit."""
    bad: list[tuple[int, str]] = []

    def keep(row: pacsv.InvalidRow) -> str:
        bad.append((row.number, row.text))
        return "skip"

    encoding = unit.options["encoding"]
    with open_raw(unit.uri) as stream:
        reader = pacsv.open_csv(
            stream,
            read_options=pacsv.ReadOptions(
                use_threads=False,
                block_size=_BLOCK,
                column_names=list(unit.names),
                skip_rows_after_names=1,
                encoding="utf8" if encoding.lower() in UTF8 else encoding,
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=unit.options["delimiter"],
                newlines_in_values=True,
                invalid_row_handler=keep,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types={name: pa.binary() for name in unit.names},
                strings_can_be_null=False,
            ),
        )
        # Arrow numbers records from 1, the header being the first.
        record = 2
        for batch in reader:
            position = 0
            while position < batch.num_rows:
                if bad and bad[0][0] == record:
                    yield from _misfits(unit, bad.pop(0)[1])
                    record += 1
                    continue
                take = batch.num_rows - position
                take = min(take, bad[0][0] - record, _BATCH) if bad else min(take, _BATCH)
                yield from _valid_text(unit, batch.slice(position, take))
                position, record = position + take, record + take
        for _, text in bad:
            yield from _misfits(unit, text)


def _valid_text(unit: Unit, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Bytes to text; rows that are not UTF-8 are kept with replacement characters."""
    try:
        texts = [column.cast(pa.string()) for column in batch.columns]
    except pa.ArrowInvalid:
        if batch.num_rows == 1:
            raw = [v.as_py().decode("utf-8", "replace") for v in (c[0] for c in batch.columns)]
            yield _corrupt(unit, unit.options["delimiter"].join(raw))
            return
        half = batch.num_rows // 2
        yield from _valid_text(unit, batch.slice(0, half))
        yield from _valid_text(unit, batch.slice(half))
        return
    yield _piece(unit, texts, pa.nulls(batch.num_rows, pa.string()))


def _misfits(unit: Unit, text: str) -> Iterator[pa.RecordBatch]:
    """A record that does not fit; of several lines, only the first may be to blame."""
    if "\n" not in text.rstrip("\n"):
        yield _corrupt(unit, text)
        return
    lines = iter(io.StringIO(text, newline=""))
    yield from _pieces(unit, records(lines, unit.options["delimiter"], len(unit.names)))


def _slow(unit: Unit, skip: int) -> Iterator[pa.RecordBatch]:
    """Rows from number ``skip`` on."""
    with open_raw(unit.uri) as stream:
        lines = text_lines(stream, unit.options["encoding"], errors="replace")
        found = records(lines, unit.options["delimiter"], len(unit.names))
        next(found, None)  # the header
        for _ in range(skip):
            next(found, None)
        done = skip
        for piece in _pieces(unit, found):
            yield _numbered(unit, piece, done)
            done += piece.num_rows


def _pieces(unit: Unit, found: Iterator[Record]) -> Iterator[pa.RecordBatch]:
    held: list[Record] = []
    for record in found:
        held.append(record)
        if len(held) == _BATCH:
            yield _from_records(unit, held)
            held = []
    if held:
        yield _from_records(unit, held)


def _from_records(unit: Unit, held: list[Record]) -> pa.RecordBatch:
    missing = [None] * len(unit.names)
    columns = zip(*(r.values if r.values is not None else missing for r in held), strict=True)
    texts = [pa.array(column, pa.string()) for column in columns]
    return _piece(unit, texts, pa.array([r.corrupt for r in held], pa.string()))


def _corrupt(unit: Unit, text: str) -> pa.RecordBatch:
    return _from_records(unit, [Record(None, text.rstrip("\r\n"))])


def _piece(unit: Unit, texts: list[pa.Array], corrupt: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([*texts, corrupt], names=[*unit.names, "corrupt"])


def _numbered(unit: Unit, piece: pa.RecordBatch, first: int) -> pa.RecordBatch:
    rows = pa.array(range(first, first + piece.num_rows), pa.int64())
    return text_batch(unit.names, piece.columns[:-1], unit.source_file, rows, piece.columns[-1])
