"""From the settings to raw files, and from a raw file to the units that tasks read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from truelift.errors import SourceError
from truelift.files.damage import readable, refuse_archive, refuse_other_kinds
from truelift.files.raw import RawFile, find_files, open_raw
from truelift.logs.sources import complete_journey, delta_table, json_lines
from truelift.logs.sources.columns import bronze_name, held_name
from truelift.logs.sources.csv_heading import parting_sign
from truelift.logs.sources.mapping import (
    require_columns,
    require_one_meaning,
    required_columns,
    wanted_columns,
)
from truelift.logs.sources.registry import FORMATS, bare_name, format_of
from truelift.logs.sources.unit import STREAMS, Unit
from truelift.settings import ReferenceOptions, SourceOptions

# Bytes of a file's content that are looked at before it is opened as its format.
_BEGINNING = 4096


@dataclass(frozen=True)
class SourceFile:
    """A raw file of a stream that was found and not yet opened.

    Attributes
    ----------
    raw : RawFile
        Where it lies, its size and its time.
    label : str
        What bronze calls it (``source_file``).
    form : str
        Its format, a key of :data:`~truelift.logs.sources.registry.FORMATS`.
    options : dict of str to str
        What the readers of text need (delimiter, encoding).
    """

    raw: RawFile
    label: str
    form: str
    options: dict[str, str] = field(default_factory=dict)

    @property
    def modified(self) -> int:
        """When it was last changed, in microseconds since 1970 (UTC)."""
        return self.raw.modified // 1000

    def checksum(self) -> str:
        """The fingerprint of its content; reads it."""
        with readable(self.raw.uri):
            return FORMATS.row(self.form).identify(self.raw)


def find_streams(source: SourceOptions) -> dict[str, list[SourceFile]]:
    """Files of every stream that the source has, found and not opened.

    Raises
    ------
    SourceError
        For a missing or empty file or a pattern without a match.
    """
    if source.format == "complete_journey":
        found = {stream: complete_journey.find(stream) for stream in complete_journey.FILES}
        return {s: [SourceFile(raw, label, source.format)] for s, (raw, label) in found.items()}
    if not source.path:
        raise SourceError(
            f"source.path is not set; format {source.format!r} needs a file, folder or pattern. "
            "Give it in the data set's YAML or with --set source.path=..."
        )
    streams = {"events": _find(source, "events", source.path, source.format)}
    for stream in STREAMS[1:]:
        reference: ReferenceOptions | None = getattr(source, stream)
        if reference is not None and reference.path:
            streams[stream] = _find(source, stream, reference.path, None)
    return streams


def plan_file(source: SourceOptions, stream: str, file: SourceFile, batch_id: str) -> list[Unit]:
    """Open a file and cut it into units.

    Raises
    ------
    SourceError
        For a file that cannot be read, is not of its format, or lacks a column that every file
        must have (its columns are listed).
    """
    form = FORMATS.row(file.form)
    wanted, required = wanted_columns(source, stream), required_columns(source, stream)
    if inside := [name for name in wanted.values() if "." in name]:
        # A typed column is opened only for what the configuration names.
        file = replace(file, options={**file.options, "wanted": json.dumps(inside)})
    with readable(file.raw.uri):
        if form.is_text:
            refuse_other_kinds(file.raw.uri, file.options["encoding"])
            first = _beginning(file)
            refuse_archive(file.raw.uri, first)
            if len(first) < _BEGINNING and not first.removeprefix(b"\xef\xbb\xbf").strip():
                return []  # a log of an idle hour
        header = form.header(file.raw, file.options)
        if file.form == "csv" and stream != "events" and (sign := parting_sign(header)):
            # source.delimiter is that of the events.
            file = replace(file, options={**file.options, "delimiter": sign})
            header = form.header(file.raw, file.options)
        if file.form == "jsonl":
            there = {bronze_name(name).lower() for name in header}
            late = [c for c in required.values() if bronze_name(c).lower() not in there]
            header += json_lines.late_header(file.raw, file.options, late) if late else []
        require_columns(wanted, header, file.label, file.form, file.options, required)
        units = form.units(file.raw, file.label, batch_id, file.options)
    return [replace(unit, modified=file.modified, limit=file.raw.limit) for unit in units]


def _beginning(file: SourceFile) -> bytes:
    """The first bytes of a file's content."""
    with open_raw(file.raw.uri) as stream:
        return bytes(stream.read(_BEGINNING))


def with_mapped(unit: Unit, source: SourceOptions, stream: str) -> Unit:
    """The unit with a column for every mapped key, which a reader of lines may meet late."""
    if unit.source != "jsonl":
        return unit
    *names, other = unit.names
    paths = json.loads(unit.options["paths"])
    for column in wanted_columns(source, stream).values():
        if held_name(column, names) not in names:
            names.append(bronze_name(column))
            paths.append(column.split("."))
    options = {**unit.options, "paths": json.dumps(paths)}
    return replace(unit, names=(*names, other), options=options)


def plan_streams(source: SourceOptions) -> dict[str, list[Unit]]:
    """Units of every stream, as if no file were known yet.

    Raises
    ------
    SourceError
        As :func:`find_streams` and :func:`plan_file`, and if the events have no row.
    """
    plans = {
        stream: [u for file in files for u in plan_file(source, stream, file, file.checksum())]
        for stream, files in find_streams(source).items()
    }
    for stream, units in plans.items():
        require_one_meaning(wanted_columns(source, stream), units)
        plans[stream] = [with_mapped(unit, source, stream) for unit in units]
    if not plans["events"]:
        raise no_events(source)
    return {stream: units for stream, units in plans.items() if units}


def no_events(source: SourceOptions, found: bool = True) -> SourceError:
    """The error for events that are a header and nothing else, or a line that is not full yet."""
    if not found:
        return SourceError(
            f"source.path: {source.path!r} is one line without its end, and was written within "
            f"{source.settle_seconds:g} seconds (source.settle_seconds): it is waited for."
        )
    return SourceError(f"source.path: {source.path!r} has columns and no rows. Expected events.")


def _find(source: SourceOptions, stream: str, path: str, form: str | None) -> list[SourceFile]:
    key = "source.path" if stream == "events" else f"source.{stream}.path"
    if form == "delta":
        found = delta_table.find(path, key, source.version)
        return [SourceFile(file, file.uri, form) for file in found]
    return [_source_file(source, file, form) for file in find_files(path, key)]


def _source_file(source: SourceOptions, file: RawFile, form: str | None) -> SourceFile:
    of_events = form is not None
    options = {"delimiter": _delimiter(source, file, of_events), "encoding": source.encoding}
    if source.quote != '"':
        options["quote"] = source.quote
    if source.escape is not None:
        options["escape"] = source.escape
    if of_events and source.columns:
        names = source.columns
        options["columns"] = ",".join(names) if form == "interactions" else json.dumps(names)
    if of_events and source.skip_lines:
        options["skip_lines"] = str(source.skip_lines)
    return SourceFile(file, file.uri, form or format_of(file.uri, source.format), options)


def _delimiter(source: SourceOptions, file: RawFile, of_events: bool) -> str:
    """As the settings say, else by the file's name; that of a reference stream goes first."""
    tabs = bare_name(file.name).endswith((".tsv", ".tab"))
    if tabs and source.format != "interactions" and not (of_events and source.delimiter):
        return "\t"
    return source.delimiter or ","
