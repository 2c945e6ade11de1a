"""Sessions with their events inside, one JSON object a line, as the OTTO data set has them.

``{"session": 7, "events": [{"aid": 1, "ts": 1659304800025, "type": "clicks"}, ...]}`` becomes
one row an event. The format is that of otto-de/recsys-dataset.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import pyarrow as pa

from truelift.errors import SourceError
from truelift.files.raw import RawFile, open_raw
from truelift.logs.sources.columns import OTHER, text_batch
from truelift.logs.sources.file_format import FileFormat
from truelift.logs.sources.json_lines import parsed, written
from truelift.logs.sources.lines import full_lines
from truelift.logs.sources.unit import Unit

COLUMNS = ("session", "aid", "ts", "type")
_PEEK = 100
_BATCH = 20_000


def header(file: RawFile, options: dict[str, str]) -> list[str]:
    """The columns of an event.

    Raises
    ------
    SourceError
        If none of the first hundred lines is a session.
    """
    with open_raw(file.uri) as stream:
        lines = list(itertools.islice(full_lines(stream, options["encoding"]), _PEEK))
    if lines and not any(_events(text) is not None for _, text, _ in lines):
        raise SourceError(
            f"{file.uri} holds no session in its first {len(lines)} lines; expected one object a "
            'line, such as {"session": 7, "events": [{"aid": 1, "ts": 1659304800025, "type": '
            f'"clicks"}}]}}. Its first line: {(lines[0][2] or lines[0][1])[:200]!r}.'
        )
    return list(COLUMNS)


def units(file: RawFile, source_file: str, batch_id: str, options: dict[str, str]) -> list[Unit]:
    """One unit a file. Keys of an event that are not known go into ``_other``."""
    return [Unit("otto", file.uri, source_file, batch_id, (*COLUMNS, OTHER), options=options)]


def read(unit: Unit) -> Iterator[pa.RecordBatch]:
    """One row an event, numbered through the file; a line that is no session is one row."""
    done = 0
    with open_raw(unit.uri, unit.limit) as stream:
        rows = _rows(full_lines(stream, unit.options["encoding"]))
        while held := list(itertools.islice(rows, _BATCH)):
            columns = [pa.array(column, pa.string()) for column in zip(*held, strict=True)]
            numbers = pa.array(range(done, done + len(held)), pa.int64())
            yield text_batch(unit.names, columns[:-1], unit.source_file, numbers, columns[-1])
            done += len(held)


def _rows(lines: Iterator[tuple[int, str, str | None]]) -> Iterator[tuple[str | None, ...]]:
    """The values of :data:`COLUMNS`, the other keys, and the text of a corrupt line."""
    for _, text, fault in lines:
        events = None if fault else _events(text)
        if events is None:
            yield (*(None for _ in COLUMNS), None, fault or text)
        else:
            yield from events


def _events(line: str) -> list[tuple[str | None, ...]] | None:
    data = parsed(line)
    if data is None or "session" not in data:
        return None
    events = data.get("events")
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        return None
    session = written(data["session"])
    return [(session, *_values(event), None) for event in events]


def _values(event: dict[str, object]) -> tuple[str | None, ...]:
    rest = {key: written(value) for key, value in event.items() if key not in COLUMNS[1:]}
    known = (written(event.get(name)) for name in COLUMNS[1:])
    return (*known, json.dumps(rest, sort_keys=True) if rest else None)


#: The row of the registry.
OTTO = FileFormat("otto", header, units, read, is_text=True)
