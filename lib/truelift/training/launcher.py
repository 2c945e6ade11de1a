"""Starting the ranks: as local processes through ``horovodrun``, or inside Spark tasks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import psutil

from truelift import errors
from truelift.errors import JobFailure, TrueliftError
from truelift.training import checkpoints
from truelift.training.rank import RankJob, RankResult, failure, run
from truelift.typed import from_plain, to_plain

OnProgress = Callable[[Mapping[str, Any]], None]
# Horovod asks its TensorFlow extension whether it has Gloo, in a process of its own: seconds
# for an answer that the ranks' own start gives anyway.
_HOROVODRUN = (
    "from horovod.runner import launch; launch.gloo_built = lambda verbose=False: True; "
    "launch.run_commandline()"
)
_START_SECONDS = 120


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
    progress = folder / "progress.jsonl"
    progress.touch()
    given = replace(job, progress=str(progress), checkpoint=str(folder / "best.npz"))
    (folder / "job.json").write_text(json.dumps(to_plain(given)), encoding="utf-8")
    log_path = folder / "ranks.log"
    with open(log_path, "wb") as log, open(progress, encoding="utf-8") as events:
        process = subprocess.Popen(
            _command(job.sequence.processes, folder),
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=_environment(job),
            start_new_session=True,
        )
        # Made while it surely lives: psutil then knows the process by its start and never
        # mistakes another for it that got the same number later.
        family_head = psutil.Process(process.pid)
        try:
            code = _wait(process, job.sequence.timeout_seconds, events, on_progress, folder)
        finally:
            _end(process, family_head)
    if code != 0 or not (folder / "result.json").is_file():
        raise _error(folder, log_path, code)
    result = from_plain(RankResult, json.loads((folder / "result.json").read_text()))
    return result, checkpoints.from_bytes((folder / "weights.npz").read_bytes())


def _command(processes: int, folder: Path) -> list[str]:
    rank = [sys.executable, "-m", "truelift.training.rank", str(folder)]
    if processes == 1:
        return rank
    return [
        sys.executable, "-c", _HOROVODRUN, "--gloo", "-np", str(processes),
        "-H", f"localhost:{processes}", "--start-timeout", str(_START_SECONDS), *rank,
    ]  # fmt: skip


def _environment(job: RankJob) -> dict[str, str]:
    """This process's environment, with the path to our code and a bound on every wait."""
    threads = str(job.sequence.threads_per_process)
    paths = [os.path.abspath(p) for p in sys.path if p]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        **_horovod_bounds(),
    }


def _horovod_bounds() -> dict[str, str]:
    return {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "HOROVOD_GLOO_TIMEOUT_SECONDS": str(_START_SECONDS),
        # A rank that never joins a collective ends the run in place of holding it for ever.
        "HOROVOD_STALL_CHECK_TIME_SECONDS": "60",
        "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS": "600",
    }


def _wait(
    process: subprocess.Popen[bytes],
    limit: float,
    events: IO[str],
    on_progress: OnProgress,
    folder: Path,
) -> int:
    deadline = time.monotonic() + limit
    while True:
        code = process.poll()
        for line in events.readlines():
            if line.endswith("\n"):
                on_progress(json.loads(line))
        if code is not None:
            return code
        if time.monotonic() > deadline:
            raise JobFailure(
                f"Training did not end within sequence.timeout_seconds = {limit:.0f}; the "
                f"processes were stopped.{_tail(folder / 'ranks.log')}"
            )
        time.sleep(0.1)


def _end(process: subprocess.Popen[bytes], family_head: psutil.Process) -> None:
    """Stop the launcher and every process below it, whatever group they are in."""
    try:
        family = family_head.children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    for member in family:
        try:
            member.terminate()
        except psutil.NoSuchProcess:
            continue
    if process.poll() is None:
        process.terminate()
    _, alive = psutil.wait_procs(family, timeout=3)
    for member in alive:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _error(folder: Path, log: Path, code: int) -> TrueliftError:
    """The first failure that is a cause: others often only say that a neighbour left."""
    found = [json.loads(p.read_text()) for p in sorted(folder.glob("rank-*.error.json"))]
    how = f"with code {code}" if code >= 0 else f"by signal {-code} (9: often out of memory)"
    return _error_from(found, f"the launcher ended {how}", _tail(log))


def _error_from(failures: list[dict[str, Any]], otherwise: str, tail: str) -> TrueliftError:
    def is_consequence(found: dict[str, Any]) -> bool:
        return "HorovodInternalError" in found["trace"] or "Horovod has been shut" in found["trace"]

    for found in sorted(failures, key=lambda f: (is_consequence(f), f["rank"])):
        ours = getattr(errors, found["error"], None)
        if isinstance(ours, type) and issubclass(ours, TrueliftError):
            return ours(found["message"])
        return JobFailure(
            f"Training: rank {found['rank']} failed with {found['error']}: {found['message']}\n"
            f"{_last_lines(found['trace'])}"
        )
    return JobFailure(f"Training: {otherwise}, and no rank said why.{tail}")


def _tail(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    return f" The end of their log:\n{_last_lines(text)}" if text.strip() else ""


def _last_lines(text: str, count: int = 15) -> str:
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[-count:])


# ---------------------------------------------------------------- Spark tasks


def _launch_spark(
    job: RankJob, folder: Path, on_progress: OnProgress
) -> tuple[RankResult, dict[str, np.ndarray]]:
    import horovod.runner.launch
    import horovod.spark

    horovod.runner.launch.gloo_built = lambda verbose=False: True  # see _HOROVODRUN
    on_progress({"text": f"{job.sequence.processes} ranks in Spark tasks", "done": 0, "total": 0})
    env = {**os.environ, **_horovod_bounds()}
    try:
        outcomes = horovod.spark.run(
            run_in_task,
            args=(json.dumps(to_plain(job)),),
            num_proc=job.sequence.processes,
            start_timeout=_START_SECONDS,
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
        raise _error_from(failures, "a rank failed", "")
    first = next(o for o in outcomes if o["rank"] == 0)
    return from_plain(RankResult, first["result"]), checkpoints.from_bytes(first["weights"])


def run_in_task(job_json: str) -> dict[str, Any]:
    """A rank inside a Spark task; its failure comes back as a value."""
    try:
        return run(job_json)
    except Exception as error:
        return failure(int(os.environ.get("HOROVOD_RANK", "0")), error)
