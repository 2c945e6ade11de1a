"""A small data set of one's own for the Spark tests of the logs room."""

from __future__ import annotations

from pathlib import Path

import yaml

MAPPING = {"user": "u", "item": "i", "time": "t", "quantity": "q", "value": "v"}
HEADER = "u,i,t,q,v"


def write_dataset(folder: Path, source: dict, **sections) -> str:
    """A data set's YAML; its path is what ``make_settings(dataset=...)`` takes."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "own.yaml"
    source = {"format": "csv", "mapping": MAPPING, **source}
    path.write_text(yaml.safe_dump({"source": source, "buckets": 5, **sections}))
    return str(path)


def write_csv(path: Path, *lines: str, header: str = HEADER) -> str:
    """A file of literal lines under a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *lines]) + "\n")
    return str(path)


def rows_of(frame, *columns):
    """The rows as sorted tuples."""
    found = [tuple(row) for row in frame.select(*columns).collect()]
    return sorted(found, key=lambda row: tuple(str(value) for value in row))
