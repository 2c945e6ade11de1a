"""Runs jobs on a lake and, where asked to, kills itself with SIGKILL at a boundary of a commit.

``python killed_job.py DATASET LAKE[,LAKE...] JOB[,JOB...] [WHEN TABLE]`` with WHEN one of
``before``, ``inside`` and ``after`` the commit to the table.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from truelift.config import load_settings
from truelift.lake import Lake
from truelift.pipeline import run_step
from truelift.tracking import job_run  # noqa: F401  (imported before anything is patched)


def die() -> None:
    """Kill this process and its JVM, as a machine that loses power would."""
    os.killpg(os.getpgid(0), signal.SIGKILL)


def die_when_files_appear(folder: Path) -> None:
    """Kill when the first new data file of a write lies there; the commit is yet to come."""
    before = set(folder.rglob("*.parquet"))
    while set(folder.rglob("*.parquet")) <= before:
        time.sleep(0.002)
    die()


def arm(when: str, table: str, root: str) -> None:
    """Make the write to a table deadly."""
    from truelift.lake import arrow_table, bucket_writes, lake
    from truelift.logs import clean, ingest, manifest, quality, staging

    folder = Path(root) / table.replace(".", "/")

    def deadly(real: Any, name_of: Any) -> Any:
        def write(*args: Any, **options: Any) -> Any:
            if name_of(*args) != table:
                return real(*args, **options)
            if when == "before":
                die()
            if when == "inside":
                threading.Thread(target=die_when_files_appear, args=(folder,), daemon=True).start()
            result = real(*args, **options)
            die()
            return result

        return write

    if when == "inside":
        real = bucket_writes.replace_by_kernel
        lake.replace_by_kernel = deadly(real, lambda spark, kernel, plans, uri, spec, *_: spec.name)
        staged = {staging.SILVER, staging.QUARANTINE}
        clean.stage_rows = deadly(staging.stage_rows, lambda *_: table if table in staged else None)
    else:
        real = bucket_writes.commit_files
        bucket_writes.commit_files = deadly(real, lambda uri, spec, *_: spec.name)
        lake.commit_files = bucket_writes.commit_files
    for module in (ingest, manifest, quality):
        module.append_rows = deadly(arrow_table.append_rows, lambda uri, spec, *rest: spec.name)


def main(dataset: str, lakes: str, jobs: str, when: str = "", table: str = "") -> None:
    for lake in lakes.split(","):
        if when:
            arm(when, table, lake)
        options = [
            "spark.master=local[2]",
            "spark.driver_memory=1g",
            "spark.shuffle_partitions=2",
            f"tracking.uri=sqlite:///{Path(lake).parent}/runs.db",
            f"report.path={lake}-report",
        ]
        settings = load_settings("local", dataset, options, lake)
        opened = Lake.open(settings)
        for job in jobs.split(","):
            run_step(job, settings, opened)
    if when:
        raise SystemExit(f"{when} {table}: nobody was killed")


if __name__ == "__main__":
    main(*sys.argv[1:])
