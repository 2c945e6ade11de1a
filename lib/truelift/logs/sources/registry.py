"""The formats that truelift reads, by name: ours, and those of other packages."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from truelift.files.damage import readable
from truelift.logs.sources.file_format import FileFormat
from truelift.logs.sources.unit import Unit
from truelift.registry import Registry

#: Formats of files (``source.format``), in the order in which a file's ending is looked for.
FORMATS: Registry[FileFormat] = Registry(
    "truelift.formats",
    {
        "csv": "truelift.logs.sources.csv_rows:CSV",
        "jsonl": "truelift.logs.sources.json_lines:JSONL",
        "parquet": "truelift.logs.sources.parquet_rows:PARQUET",
        "access_log": "truelift.logs.sources.access_log:ACCESS_LOG",
        "w3c": "truelift.logs.sources.w3c:W3C",
        "alb": "truelift.logs.sources.load_balancer:ALB",
        "caddy": "truelift.logs.sources.json_requests:CADDY",
        "nginx_json": "truelift.logs.sources.json_requests:NGINX_JSON",
        "interactions": "truelift.logs.sources.interactions:INTERACTIONS",
        "otto": "truelift.logs.sources.otto:OTTO",
        "delta": "truelift.logs.sources.delta_table:DELTA",
        "complete_journey": "truelift.logs.sources.complete_journey:COMPLETE_JOURNEY",
    },
)
PACKED = (".gz", ".bz2", ".zst", ".lz4")


def read(unit: Unit) -> Iterator[pa.RecordBatch]:
    """Rows of a unit: its text columns, ``_corrupt``, ``source_file`` and ``source_row``."""
    with readable(unit.source_file):
        yield from FORMATS.row(unit.source).read(unit)


def format_of(uri: str, default: str) -> str:
    """The format that a file's name tells, packed or not."""
    lower = bare_name(uri)
    named = (form.name for form in FORMATS if lower.endswith(form.suffixes))
    return next(named, default)


def bare_name(uri: str) -> str:
    """A file's name in lower case without the ending that says how it is packed."""
    lower = uri.lower()
    for packed in PACKED:
        lower = lower.removesuffix(packed)
    return lower
