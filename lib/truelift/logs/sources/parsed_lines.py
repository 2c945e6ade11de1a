"""Files of one record a line, given how a line is parsed: peeking and reading."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pyarrow as pa

from truelift.files.raw import RawFile, open_raw
from truelift.logs.sources.columns import text_batch
from truelift.logs.sources.lines import full_lines
from truelift.logs.sources.unit import Unit

#: The values of a line in the order of the unit's columns; None for a line of another format.
Parse = Callable[[str], "tuple[str | None, ...] | None"]

_PEEK = 100
_BATCH = 20_000


def foreign_start(file: RawFile, encoding: str, parse: Parse) -> tuple[int, str] | None:
    """How many lines were looked at and the first of them, where not one could be parsed."""
    with open_raw(file.uri) as stream:
        lines = list(itertools.islice(full_lines(stream, encoding), _PEEK))
    if not lines or any(parse(text) for _, text, _ in lines):
        return None
    return len(lines), (lines[0][2] or lines[0][1])[:300]


def read_parsed(unit: Unit, parse: Parse) -> Iterator[pa.RecordBatch]:
    """Rows of one file as text; the row number is the line's, a line of another format a fault."""
    missing = (None,) * len(unit.names)
    with open_raw(unit.uri, unit.limit) as stream:
        lines = full_lines(stream, unit.options["encoding"])
        while held := list(itertools.islice(lines, _BATCH)):
            records = [None if fault else parse(text) for _, text, fault in held]
            faults = [
                (fault or text) if record is None else None
                for (_, text, fault), record in zip(held, records, strict=True)
            ]
            columns = zip(*(record or missing for record in records), strict=True)
            yield text_batch(
                unit.names,
                [pa.array(column, pa.string()) for column in columns],
                unit.source_file,
                pa.array([number for number, _, _ in held], pa.int64()),
                pa.array(faults, pa.string()),
            )
