"""JSON lines: one object a line; what is inside objects is named as :mod:`.json_names` says."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterator

import pyarrow as pa

from truelift.errors import SourceError
from truelift.files.raw import RawFile, open_raw
from truelift.logs.sources.columns import OTHER, text_batch
from truelift.logs.sources.file_format import FileFormat
from truelift.logs.sources.json_names import (
    Path,
    folded,
    late_name,
    names_of,
    one_a_meaning,
    spelled,
)
from truelift.logs.sources.lines import full_lines, is_text
from truelift.logs.sources.other_formats import json_hint, other_format
from truelift.logs.sources.unit import Unit

_PEEK = 1000
_BATCH = 20_000
_TYPES = dict.fromkeys(("string_value", "int_value", "float_value", "double_value", "bool_value"))


def header(file: RawFile, options: dict[str, str]) -> list[str]:
    """Keys in the first thousand objects, in the order of their first appearance.

    A key inside an object is written with the keys on the way to it, as in ``user.id``.
    """
    return [spelled(path) for path in _paths(file, options)]


def late_header(file: RawFile, options: dict[str, str], wanted: Collection[str]) -> list[str]:
    """Those of the keys wanted that the objects after the first thousand have.

    It reads on until all of them are found.

    Parameters
    ----------
    wanted : collection of str
        Spelled with dots.
    """
    open_ones = {folded(tuple(name.split("."))): name for name in wanted}
    found = []
    with open_raw(file.uri, file.limit) as stream:
        lines = itertools.islice(full_lines(stream, options["encoding"]), _PEEK, None)
        for path in (path for _, line, _ in lines for path in flat(line) or ()):
            if not open_ones:
                break
            if open_ones.pop(folded(path), None) is not None:
                found.append(spelled(path))
    return found


def units(file: RawFile, source_file: str, batch_id: str, options: dict[str, str]) -> list[Unit]:
    """One unit a file. Keys that turn up later go together into the column ``_other``.

    Of keys that differ in case only a table has one. A line that has another of them has its value
    there; where a line has both, the other goes into ``_other``, too.
    """
    names = names_of(_paths(file, options))
    planned = (*names.values(), OTHER)
    known = {**options, "paths": json.dumps(list(names))}
    return [Unit("jsonl", file.uri, source_file, batch_id, planned, options=known)]


def read(unit: Unit) -> Iterator[pa.RecordBatch]:
    """Rows of one file as text; the row number is the line's, so blank lines count."""
    paths = [tuple(path) for path in json.loads(unit.options["paths"])]
    with open_raw(unit.uri, unit.limit) as stream:
        lines = full_lines(stream, unit.options["encoding"])
        while held := list(itertools.islice(lines, _BATCH)):
            yield batch_of(unit, paths, held)


def _paths(file: RawFile, options: dict[str, str]) -> list[Path]:
    with open_raw(file.uri) as stream:
        lines = list(itertools.islice(full_lines(stream, options["encoding"]), _PEEK))
    records = [flat(line) for _, line, fault in lines if not fault]
    first = (lines[0][2] or lines[0][1]).strip() if lines else ""
    # The last object of an array over many lines has no comma, and would be the only row.
    if first.startswith("[") or not any(records):
        hint = json_hint(first) or other_format(first) or ""
        raise SourceError(
            f"{file.uri} holds no JSON object in its first {len(lines)} lines; expected one object "
            f'a line, such as {{"user": "a", "time": "2024-01-01T12:00:00Z"}}. Its first line: '
            f"{first[:200]!r}. {hint}".rstrip()
        )
    return one_a_meaning([list(record) for record in records if record])


def batch_of(
    unit: Unit,
    paths: list[Path],
    lines: list[tuple[int, str, str | None]],
    made: frozenset[str] = frozenset(),
    used: frozenset[str] = frozenset(),
) -> pa.RecordBatch:
    """Rows of some lines as text.

    Parameters
    ----------
    unit : Unit
        Its names are those of the paths and ``_other``.
    paths : list of tuple of str
    lines : list of (int, str, str or None)
        Number, text and fault; a line with a fault is corrupt.
    made : frozenset of str
        Names of columns that the caller makes of the objects.
    used : frozenset of str
        Keys that stand in these columns and need none of their own.
    """
    taken: dict[str, Path | None] = dict.fromkeys(name.lower() for name in (*unit.names, *made))
    taken |= {name.lower(): path for name, path in zip(unit.names[:-1], paths, strict=True)}
    columns: list[list[str | None]] = [[] for _ in unit.names]
    corrupt: list[str | None] = []
    for _, line, fault in lines:
        record = None if fault else flat(line)
        corrupt.append((fault or line) if record is None else None)
        values = {p: v for p, v in (record or {}).items() if len(p) > 1 or p[0].lower() not in used}
        row = [values.pop(path, None) for path in paths]
        if values:
            _fill_by_case(row, paths, record or {}, values)
        for column, value in zip(columns, row, strict=False):
            column.append(value)
        columns[-1].append(_rest(values, taken) if values else None)
    return text_batch(
        unit.names,
        [pa.array(column, pa.string()) for column in columns],
        unit.source_file,
        pa.array([number for number, _, _ in lines], pa.int64()),
        pa.array(corrupt, pa.string()),
    )


