"""The main job on a few real households, run as a user runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests.own_process import Finished, in_a_process, in_this_process
from truelift.lake.tables import TABLES

SMALL = (
    "sample=0.03",
    "buckets=10",
    "sequence.training.epochs=1",
    "sequence.network.units=16",
    "spark.master=local[2]",
    "spark.driver_memory=2g",
    # 74 households of 2,469: too few for the default, which guards real analyses.
    "effects.support.min_clusters_per_arm=5",
    "loop.users=300",
    "loop.rounds=2",
    "loop.worlds=2",
    "loop.strategies=[click_greedy,effect]",
)


@dataclass(frozen=True)
class Workspace:
    """A folder with a lake, an MLflow store and a report in it."""

    folder: Path

    def alone(self, *arguments: str) -> Finished:
        """Run the pipeline with the small settings as a user does: a process, and its own Spark."""
        return in_a_process(self.folder, *self._pipeline(*arguments))

    def pipeline(self, *arguments: str, settings: tuple[str, ...] = ()) -> Finished:
        """The same call in this process, on the session that is there."""
        return in_this_process(self.folder, *self._pipeline(*arguments, settings=settings))

    def _pipeline(self, *arguments: str, settings: tuple[str, ...] = ()) -> list[str]:
        options = [x for item in (*SMALL, *settings) for x in ("--set", item)]
        return ["run_pipeline", "--lake", "lake", *options, *arguments]

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
    return workspace.alone()


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
