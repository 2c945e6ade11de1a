"""A job killed before, inside or after any commit, and run again, gives the tables of a calm run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from deltalake import DeltaTable

from tests.own_process import ROOT, environment_kept
from tests.pipeline.killed_job import options
from truelift.config import load_settings
from truelift.lake import Lake
from truelift.pipeline import run_step

# All jobs run before the first test ends.
pytestmark = pytest.mark.timeout(1500)
# Between two commits, after one and before the next are one place; before the first commit
# of a job nothing has happened that its next run could see.
BOUNDARIES = {
    "ingest": [("after", "bronze.events")],
    "clean": [("after", "silver.quarantine"), ("inside", "silver.events")],
    "sessionize": [("after", "silver.sessions")],
}
# The other places cost minutes: TRUELIFT_ALL_BOUNDARIES=1 make test-pipeline ARGS="-k killed"
if os.environ.get("TRUELIFT_ALL_BOUNDARIES"):
    BOUNDARIES = {
        "ingest": [("after", "bronze.events"), ("after", "ops.ingested_files")],
        "clean": [("inside", "silver.quarantine"), ("after", "silver.quarantine"),
                  ("inside", "silver.events"), ("after", "silver.events"),
                  ("after", "ops.quality")],
        "sessionize": [("inside", "silver.sessions"), ("after", "silver.sessions")],
    }  # fmt: skip
ORDER = ("ingest", "clean", "sessionize")
TABLES = ("bronze.events", "silver.events", "silver.quarantine", "silver.sessions")


def lines(day: int) -> list[str]:
    """A delivery: its own day, a repeated row, a late one, and one that is rejected."""
    stamp = f"2024-01-{day:02}"
    rows = [f"u{n},x{n % 3},{stamp} 1{n % 9}:{n:02}:00,1,1" for n in range(24)]
    return [*rows, rows[0], f"u1,late,2024-01-01 10:{day:02}:30,1,1", f"u2,x,never {day},1,1"]


@pytest.fixture(scope="module")
def shop(spark, tmp_path_factory):
    """A folder with a data set, and a lake that holds its first delivery."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "raw").mkdir()
    deliver(folder, 1)
    source = {
        "format": "csv",
        "path": str(folder / "raw" / "*.csv"),
        "mapping": {"user": "u", "item": "i", "time": "t", "quantity": "q", "value": "v"},
    }
    sections = {"buckets": 5, "period": "day", "effects": {"folds": 5}}
    (folder / "own.yaml").write_text(yaml.safe_dump({"source": source, **sections}))
    run(spark, folder, "base", ORDER)
    deliver(folder, 2)
    return folder


def deliver(folder: Path, day: int) -> None:
    text = "\n".join(["u,i,t,q,v", *lines(day)]) + "\n"
    (folder / "raw" / f"{day}.csv").write_text(text)


def run(spark, folder: Path, lake: str, jobs) -> None:
    """Run jobs here, calmly."""
    place = str(folder / lake)
    with environment_kept(folder):
        settings = load_settings("local", str(folder / "own.yaml"), options(place), place)
        for job in jobs:
            run_step(job, settings, Lake.open(settings, spark))


def kill(folder: Path, cases: list[tuple[str, str, str, str]]) -> None:
    """Run jobs (lake, job, when, table) that die, in a process group of their own."""
    script = str(ROOT / "tests" / "pipeline" / "killed_job.py")
    named = [":".join((str(folder / lake), *case)) for lake, *case in cases]
    done = subprocess.run(
        [sys.executable, script, str(folder / "own.yaml"), *named],
        env={**os.environ, "PYTHONPATH": str(ROOT / "lib")},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=500,
        start_new_session=True,
        check=False,
    )
    inside = cases[-1][2] == "inside"
    assert done.returncode == (-signal.SIGKILL if inside else 0), done.stderr[-3000:]


def content(lake: Path) -> dict[str, list[str]]:
    """Rows of the tables; where a rejected row is filed depends on when it came."""
    found = {}
    for name in TABLES:
        frame = DeltaTable(lake / name.replace(".", "/")).to_pandas()
        frame = frame.drop(columns=["file_time", "labels"], errors="ignore")
        if name == "silver.quarantine":
            frame = frame.drop(columns=["period", "bucket"])
        rows = frame.astype(str).to_dict("records")
        found[name] = sorted(str(sorted(row.items())) for row in rows)
    return found


@pytest.fixture(scope="module")
def killed(spark, shop):
    """Lakes by (job, when, table): killed there in the second delivery, then run again."""
    lakes, waiting = {}, []
    before = "base"
    for job in ORDER:
        for when, table in BOUNDARIES[job]:
            lake = f"lake-{len(lakes)}"
            shutil.copytree(shop / before, shop / lake)
            lakes[job, when, table] = lake
            waiting.append((lake, job, when, table))
        shutil.copytree(shop / before, shop / f"done-{job}")
        run(spark, shop, f"done-{job}", [job])
        before = f"done-{job}"
    # A death inside of a write ends what it shares its Java with.
    inside = [case for case in waiting if case[2] == "inside"]
    outside = [case for case in waiting if case[2] != "inside"]
    kill(shop, [*outside, inside[0]])
    for case in inside[1:]:
        kill(shop, [case])
    for (job, *_), lake in lakes.items():
        run(spark, shop, lake, ORDER[ORDER.index(job) :])
    return {case: shop / lake for case, lake in lakes.items()}


@pytest.mark.parametrize(
    ("job", "when", "table"),
    [(job, when, table) for job, found in BOUNDARIES.items() for when, table in found],
)
def test_a_killed_job_run_again_gives_the_tables_of_a_calm_run(shop, killed, job, when, table):
    found, wanted = content(killed[job, when, table]), content(shop / "done-sessionize")
    for name in TABLES:
        assert len(wanted[name]) > 0
        assert found[name] == wanted[name], name
