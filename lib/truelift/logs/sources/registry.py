"""The formats that truelift reads, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from truelift.logs.sources import (
    access_log,
    complete_journey,
    csv_rows,
    delta_table,
    interactions,
    json_lines,
    load_balancer,
    otto,
    parquet_rows,
    w3c,
)
from truelift.logs.sources.damage import readable
from truelift.logs.sources.files import RawFile, fingerprint
from truelift.logs.sources.json_requests import JsonRequests
from truelift.logs.sources.unit import Unit

__all__ = ["FORMATS", "PACKED", "TEXT_FORMATS", "FileFormat", "format_of", "read"]


@dataclass(frozen=True)
class FileFormat:
    """A format of files: how its columns are found, cut into units and read.

    ``identify`` names a file's content; ``suffixes`` are those by which a file of a reference
    stream is known to be of this format.
    """

    header: Callable[[RawFile, dict[str, str]], list[str]]
    units: Callable[[RawFile, str, str, dict[str, str]], list[Unit]]
    read: Callable[[Unit], Iterator[pa.RecordBatch]]
    suffixes: tuple[str, ...] = ()
    identify: Callable[[RawFile], str] = fingerprint


FORMATS: dict[str, FileFormat] = {
    "csv": FileFormat(
        csv_rows.header, csv_rows.units, csv_rows.read, (".csv", ".tsv", ".tab", ".txt")
    ),
    "jsonl": FileFormat(
        json_lines.header, json_lines.units, json_lines.read, (".jsonl", ".ndjson", ".json")
    ),
    "parquet": FileFormat(
        parquet_rows.header, parquet_rows.units, parquet_rows.read, (".parquet",)
    ),
    "access_log": FileFormat(access_log.header, access_log.units, access_log.read, (".log",)),
    "w3c": FileFormat(w3c.header, w3c.units, w3c.read),
    "alb": FileFormat(load_balancer.header, load_balancer.units, load_balancer.read),
    **{
        kind: FileFormat(reader.header, reader.units, reader.read)
        for kind, reader in ((kind, JsonRequests(kind)) for kind in ("caddy", "nginx_json"))
    },
    "interactions": FileFormat(interactions.header, interactions.units, interactions.read),
    "otto": FileFormat(otto.header, otto.units, otto.read),
    "delta": FileFormat(
        delta_table.header, delta_table.units, delta_table.read, identify=delta_table.identify
    ),
    "complete_journey": FileFormat(
        complete_journey.header,
        complete_journey.units,
        complete_journey.read,
        identify=complete_journey.identify,
    ),
}
TEXT_FORMATS = (
    "access_log", "alb", "caddy", "csv", "interactions", "jsonl", "nginx_json", "otto", "w3c",
)  # fmt: skip
PACKED = (".gz", ".bz2", ".zst", ".lz4")


def read(unit: Unit) -> Iterator[pa.RecordBatch]:
    """Rows of a unit: its text columns, ``_corrupt``, ``source_file`` and ``source_row``."""
    with readable(unit.source_file):
        yield from FORMATS[unit.source].read(unit)


def format_of(uri: str, default: str) -> str:
    """The format that a file's name tells, packed or not."""
    lower = bare_name(uri)
    named = (name for name, form in FORMATS.items() if lower.endswith(form.suffixes))
    return next(named, default)


def bare_name(uri: str) -> str:
    """A file's name in lower case without the ending that says how it is packed."""
    lower = uri.lower()
    for packed in PACKED:
        lower = lower.removesuffix(packed)
    return lower
