"""The main job on a few real households, run as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from deltalake import DeltaTable

from truelift.lake.tables import TABLES

ROOT = Path(__file__).resolve().parents[2]
SMALL = (
    "sample=0.03",
    "buckets=10",
    "sequence.epochs=1",
    "sequence.units=16",
    "spark.master=local[2]",
    "spark.driver_memory=2g",
    # 74 households of 2,469: too few for the default, which guards real analyses.
    "effects.support.min_clusters_per_arm=5",
)


@dataclass(frozen=True)
class Finished:
    """A command that ended: its exit code and what it printed."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Workspace:
    """A folder with a lake, an MLflow store and a report in it."""

    folder: Path

    def truelift(self, *arguments: str, timeout: float = 600) -> Finished:
        """Run ``truelift ...`` in the folder, in a process of its own."""
        path = os.pathsep.join(filter(None, [str(ROOT / "lib"), os.environ.get("PYTHONPATH")]))
        done = subprocess.run(
            [sys.executable, "-m", "truelift.cli", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def pipeline(self, *arguments: str, settings: tuple[str, ...] = ()) -> Finished:
        """Run the pipeline with the small settings."""
        options = [x for item in (*SMALL, *settings) for x in ("--set", item)]
        return self.truelift("run_pipeline", "--lake", "lake", *options, *arguments)

    def versions(self) -> dict[str, int]:
        """Delta version of every table there is."""
        uris = {name: self.folder / "lake" / name.replace(".", "/") for name in TABLES}
        return {n: DeltaTable(u).version() for n, u in uris.items() if DeltaTable.is_deltatable(u)}

    def table(self, name: str):
        """A table as pandas."""
        uri = self.folder / "lake" / name.replace(".", "/")
        return DeltaTable(uri).to_pandas()


@pytest.fixture(scope="session")
def workspace(tmp_path_factory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("pipeline"))


@pytest.fixture(scope="session")
def first(workspace) -> Finished:
    """The first run of the whole pipeline."""
    return workspace.pipeline()


@pytest.fixture(scope="session")
def steps() -> Callable[[str], dict[str, str]]:
    """The lines that a run printed, by step."""
    from truelift.pipeline import STEPS

    def parse(out: str) -> dict[str, str]:
        lines = {}
        for line in out.splitlines():
            for step in STEPS:
                finished = "→" in line or "unchanged, skipped" in line
                if finished and line.startswith(f"{step.name} "):
                    lines[step.name] = line
        return lines

    return parse
