"""Starting the ranks: as local processes through ``horovodrun``, or inside Spark tasks."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from truelift.errors import JobFailure
from truelift.training import checkpoints
from truelift.training.processes import (
    START_SECONDS,
    OnProgress,
    error_from,
    horovod_bounds,
    run_processes,
)
from truelift.training.rank import RankJob, RankResult, failure, run
from truelift.typed import from_plain, to_plain


def launch(
    job: RankJob, folder: Path, on_progress: OnProgress | None = None
) -> tuple[RankResult, dict[str, np.ndarray]]:
    """Train with ``job.sequence.processes`` ranks and return what rank 0 found.

    Parameters
    ----------
    job : RankJob
    folder : Path
        Empty scratch directory on this machine.
    on_progress : callable, optional
        Gets ``{"text", "done", "total"}`` while the ranks work (local launcher only).

    Raises
    ------
    TrueliftError
        What a rank raised, where that was one of ours.
    JobFailure
        For any other failure of a rank, with the end of its log, and when
        ``sequence.timeout_seconds`` have passed.
    """
    launchers = {"local": _launch_local, "spark": _launch_spark}
    return launchers[job.sequence.launcher](job, folder, on_progress or (lambda event: None))


# ---------------------------------------------------------------- processes on this machine


def _launch_local(
    job: RankJob, folder: Path, on_progress: OnProgress
) -> tuple[RankResult, dict[str, np.ndarray]]:
    given = replace(
        job, progress=str(folder / "progress.jsonl"), checkpoint=str(folder / "best.npz")
    )
    (folder / "job.json").write_text(json.dumps(to_plain(given)), encoding="utf-8")
    options = job.sequence
    limit = ("sequence.timeout_seconds", float(options.timeout_seconds))
    run_processes(
        "truelift.training.rank", folder, options.processes, options.threads_per_process, limit,
        on_progress,
    )  # fmt: skip
    result = from_plain(RankResult, json.loads((folder / "result.json").read_text()))
    return result, checkpoints.from_bytes((folder / "weights.npz").read_bytes())


# ---------------------------------------------------------------- Spark tasks


def _launch_spark(
    job: RankJob, folder: Path, on_progress: OnProgress
) -> tuple[RankResult, dict[str, np.ndarray]]:
    import horovod.runner.launch
    import horovod.spark

    horovod.runner.launch.gloo_built = lambda verbose=False: True  # as in processes.py
    on_progress({"text": f"{job.sequence.processes} ranks in Spark tasks", "done": 0, "total": 0})
    env = {**os.environ, **horovod_bounds()}
    try:
        outcomes = horovod.spark.run(
            run_in_task,
            args=(json.dumps(to_plain(job)),),
            num_proc=job.sequence.processes,
            start_timeout=START_SECONDS,
            use_gloo=True,
            nics=list(job.sequence.network_interfaces) or None,
            env=env,
            verbose=0,
        )
    except Exception as error:  # Horovod raises plain exceptions of several kinds
        raise JobFailure(
            f"Training: the ranks in Spark tasks failed: {error}. Each rank needs a free task "
            f"slot: {job.sequence.processes} were asked for."
        ) from error
    failures = [o for o in outcomes if "error" in o]
    if failures:
        raise error_from(failures, "a rank failed", "")
    first = next(o for o in outcomes if o["rank"] == 0)
    return from_plain(RankResult, first["result"]), checkpoints.from_bytes(first["weights"])


def run_in_task(job_json: str) -> dict[str, Any]:
    """A rank inside a Spark task; its failure comes back as a value."""
    try:
        return run(job_json)
    except Exception as error:
        return failure(int(os.environ.get("HOROVOD_RANK", "0")), error)
