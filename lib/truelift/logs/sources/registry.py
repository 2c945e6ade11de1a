"""The formats that truelift reads, and the plan of a data set's raw streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from truelift.errors import SourceError
from truelift.logs.sources import complete_journey, csv_rows, json_lines, parquet_rows
from truelift.logs.sources.columns import bronze_name
from truelift.logs.sources.files import RawFile, find_files, fingerprint
from truelift.logs.sources.unit import STREAMS, Unit
from truelift.settings import MappingOptions, ReferenceOptions, SourceOptions


@dataclass(frozen=True)
class FileFormat:
    """A format of files: how its columns are found, cut into units and read."""

    header: Callable[[RawFile, dict[str, str]], list[str]]
    units: Callable[[RawFile, str, str, dict[str, str]], list[Unit]]
    suffixes: tuple[str, ...]


FORMATS: dict[str, FileFormat] = {
    "csv": FileFormat(csv_rows.header, csv_rows.units, (".csv", ".tsv", ".txt")),
    "jsonl": FileFormat(json_lines.header, json_lines.units, (".jsonl", ".ndjson", ".json")),
    "parquet": FileFormat(parquet_rows.header, parquet_rows.units, (".parquet",)),
}
READERS: dict[str, Callable[[Unit], Iterator[pa.RecordBatch]]] = {
    "csv": csv_rows.read,
    "jsonl": json_lines.read,
    "parquet": parquet_rows.read,
    "complete_journey": complete_journey.read,
}


def read(unit: Unit) -> Iterator[pa.RecordBatch]:
    """Rows of a unit: its text columns, ``_corrupt``, ``source_file`` and ``source_row``."""
    return READERS[unit.source](unit)


def plan_streams(source: SourceOptions) -> dict[str, list[Unit]]:
    """Units of every stream that the source has.

    Raises
    ------
    SourceError
        For a missing or empty file, a pattern without a match, or a mapped column that a
        file lacks (its columns are listed).
    """
    if source.format == "complete_journey":
        plans = {stream: complete_journey.units(stream) for stream in STREAMS}
        for stream, units in plans.items():
            for key, column in wanted_columns(source, stream).items():
                _require_column(key, column, units[0].names, units[0].source_file)
        return plans
    if not source.path:
        raise SourceError(
            f"source.path is not set; format {source.format!r} needs a file, folder or pattern."
        )
    plans = {"events": _plan_files(source, "events", source.path, source.format)}
    if not plans["events"]:
        raise SourceError(f"source.path: {source.path!r} has columns and no rows. Expected events.")
    for stream in STREAMS[1:]:
        reference: ReferenceOptions | None = getattr(source, stream)
        path = reference.path if reference is not None else None
        if path and (units := _plan_files(source, stream, path, None)):
            plans[stream] = units
    return plans


def wanted_columns(source: SourceOptions, stream: str) -> dict[str, str]:
    """The source columns that the configuration names for a stream, by configuration key."""
    if stream == "events":
        return mapped_columns(source.mapping)
    reference: ReferenceOptions | None = getattr(source, stream)
    columns = reference.columns if reference is not None else {}
    return {f"source.{stream}.columns.{target}": name for target, name in columns.items()}


def user_column(source: SourceOptions, stream: str) -> str:
    """The column of bronze that holds a stream's user."""
    reference: ReferenceOptions | None = getattr(source, stream, None)
    if stream == "events":
        return bronze_name(source.mapping.user)
    if reference is not None and "user" in reference.columns:
        return bronze_name(reference.columns["user"])
    return complete_journey.USER if source.format == "complete_journey" else "user"


def mapped_columns(mapping: MappingOptions) -> dict[str, str]:
    """Configuration key to source column, for every mapped field of an event."""
    fields = ("user", "item", "time", "event_type", "quantity", "value", "session", "event_id")
    named = {f"source.mapping.{f}": getattr(mapping, f) for f in fields if getattr(mapping, f)}
    return {**named, **{f"source.mapping.context[{c}]": c for c in mapping.context}}


def _plan_files(source: SourceOptions, stream: str, path: str, name: str | None) -> list[Unit]:
    key = "source.path" if stream == "events" else f"source.{stream}.path"
    result: list[Unit] = []
    for file in find_files(path, key):
        found = name or _format_of(file.uri, source.format)
        form = FORMATS[found]
        wanted = wanted_columns(source, stream)
        delimiter = "\t" if ".tsv" in file.name.lower()[-8:] and name is None else source.delimiter
        options = {"delimiter": delimiter, "encoding": source.encoding}
        header = [bronze_name(column) for column in form.header(file, options)]
        for setting, column in wanted.items():
            _require_column(setting, column, header, file.uri, delimiter, found)
        result += form.units(file, file.uri, fingerprint(file), options)
    return result


def _format_of(uri: str, default: str) -> str:
    lower = uri.lower()
    for packed in (".gz", ".bz2", ".zst", ".lz4"):
        lower = lower.removesuffix(packed)
    for name, form in FORMATS.items():
        if lower.endswith(form.suffixes):
            return name
    return default


def _require_column(
    key: str,
    column: str,
    found: Sequence[str],
    file: str,
    delimiter: str = ",",
    form: str = "parquet",
) -> None:
    if bronze_name(column) in found:
        return
    hint = ""
    if form == "csv" and len(found) == 1:
        hint = f" It has one column only: is {delimiter!r} the delimiter (source.delimiter)?"
    raise SourceError(
        f"{key} names the column {column!r}, which {file} does not have. "
        f"Columns found: {', '.join(found)}.{hint}"
    )
