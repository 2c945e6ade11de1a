"""Starting the ranks, as local processes or inside Spark tasks, and again where one was lost."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from truelift.arrays.archive import from_bytes
from truelift.distributed.lifeline import end_in_time, end_with_parent
from truelift.distributed.processes import (
    START_SECONDS,
    OnProgress,
    RankLost,
    error_from,
    horovod_bounds,
    run_processes,
)
from truelift.distributed.rank import failure
from truelift.distributed.watch import RankWatch
from truelift.errors import JobFailure
from truelift.training import checkpoints
from truelift.training.owner import new_token
from truelift.training.rank import RankJob, RankResult, handed_over, run
from truelift.typed import from_plain

Outcome = tuple[RankResult, dict[str, np.ndarray]]


def launch(job: RankJob, folder: Path, on_progress: OnProgress | None = None) -> Outcome:
    """Train with ``job.sequence.ranks.processes`` ranks and return what rank 0 found.

    Where a rank is killed, dies without a word or hangs, all are stopped and started again, up
    to ``sequence.recovery.restarts`` times; they go on from the newest checkpoint. A rank that raises an
    error of its own would raise it again, so that ends the training.

    Parameters
    ----------
    job : RankJob
        Without ``checkpoints`` they are kept in ``folder`` (local launcher) or not at all
        (Spark tasks have no folder in common).
    folder : Path
        Scratch directory on this machine.
    on_progress : callable, optional
        Gets ``{"text", "done", "total"}`` while the ranks work (local launcher only).

    Raises
    ------
    TrueliftError
        What a rank raised, where that was one of ours.
    JobFailure
        For any other failure of a rank, with the end of its log, when no restart is left, and
        when ``sequence.recovery.timeout_seconds`` have passed.
    """
    start = {"local": _launch_local, "spark": _launch_spark}[job.sequence.ranks.launcher]
    tell = on_progress or (lambda event: None)
    deadline = time.monotonic() + job.sequence.recovery.timeout_seconds
    restarts = job.sequence.recovery.restarts
    if job.checkpoints is None and job.sequence.ranks.launcher == "local":
        job = replace(job, checkpoints=str(folder / "checkpoints"))
    owner = job.owner or new_token()
    lost: list[str] = []
    while True:
        place = folder / f"start-{len(lost) + 1}"
        place.mkdir(parents=True)
        try:
            result, weights = start(_owned(job, owner, len(lost), tell), place, tell, deadline)
            return replace(result, restarts=tuple(lost)), weights
        except RankLost as error:
            if time.monotonic() > deadline:
                raise JobFailure(
                    "Training did not end within sequence.recovery.timeout_seconds = "
                    f"{job.sequence.recovery.timeout_seconds}; the ranks have ended. Give it more "
                    "time, or train less."
                ) from error
            if len(lost) == restarts:
                raise JobFailure(
                    f"{error}\n  sequence.recovery.restarts = {restarts}: no restart is left."
                ) from error
            lost.append(str(error).splitlines()[0])
            count = f"restart {len(lost)} of {restarts}"
            tell({"text": f"{count}: {lost[-1]}"})


def _owned(job: RankJob, owner: str, restarts: int, tell: OnProgress) -> RankJob:
    """The job of one start, which has become the owner of its checkpoint folder.

    It is claimed here and not by a rank: one that comes late, of a launcher that is gone, must not
    take the folder from the training that was started in its place.
    """
    if job.checkpoints is None:
        return job
    token = f"{owner}.{restarts + 1}"
    before = checkpoints.CheckpointFolder(job.checkpoints).claim(token)
    if before is not None:
        tell({"text": f"takes over the checkpoints of {before}"})
    return replace(job, owner=token)


# ---------------------------------------------------------------- processes on this machine


def _launch_local(job: RankJob, folder: Path, on_progress: OnProgress, deadline: float) -> Outcome:
    given = replace(job, progress=str(folder / "progress.jsonl"), heartbeats=str(folder))
    job_json, arrays = handed_over(given)
    (folder / "job.json").write_text(job_json, encoding="utf-8")
    (folder / "arrays.npz").write_bytes(arrays)
    options = job.sequence
    run_processes(
        "truelift.training.rank", folder, options.ranks.processes, options.ranks.threads_per_process,
        ("sequence.recovery.timeout_seconds", options.recovery.timeout_seconds), on_progress,
        RankWatch(folder, options.recovery.hang_seconds), deadline,
    )  # fmt: skip
    result = from_plain(RankResult, json.loads((folder / "result.json").read_text()))
    return result, from_bytes((folder / "weights.npz").read_bytes())


# ---------------------------------------------------------------- Spark tasks


def _launch_spark(job: RankJob, folder: Path, on_progress: OnProgress, deadline: float) -> Outcome:  # noqa: ARG001
    import horovod.runner.common.util.timeout
    import horovod.runner.launch
    import horovod.spark

    horovod.runner.launch.gloo_built = lambda verbose=False: True  # as in processes.py
    count = job.sequence.ranks.processes
    on_progress({"text": f"{count} ranks in Spark tasks", "done": 0, "total": 0})
    asked = f"Each rank needs a free task slot: {count} were asked for."
    try:
        outcomes = horovod.spark.run(
            run_in_task,
            args=(*handed_over(job), deadline - time.monotonic()),
            num_proc=count,
            start_timeout=START_SECONDS,
            use_gloo=True,
            nics=list(job.sequence.ranks.network_interfaces) or None,
            env={**os.environ, **_stall_bounds(job.sequence.recovery.hang_seconds)},
            verbose=0,
        )
    except horovod.runner.common.util.timeout.TimeoutException as error:
        raise JobFailure(f"Training: the Spark tasks did not start: {error} {asked}") from error
    except Exception as error:  # Horovod raises plain exceptions of several kinds
        raise RankLost(f"Training: the ranks in Spark tasks failed: {error}. {asked}") from error
    failures = [o for o in outcomes if "error" in o]
    if failures:
        raise error_from(failures, "a rank failed", "")
    first = next(o for o in outcomes if o["rank"] == 0)
    return from_plain(RankResult, first["result"]), from_bytes(first["weights"])


def _stall_bounds(hang_seconds: int) -> Mapping[str, str]:
    """Horovod's own watch: there is no folder in which tasks could leave signs of life."""
    return {
        **horovod_bounds(),
        "HOROVOD_STALL_CHECK_TIME_SECONDS": str(max(hang_seconds // 2, 1)),
        "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS": str(hang_seconds),
    }


def run_in_task(job_json: str, arrays: bytes, seconds: float) -> dict[str, Any]:
    """A rank inside a Spark task; its failure comes back as a value.

    It ends with what started it: Horovod looks each second whether its parent is the same, and so
    does the kernel for a rank that cannot look. And it ends when ``seconds`` have passed.
    """
    end_with_parent()
    end_in_time(seconds)
    try:
        return run(job_json, arrays)
    except Exception as error:
        return failure(int(os.environ.get("HOROVOD_RANK", "0")), error)
