"""Jobs that are killed with SIGKILL at a boundary of a commit, each in a process of its own.

``python killed_job.py DATASET LAKE:JOB:WHEN:TABLE ...`` with WHEN one of ``before``, ``inside`` and
``after`` the commit to the table. One Java serves them: a process is forked for each from one that
has started Spark and done nothing with it, and before and after a commit Java has nothing to do. A
job that dies inside of a write takes Java, its tasks and all other processes with it, so such a one
comes last.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from truelift.config import load_settings
from truelift.lake import Lake
from truelift.lake.session import start_session
from truelift.pipeline import run_step
from truelift.tracking import job_run  # noqa: F401  (imported before anything is patched)


def die(when: str) -> None:
    """Kill this process, in the middle of a write its JVM too, as a machine that loses power would."""
    if when == "inside":
        os.killpg(os.getpgid(0), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def die_when_files_appear(folder: Path) -> None:
    """Kill when the first new data file of a write lies there; the commit is yet to come."""
    before = set(folder.rglob("*.parquet"))
    while set(folder.rglob("*.parquet")) <= before:
        time.sleep(0.002)
    die("inside")


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
                die(when)
            if when == "inside":
                threading.Thread(target=die_when_files_appear, args=(folder,), daemon=True).start()
            result = real(*args, **options)
            die(when)
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


def killed(dataset: str, spark: Any, lake: str, job: str, when: str, table: str) -> int:
    """Run a job in a fork of this process until it is killed; how the fork ended."""
    child = os.fork()
    if not child:
        try:
            arm(when, table, lake)
            settings = load_settings("local", dataset, options(lake), lake)
            run_step(job, settings, Lake.open(settings, spark))
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(1)  # never in good order: Java is the other process's
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def options(lake: str) -> list[str]:
    """Settings of a job on a lake."""
    return [
        "spark.master=local[2]",
        "spark.driver_memory=1g",
        "spark.shuffle_partitions=2",
        f"tracking.uri=sqlite:///{Path(lake).parent}/runs.db",
        f"report.path={lake}-report",
    ]


def main(dataset: str, *cases: str) -> None:
    spark = start_session(load_settings("local", dataset, options("lake"), "lake").spark)
    for case in cases:
        code = killed(dataset, spark, *case.split(":"))
        if code != -signal.SIGKILL:
            raise SystemExit(f"{case}: nobody was killed, it ended with {code}")


if __name__ == "__main__":
    main(*sys.argv[1:])
