"""JSON lines: one object a line; nested objects are flattened with ``_`` between the names."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import pyarrow as pa

from truelift.errors import SourceError
from truelift.logs.sources.columns import OTHER, bronze_name, text_batch
from truelift.logs.sources.files import RawFile, open_raw
from truelift.logs.sources.lines import full_lines, is_text
from truelift.logs.sources.unit import Unit

_PEEK = 1000
_BATCH = 20_000


def header(file: RawFile, options: dict[str, str]) -> list[str]:
    """Names in the first thousand objects, in the order of their first appearance."""
    names: dict[str, None] = {}
    with open_raw(file.uri) as stream:
        for _, line, _ in itertools.islice(full_lines(stream, options["encoding"]), _PEEK):
            names.update(dict.fromkeys(_flat(line) or ()))
    if not names:
        raise SourceError(
            f"{file.uri} holds no JSON object in its first {_PEEK} lines; expected one object a "
            'line, such as {"user": "a", "time": "2024-01-01T12:00:00Z"}.'
        )
    return list(names)


def units(file: RawFile, source_file: str, batch_id: str, options: dict[str, str]) -> list[Unit]:
    """One unit a file. Names that turn up later go together into the column ``_other``.

    So do names that differ from an earlier one in case only, for a table has one of them.
    """
    names: dict[str, str] = {}
    for name in header(file, options):
        names.setdefault(name.lower(), name)
    planned = (*names.values(), OTHER)
    return [Unit("jsonl", file.uri, source_file, batch_id, planned, options=options)]


def read(unit: Unit) -> Iterator[pa.RecordBatch]:
    """Rows of one file as text; the row number is the line's, so blank lines count."""
    with open_raw(unit.uri) as stream:
        lines = full_lines(stream, unit.options["encoding"])
        while held := list(itertools.islice(lines, _BATCH)):
            yield _batch(unit, held)


def _batch(unit: Unit, lines: list[tuple[int, str, str | None]]) -> pa.RecordBatch:
    planned = unit.names[:-1]
    columns: list[list[str | None]] = [[] for _ in unit.names]
    corrupt: list[str | None] = []
    for _, line, fault in lines:
        record = _flat(line)
        corrupt.append((fault or line) if record is None else None)
        values = dict(record or {})
        for column, name in zip(columns[:-1], planned, strict=True):
            column.append(values.pop(name, None))
        columns[-1].append(json.dumps(values, sort_keys=True) if values else None)
    return text_batch(
        unit.names,
        [pa.array(column, pa.string()) for column in columns],
        unit.source_file,
        pa.array([number for number, _, _ in lines], pa.int64()),
        pa.array(corrupt, pa.string()),
    )


def parsed(line: str) -> dict[str, object] | None:
    """The object of a line, its numbers as they are written; None if it holds no object."""
    try:
        # Numbers stay as they are written: nothing is lost to binary fractions.
        data = json.loads(line, parse_float=_Written, parse_int=_Written, parse_constant=_Written)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    if "\\u" in line and not is_text(json.dumps(data, ensure_ascii=False)):
        return None
    return data


def written(value: object) -> str | None:
    """A value as text: strings and numbers as they stand, the rest as JSON, null as None."""
    return value if value is None else str(value) if isinstance(value, str) else _json(value)


class _Written(str):
    """A number by its digits in the file."""


def _flat(line: str) -> dict[str, str | None] | None:
    """An object's values as text under their names in bronze; None if it is no object."""
    data = parsed(line)
    if data is None:
        return None
    flat: dict[str, str | None] = {}
    _flatten(data, "", flat)
    return flat


def _flatten(data: dict[str, object], prefix: str, into: dict[str, str | None]) -> None:
    for key, value in data.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, dict):
            _flatten(value, name, into)
        else:
            into[_free(bronze_name(name), into)] = written(value)


def _free(name: str, taken: dict[str, str | None]) -> str:
    """The name, or with a number where another key of the object became the same name."""
    numbered = (f"{name}_{number}" for number in itertools.count(2))
    return name if name not in taken else next(n for n in numbered if n not in taken)


def _json(value: object) -> str:
    """JSON of a value whose numbers are kept as they were written."""
    if isinstance(value, _Written):
        return str(value)
    if isinstance(value, list):
        return f"[{','.join(_json(v) for v in value)}]"
    if isinstance(value, dict):
        inner = (f"{json.dumps(k, ensure_ascii=False)}:{_json(v)}" for k, v in value.items())
        return f"{{{','.join(inner)}}}"
    return json.dumps(value, ensure_ascii=False)
