"""Delimited text: a header line, then records; quoted values may hold line ends."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from truelift.files.raw import RawFile, open_raw
from truelift.logs.sources.columns import bronze_names, text_batch
from truelift.logs.sources.csv_heading import Heading, heading_of
from truelift.logs.sources.csv_recovery import Record, records
from truelift.logs.sources.file_format import FileFormat
from truelift.logs.sources.lines import BLOCK, UTF8, not_encoded, text_lines
from truelift.logs.sources.unit import Unit

_BLOCK = BLOCK
_BATCH = 50_000


def header(file: RawFile, options: dict[str, str]) -> list[str]:
    """Column names of the file, up to the last one that is not empty."""
    heading = heading_of(file, options)
    return list(heading.names[: heading.least])


def units(file: RawFile, source_file: str, batch_id: str, options: dict[str, str]) -> list[Unit]:
    """One unit a file: only a full scan knows where a record of quoted text begins.

    A file without a line below its header has no unit.
    """
    heading = heading_of(file, options)
    if not heading.has_rows:
        return []
    names = bronze_names(heading.names)
    known = {**options, "heading": heading.to_json()}
    return [Unit("csv", file.uri, source_file, batch_id, names, options=known)]


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

    heading = Heading.from_json(unit.options["heading"])
    encoding, quote = unit.options["encoding"], unit.options.get("quote", '"')
    columns = [str(place) for place in range(heading.usual)]
    with open_raw(unit.uri, unit.limit) as stream:
        reader = pacsv.open_csv(
            stream,
            read_options=pacsv.ReadOptions(
                use_threads=False,
                block_size=_BLOCK,
                column_names=columns,
                skip_rows=heading.lines,
                encoding="utf8" if encoding.lower() in UTF8 else encoding,
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=unit.options["delimiter"],
                quote_char=quote or False,
                escape_char=unit.options.get("escape") or False,
                newlines_in_values=bool(quote),
                invalid_row_handler=keep,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types={name: pa.binary() for name in columns},
                strings_can_be_null=False,
            ),
        )
        # Arrow numbers records from 1, each line that it skips being one.
        record = heading.lines + 1
        for batch in reader:
            position = 0
            while position < batch.num_rows:
                misfits: list[str] = []
                while bad and bad[0][0] == record and len(misfits) < _BATCH:
                    misfits.append(bad.pop(0)[1])
                    record += 1
                if misfits:
                    yield from _misfits(unit, heading, misfits)
                    continue
                take = batch.num_rows - position
                take = min(take, bad[0][0] - record, _BATCH) if bad else min(take, _BATCH)
                yield from _valid_text(unit, heading, batch.slice(position, take))
                position, record = position + take, record + take
        for start in range(0, len(bad), _BATCH):
            yield from _misfits(unit, heading, [text for _, text in bad[start : start + _BATCH]])


def _valid_text(unit: Unit, heading: Heading, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Bytes to text; rows that are not UTF-8 are kept with replacement characters."""
    try:
        texts = [column.cast(pa.string()) for column in batch.columns]
    except pa.ArrowInvalid:
        if batch.num_rows == 1:
            raw = [v.as_py().decode("utf-8", "replace") for v in (c[0] for c in batch.columns)]
            yield _from_records(unit, [Record(None, unit.options["delimiter"].join(raw))])
            return
        half = batch.num_rows // 2
        yield from _valid_text(unit, heading, batch.slice(0, half))
        yield from _valid_text(unit, heading, batch.slice(half))
        return
    width, count = len(heading.names), batch.num_rows
    for place in range(heading.least, min(width, len(texts))):
        texts[place] = pc.if_else(pc.equal(texts[place], ""), None, texts[place])
    texts += [pa.nulls(count, pa.string())] * (width - len(texts))
    yield _piece(unit, *_without_surplus(unit, texts, width))


def _without_surplus(
    unit: Unit, texts: list[pa.Array], width: int
) -> tuple[list[pa.Array], pa.Array]:
    """The columns of a file, and the text of rows that hold more than empty values beyond them."""
    count = len(texts[0])
    filled = np.zeros(count, dtype=bool)
    for column in texts[width:]:
        bare = pc.utf8_trim_whitespace(column)
        filled |= pc.not_equal(bare, "").to_numpy(zero_copy_only=False)
    if not filled.any():
        return texts[:width], pa.nulls(count, pa.string())
    whole: list[str | None] = [None] * count
    for row in np.flatnonzero(filled):
        values = [column[int(row)].as_py() for column in texts]
        whole[row] = unit.options["delimiter"].join(values)
    kept = pa.array(~filled)
    return [pc.if_else(kept, column, None) for column in texts[:width]], pa.array(
        whole, pa.string()
    )


def _misfits(unit: Unit, heading: Heading, texts: list[str]) -> Iterator[pa.RecordBatch]:
    """Records of another width: they may fit all the same, or only a first line be to blame."""
    found = (
        record
        for text in texts
        for record in records(iter(io.StringIO(text, newline="")), unit.options, heading.fitted)
    )
    yield from _pieces(unit, found)


def _slow(unit: Unit, skip: int) -> Iterator[pa.RecordBatch]:
    """Rows from number ``skip`` on."""
    heading = Heading.from_json(unit.options["heading"])
    with open_raw(unit.uri, unit.limit) as stream:
        lines = text_lines(stream, unit.options["encoding"], errors="replace")
        below = itertools.islice(lines, heading.lines, None)
        found = records(below, unit.options, heading.fitted)
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


def _piece(unit: Unit, texts: list[pa.Array], corrupt: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([*texts, corrupt], names=[*unit.names, "corrupt"])


def _numbered(unit: Unit, piece: pa.RecordBatch, first: int) -> pa.RecordBatch:
    rows = pa.array(range(first, first + piece.num_rows), pa.int64())
    return text_batch(unit.names, piece.columns[:-1], unit.source_file, rows, piece.columns[-1])


#: The row of the registry.
CSV = FileFormat("csv", header, units, read, (".csv", ".tsv", ".tab", ".txt"), is_text=True)
