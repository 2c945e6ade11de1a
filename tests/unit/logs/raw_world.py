"""A folder of raw files and a lake that takes them in."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.conftest import RecordingRun
from truelift.job import Job
from truelift.lake import Lake
from truelift.lake.arrow_table import read_rows
from truelift.logs import ingest as module
from truelift.logs.ingest import ingest
from truelift.logs.results import IngestResult
from truelift.settings import MappingOptions, Settings, SourceOptions
from truelift.typed import from_plain

MAPPING = MappingOptions(user="u", item="i", time="t")
HEADER = "u,i,t"


class Crash(Exception):
    """The process was killed here."""


class World:
    """A folder of raw files and a lake."""

    def __init__(self, root, monkeypatch):
        self.raw, self.lake_path, self.patch = root / "raw", root / "lake", monkeypatch
        self.raw.mkdir()
        self.options = {"format": "csv", "path": str(self.raw / "*.csv"), "mapping": MAPPING}

    def settings(self, **changes):
        source = SourceOptions(**self.options)
        return Settings(lake=str(self.lake_path), source=source, **changes)

    def write(self, name, *lines, header=HEADER):
        path = self.raw / name
        path.write_text("\n".join([header, *lines]) + "\n")
        return path

    def run(self, **changes):
        chosen = self.settings(**changes)
        job = Job("ingest", chosen, Lake(chosen), {}, "f", RecordingRun(), self.raw)
        ingest(job)
        return from_plain(IngestResult, job.results["IngestResult"])

    def crash(self):
        """An ingest that dies between bronze and its manifest."""

        def die(*_):
            raise Crash

        with self.patch.context() as patch:
            patch.setattr(module, "_record", die)
            with pytest.raises(Crash):
                self.run()

    def rows(self, table="bronze.events"):
        whole = read_rows(Lake(self.settings()).uri(table))
        return [] if whole is None else whole.to_pylist()

    def users(self):
        return Counter(row["u"] for row in self.rows())

    def manifest(self):
        return self.rows("ops.ingested_files")