def _fill_by_case(
    row: list[str | None],
    paths: list[Path],
    record: dict[Path, str | None],
    values: dict[Path, str | None],
) -> None:
    """Give a column whose key a line does not have what the line has under another case of it."""
    spellings: dict[Path, list[Path]] = {}
    for path in values:
        spellings.setdefault(folded(path), []).append(path)
    for place, path in enumerate(paths):
        found = () if path in record else spellings.get(folded(path), ())
        if len(found) == 1 and found[0] in values:
            row[place] = values.pop(found[0])


def _rest(values: dict[Path, str | None], taken: dict[str, Path | None]) -> str:
    """Values without a column under the names that they would have, as JSON."""
    named: dict[str, str | None] = {}
    for path in sorted(values, key=lambda path: (len(path), path)):
        named[late_name(path, taken, named)] = values[path]
    return json.dumps(named, sort_keys=True)


def parsed(line: str) -> dict[str, object] | None:
    """The object of a line, its numbers as they are written; None if it holds no object."""
    try:
        data = _DECODER.decode(line)
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


def _constant(text: str) -> str | None:
    """What Python's writers have for numbers that are none: nothing for ``NaN``."""
    return None if text == "NaN" else _Written(text)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object; of a key that it has twice with different values, each under a name of its own.

    Which of ``{"user": "a", "user": "b"}`` is meant nobody can say, so none is ``user``.
    """
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    values: dict[str, list[object]] = {}
    for key, value in pairs:
        held = values.setdefault(key, [])
        if value not in held:
            held.append(value)
    for key, held in values.items():
        if len(held) > 1:
            del found[key]
            found |= {f"{key} ({n})": value for n, value in enumerate(held, 1)}
    return found


# Numbers stay as they are written: nothing is lost to binary fractions.
_DECODER = json.JSONDecoder(
    parse_float=_Written,
    parse_int=_Written,
    parse_constant=_constant,
    object_pairs_hook=_object,
)


def flat(line: str) -> dict[Path, str | None] | None:
    """An object's values as text under their paths; None if it is no object."""
    data = parsed(line)
    if data is None:
        return None
    flat: dict[Path, str | None] = {}
    _flatten(data, (), flat)
    return flat


def _flatten(data: dict[str, object], prefix: Path, into: dict[Path, str | None]) -> None:
    for key, value in data.items():
        if isinstance(value, dict):
            _flatten(value, (*prefix, key), into)
        elif (entries := entries_of(value)) is not None:
            _flatten(entries, (*prefix, key), into)
        else:
            into[(*prefix, key)] = written(value)


def entries_of(value: object) -> dict[str, object] | None:
    """A list of ``{key, value}`` as one object; None for another list, or if a key comes twice.

    Of a value that has a key for each type (``{"string_value": ..., "int_value": ...}``, Google
    Analytics 4), the one that is there is the value.
    """
    if not isinstance(value, list) or not value:
        return None
    entries: dict[str, object] = {}
    for entry in value:
        if not isinstance(entry, dict) or not {"key"} <= entry.keys() <= {"key", "value"}:
            return None
        key = entry["key"]
        if not isinstance(key, str) or isinstance(key, _Written) or key in entries:
            return None
        value_of = entry.get("value")
        if isinstance(value_of, dict) and value_of.keys() & _TYPES.keys():
            there = [value_of[name] for name in _TYPES if value_of.get(name) is not None]
            if len(there) > 1:
                return None
            # What stands beside the value, such as when it was set, keeps a name of its own.
            beside = {f"{key}.{k}": v for k, v in value_of.items() if k not in _TYPES}
            entries |= {key: there[0] if there else None, **beside}
        else:
            entries[key] = value_of
    return entries


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


#: The row of the registry.
JSONL = FileFormat("jsonl", header, units, read, (".jsonl", ".ndjson", ".json"), is_text=True)
