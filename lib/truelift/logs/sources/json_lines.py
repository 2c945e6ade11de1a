"""JSON lines: one object a line; nested objects are flattened with ``_`` between the names."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import pyarrow as pa

from truelift.errors import SourceError
from truelift.logs.sources.columns import OTHER, bronze_name, text_batch
from truelift.logs.sources.csv_rows import text_lines
from truelift.logs.sources.files import RawFile, open_raw
from truelift.logs.sources.unit import Unit

_PEEK = 1000
_BATCH = 20_000


def header(file: RawFile, options: dict[str, str]) -> list[str]:
    """Names in the first thousand objects, in the order of their first appearance."""
    names: dict[str, None] = {}
    with open_raw(file.uri) as stream:
        for line in itertools.islice(text_lines(stream, options["encoding"], "replace"), _PEEK):
            names.update(dict.fromkeys(_flat(line) or ()))
    if not names:
        raise SourceError(
            f"{file.uri} holds no JSON object in its first {_PEEK} lines; expected one object a "
            'line, such as {"user": "a", "time": "2024-01-01T12:00:00Z"}.'
        )
    return list(names)


def units(file: RawFile, source_file: str, batch_id: str, options: dict[str, str]) -> list[Unit]:
    """One unit a file. Names that turn up later go together into the column ``_other``."""
    wanted = [*header(file, options), *options.get("columns", "").split("\n")]
    names = dict.fromkeys(bronze_name(name) for name in wanted if name)
    return [Unit("jsonl", file.uri, source_file, batch_id, (*names, OTHER), options=options)]


def read(unit: Unit) -> Iterator[pa.RecordBatch]:
    """Rows of one file as text; the row number is the line's, so blank lines count."""
    with open_raw(unit.uri) as stream:
        lines = enumerate(text_lines(stream, unit.options["encoding"], errors="replace"))
        while held := list(itertools.islice(lines, _BATCH)):
            full = [(number, line) for number, line in held if line.strip()]
            if full:
                yield _batch(unit, full)


def _batch(unit: Unit, lines: list[tuple[int, str]]) -> pa.RecordBatch:
    planned = unit.names[:-1]
    columns: list[list[str | None]] = [[] for _ in unit.names]
    corrupt: list[str | None] = []
    for _, line in lines:
        record = _flat(line)
        corrupt.append(line.rstrip("\r\n") if record is None else None)
        values = dict(record or {})
        for column, name in zip(columns[:-1], planned, strict=True):
            column.append(values.pop(name, None))
        columns[-1].append(json.dumps(values, sort_keys=True) if values else None)
    return text_batch(
        unit.names,
        [pa.array(column, pa.string()) for column in columns],
        unit.source_file,
        pa.array([number for number, _ in lines], pa.int64()),
        pa.array(corrupt, pa.string()),
    )


def _flat(line: str) -> dict[str, str | None] | None:
    """An object's values as text under their names in bronze; None if it is no object."""
    try:
        # Numbers stay as they are written: nothing is lost to binary fractions.
        data = json.loads(line, parse_float=_Written, parse_int=_Written, parse_constant=_Written)
    except ValueError:
        return None
    if not isinstance(data, dict):
        return None
    flat: dict[str, str | None] = {}
    _flatten(data, "", flat)
    return flat


class _Written(str):
    """A number by its digits in the file."""


def _flatten(data: dict[str, object], prefix: str, into: dict[str, str | None]) -> None:
    for key, value in data.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, dict):
            _flatten(value, name, into)
        else:
            into[bronze_name(name)] = _text(value)


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value if value is None else str(value)
    return _written(value)


def _written(value: object) -> str:
    """JSON of a value whose numbers are kept as they were written."""
    if isinstance(value, _Written):
        return str(value)
    if isinstance(value, list):
        return f"[{','.join(_written(v) for v in value)}]"
    if isinstance(value, dict):
        inner = (f"{json.dumps(k, ensure_ascii=False)}:{_written(v)}" for k, v in value.items())
        return f"{{{','.join(inner)}}}"
    return json.dumps(value, ensure_ascii=False)
