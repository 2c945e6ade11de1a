"""The jobs on a real standalone cluster: submitted with a wheel, equal to the local run."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from deltalake import DeltaTable

from tests.distributed.cluster.conftest import WHEEL_VERSION, Cluster
from tests.own_process import ROOT, in_this_process
from truelift.simulate.log_files import write_logs
from truelift.simulate.logs import simulate_logs

# Submitted jobs, with a JVM to start for driver and executors.
pytestmark = pytest.mark.timeout(1500)

JOBS = ("ingest", "clean", "sessionize", "build_features", "build_panel", "estimate_effects")
TABLES = (
    "bronze.events",
    "silver.events",
    "silver.quarantine",
    "silver.sessions",
    "gold.items",
    "gold.users",
    "gold.sequences",
    "gold.exposures",
    "gold.panel",
    "gold.scores",
    "gold.effects",
)


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    """``arguments(lake)``: the command line of every job on a small simulated shop."""
    folder = tmp_path_factory.mktemp("shop")
    mapping = write_logs(simulate_logs(users=300, days=84, seed=11), folder / "raw")

    def of(lake: Path) -> list[str]:
        items = (
            f"tracking.uri=sqlite:///{folder}/mlflow.db",
            f"tracking.artifacts={folder}/artifacts",
            f"report.path={lake}-report",
            "effects.support.min_clusters_per_arm=5",
            "buckets=10",
            "spark.shuffle_partitions=4",
        )
        return [
            *("--dataset", str(mapping), "--lake", str(lake)),
            *(x for item in items for x in ("--set", item)),
        ]

    return of


@pytest.fixture(scope="module")
def local(spark, tmp_path_factory, arguments) -> Path:
    """A lake made by the same jobs on this machine alone."""
    folder = tmp_path_factory.mktemp("local")
    for job in JOBS:
        done = in_this_process(folder, job, *arguments(folder / "lake"))
        assert done.code == 0, done.err[-4000:]
    return folder / "lake"


def rows_of(lake: Path, table: str) -> list[str]:
    """A table's rows as text in a fixed order; sums of floats may differ in the last digits."""
    frame = DeltaTable(lake / table.replace(".", "/")).to_pandas()
    frame = frame.drop(columns="run_id", errors="ignore")  # names the run that made the rows
    for name in frame.columns:
        if frame[name].dtype.kind == "f":
            frame[name] = frame[name].map(lambda x: f"{x:.9g}")
    return sorted(json.dumps(row, sort_keys=True, default=str) for row in records(frame))


def records(frame) -> list[dict]:
    plain = frame.astype(object).to_dict("records")
    return [{k: _plain(v) for k, v in row.items()} for row in plain]


def _plain(value):
    return value.tolist() if hasattr(value, "tolist") else value


def test_submitted_jobs_make_the_tables_of_the_local_run(
    cluster: Cluster, local, arguments, tmp_path
):
    lake = tmp_path / "lake"
    script = ROOT / "tests" / "distributed" / "cluster" / "cluster_jobs.py"
    cluster.run(script, [",".join(JOBS), *arguments(lake)])
    record = json.loads((lake / "_truelift" / "steps" / "sessionize.json").read_text())
    assert record["code_version"].startswith(WHEEL_VERSION)  # it was the wheel that ran
    for table in TABLES:
        found, wanted = rows_of(lake, table), rows_of(local, table)
        assert len(found) == len(wanted) > 0, table
        assert found == wanted, table


def test_both_workers_ran_executors(cluster: Cluster):
    logs = [(cluster.folder / f"worker-{n}.log").read_text(errors="replace") for n in (1, 2)]
    assert all("Asked to launch executor app-" in log for log in logs)


def test_an_executor_killed_in_the_middle_changes_nothing(
    cluster: Cluster, spark, local, arguments, tmp_path
):
    lake = tmp_path / "lake"
    shutil.copytree(local / "bronze", lake / "bronze")
    job = cluster.submit(ROOT / "jobs" / "clean.py", arguments(lake))
    try:
        killed = kill_one_working_executor(cluster, job)
        assert job.wait(timeout=900) == 0, cluster.log("clean")[-6000:]
    finally:
        job.kill()
    assert not psutil.pid_exists(killed.pid)
    done = in_this_process(tmp_path, "sessionize", *arguments(lake))
    assert done.code == 0, done.err[-4000:]
    for table in ("silver.events", "silver.quarantine", "silver.sessions"):
        assert rows_of(lake, table) == rows_of(local, table), table


def kill_one_working_executor(cluster: Cluster, job: subprocess.Popen) -> psutil.Process:
    """Wait until tasks have finished and others run; then SIGKILL one of two executors."""
    until = time.monotonic() + 900
    while time.monotonic() < until and job.poll() is None:
        finished = cluster.log("clean").count("TaskSetManager: Finished task")
        working = cluster.executors()
        if finished >= 5 and len(working) == 2:
            working[0].kill()
            working[0].wait(timeout=30)
            assert job.poll() is None, "the job ended before its executor was killed"
            return working[0]
        time.sleep(0.1)
    raise AssertionError(f"no two working executors:\n{cluster.log('clean')[-3000:]}")
