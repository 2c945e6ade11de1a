"""Logs in W3C extended format, as IIS and CloudFront write them.

``#Fields:`` names the columns, once or again where they change; values are parted by blanks (IIS) or
tabs (CloudFront), and ``-`` stands for a missing one. ``date`` and ``time`` are UTC and become the
column ``time``. The columns of an access log are made of the known fields, beside which every
other field keeps its own name. The format is that of www.w3.org/TR/WD-logfile.html.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator

import pyarrow as pa

from truelift.errors import SourceError
from truelift.files.raw import RawFile, open_raw
from truelift.logs.sources.columns import OTHER, bronze_name, text_batch
from truelift.logs.sources.file_format import FileFormat
from truelift.logs.sources.lines import full_lines
from truelift.logs.sources.other_formats import other_format
from truelift.logs.sources.unit import Unit
from truelift.logs.sources.web_columns import COLUMNS, decoded, given, web_values

_PEEK = 1000
_BATCH = 20_000
_FIELDS = "#fields:"
_VALUE = re.compile(r'"((?:[^"]|"")*)"|(\S+)')
# The field that a column is made of; of several, the first that a line has.
_SOURCES = {
    "host": ("c-ip",),
    "forwarded": ("x-forwarded-for", "cs(x-forwarded-for)"),
    "user": ("cs-username",),
    "method": ("cs-method",),
    "path": ("cs-uri-stem", "cs-uri"),
    "query": ("cs-uri-query",),
    "protocol": ("cs-version", "cs-protocol-version"),
    "status": ("sc-status",),
    "size": ("sc-bytes",),
    "referrer": ("cs(referer)", "cs(referrer)"),
    "user_agent": ("cs(user-agent)",),
    "virtual_host": ("x-host-header", "cs-host", "cs(host)"),
}
_Line = tuple[int, list[str] | None, list[str] | str]


def header(file: RawFile, options: dict[str, str]) -> list[str]:
    """The columns of an access log, then the fields of the first thousand lines.

    Raises
    ------
    SourceError
        If no line names the fields.
    """
    return [*COLUMNS, *_own_fields(file, options)]


def units(file: RawFile, source_file: str, batch_id: str, options: dict[str, str]) -> list[Unit]:
    """One unit a file. Fields that are named later go into ``_other``."""
    own = _own_fields(file, options)
    names = (*COLUMNS, *map(bronze_name, own), OTHER)
    known = {**options, "fields": json.dumps(own)}
    return [Unit("w3c", file.uri, source_file, batch_id, names, options=known)]


def read(unit: Unit) -> Iterator[pa.RecordBatch]:
    """Rows of one file as text; the row number is the line's. Directives are no rows."""
    own = json.loads(unit.options["fields"])
    missing = (None,) * len(unit.names)
    with open_raw(unit.uri, unit.limit) as stream:
        lines = _lines(full_lines(stream, unit.options["encoding"]))
        while held := list(itertools.islice(lines, _BATCH)):
            rows, faults = [], []
            for _, fields, values in held:
                record = _record(fields, values, own) if isinstance(values, list) else None
                rows.append(record or missing)
                faults.append(None if record is not None else str(values))
            yield text_batch(
                unit.names,
                [pa.array(column, pa.string()) for column in zip(*rows, strict=True)],
                unit.source_file,
                pa.array([number for number, _, _ in held], pa.int64()),
                pa.array(faults, pa.string()),
            )


def _own_fields(file: RawFile, options: dict[str, str]) -> list[str]:
    with open_raw(file.uri) as stream:
        lines = list(itertools.islice(full_lines(stream, options["encoding"]), _PEEK))
    named = [text for _, text, _ in lines if text.lower().startswith(_FIELDS)]
    if not named:
        first = (lines[0][2] or lines[0][1])[:300] if lines else ""
        raise SourceError(
            f"{file.uri} is no log in W3C extended format: none of its first {len(lines)} lines "
            f"names the fields, as in '#Fields: date time c-ip cs-method cs-uri-stem'. Its first "
            f"line: {first!r}. {other_format(first) or ''}".rstrip()
        )
    if not any({"date", "time"} <= set(text[len(_FIELDS) :].lower().split()) for text in named):
        raise SourceError(
            f"{file.uri} has no field of the {'time' if 'date' in named[0].lower() else 'date'} of a "
            f"request: {named[0][:300]!r}. Both date and time have to be logged; the day of a "
            "directive (#Date:) says only when the file began."
        )
    taken = {"date", "time", *(name.lower() for name in COLUMNS)}
    fields: dict[str, str] = {}
    for text in named:
        for field in text[len(_FIELDS) :].split():
            if field.lower() not in taken and bronze_name(field).lower() not in taken:
                fields.setdefault(bronze_name(field).lower(), field)
    return list(fields.values())


def _lines(lines: Iterator[tuple[int, str, str | None]]) -> Iterator[_Line]:
    """Each row's number with the fields in force and its values, or the text of a corrupt one."""
    fields: list[str] | None = None
    for number, text, fault in lines:
        if fault is None and text.startswith("#"):
            if text.lower().startswith(_FIELDS):
                fields = [field.lower() for field in text[len(_FIELDS) :].split()]
            continue
        values = _values(text) if fault is None else []
        fits = fields is not None and len(values) == len(fields)
        yield number, fields, values if fits else (fault or text)


def _values(text: str) -> list[str]:
    if "\t" in text:
        return text.split("\t")
    found = (match.groups() for match in _VALUE.finditer(text))
    return [bare if quoted is None else quoted.replace('""', '"') for quoted, bare in found]


def _record(fields: list[str] | None, values: list[str], own: list[str]) -> tuple[str | None, ...]:
    line = dict(zip(fields or (), values, strict=True))
    found = {
        name: next((line[field] for field in among if given(line.get(field))), None)
        for name, among in _SOURCES.items()
    }
    for name in ("user_agent", "forwarded"):
        found[name] = None if found[name] is None else decoded(str(found[name]))
    day, clock = given(line.get("date")), given(line.get("time"))
    time = f"{day}T{clock}Z" if day and clock else None
    kept = [given(line.pop(field.lower(), None)) for field in own]
    rest = {f: value for f, value in line.items() if f not in ("date", "time") and given(value)}
    other = json.dumps(rest, sort_keys=True) if rest else None
    return (*web_values(time=time, **found), *kept, other)


#: The row of the registry.
W3C = FileFormat("w3c", header, units, read, is_text=True)
