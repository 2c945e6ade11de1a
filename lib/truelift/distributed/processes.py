"""Processes of Horovod on this machine: started, watched, and stopped with all that is below them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import psutil

from truelift import errors
from truelift.distributed.heartbeat import read_beats
from truelift.distributed.lifeline import Lifeline
from truelift.errors import JobFailure, TrueliftError
from truelift.lake.workers import KEPT_MEMORY

OnProgress = Callable[[Mapping[str, Any]], None]
START_SECONDS = 120
# Horovod asks its TensorFlow extension whether it has Gloo, in a process of its own: seconds
# for an answer that the ranks' own start gives anyway.
HOROVODRUN = (
    "import sys; from truelift.distributed.lifeline import follow; follow(sys.argv.pop(1)); "
    "from horovod.runner import launch; launch.gloo_built = lambda verbose=False: True; "
    "launch.run_commandline()"
)


class RankLost(JobFailure):
    """A rank that died without a word, or hung: a new start may do better."""


def run_processes(
    module: str,
    folder: Path,
    processes: int,
    threads: int,
    limit: tuple[str, float],
    on_progress: OnProgress,
    watch: Callable[[], None] = lambda: None,
    deadline: float | None = None,
) -> None:
    """Run ``python -m module folder`` as so many Horovod ranks and wait for them.

    Rank 0 may append progress events to ``progress.jsonl`` in the folder and leaves
    ``result.*`` there; a rank that fails leaves ``rank-N.error.json``. All of them end with this
    process, however it ends; see :mod:`~.lifeline`.

    Parameters
    ----------
    module : str
    folder : Path
        Scratch directory; ``ranks.log`` takes what the ranks print.
    processes, threads : int
        Ranks, and threads of each.
    limit : tuple of (str, float)
        Name of the setting that bounds the time, and its value in seconds.
    on_progress : callable
        Gets each progress event.
    watch : callable
        Called several times a second while they run; what it raises stops them all.
    deadline : float, optional
        When the limit ends, by ``time.monotonic``; by default it begins now.

    Raises
    ------
    TrueliftError
        What a rank raised, where that was one of ours.
    RankLost
        If a rank died without saying why, as one that was killed does.
    JobFailure
        For any other failure of a rank, with the end of its log, and when the time is over.
    """
    progress, log_path = folder / "progress.jsonl", folder / "ranks.log"
    progress.touch()
    with (
        Lifeline(folder),
        open(log_path, "wb") as log,
        open(progress, encoding="utf-8") as events,
    ):
        process = subprocess.Popen(
            _command(module, processes, folder),
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=_environment(threads),
            start_new_session=True,
        )
        # Made while it surely lives: psutil then knows the process by its start and never
        # mistakes another for it that got the same number later.
        family_head = psutil.Process(process.pid)
        try:
            code = _wait(process, limit, events, on_progress, folder, watch, deadline)
        finally:
            _end(process, family_head)
    if code != 0 or not any(folder.glob("result.*")):
        raise _error(folder, log_path, code)


def _command(module: str, processes: int, folder: Path) -> list[str]:
    place = str(folder)
    rank = [sys.executable, "-m", "truelift.distributed.lifeline", place, module, place]
    if processes == 1:
        return rank
    return [
        sys.executable, "-c", HOROVODRUN, place, "--gloo", "-np", str(processes),
        "-H", f"localhost:{processes}", "--start-timeout", str(START_SECONDS), *rank,
    ]  # fmt: skip


def _environment(count: int) -> dict[str, str]:
    """This process's environment, with the path to our code and a bound on every wait."""
    threads = str(count)
    paths = [os.path.abspath(p) for p in sys.path if p]
    return {
        # Horovod's background threads talk to each other at every cycle, whether there is
        # anything to reduce or not; at its default of 1 ms that takes 5 to 9% of each core.
        "HOROVOD_CYCLE_TIME": "3",
        **os.environ,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        **KEPT_MEMORY,
        **horovod_bounds(),
    }


def horovod_bounds() -> dict[str, str]:
    """Environment that bounds every wait of Horovod."""
    return {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "HOROVOD_GLOO_TIMEOUT_SECONDS": str(START_SECONDS),
        # A rank that never joins a collective ends the run in place of holding it for ever.
        "HOROVOD_STALL_CHECK_TIME_SECONDS": "60",
        "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS": "600",
    }


def _wait(
    process: subprocess.Popen[bytes],
    limit: tuple[str, float],
    events: IO[str],
    on_progress: OnProgress,
    folder: Path,
    watch: Callable[[], None],
    deadline: float | None,
) -> int:
    deadline = time.monotonic() + limit[1] if deadline is None else deadline
    while True:
        code = process.poll()
        for line in events.readlines():
            if line.endswith("\n"):
                on_progress(json.loads(line))
        if code is not None:
            return code
        watch()
        if time.monotonic() > deadline:
            raise JobFailure(
                f"Training did not end within {limit[0]} = {limit[1]:.0f}; the "
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
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    return error_from(found, _end_of_processes(folder, text, code), _tail(log))


def _end_of_processes(folder: Path, log: str, code: int) -> str:
    """Which rank ended first and how, as horovodrun says; without it there is one rank."""
    first = re.search(
        r"first process to do so was:\s+Process name: (\d+)\s+Exit code: (-?\d+)", log
    )
    rank, own = (int(first[1]), int(first[2])) if first else (0, code)
    if first is None and code >= 0:
        return f"the processes ended with code {code}"
    number = own - 128 if own > 128 else -own  # as a shell tells it, and as Python does
    if number <= 0:
        return f"rank {rank} ended with code {own}"
    out_of_memory = " (often out of memory)" if number == signal.SIGKILL else ""
    place = next((f", last seen in: {b.doing}" for b in read_beats(folder) if b.rank == rank), "")
    return f"rank {rank} was killed by signal {number}{out_of_memory}{place}"


def error_from(failures: list[dict[str, Any]], otherwise: str, tail: str) -> TrueliftError:
    """The error that failures of ranks (see :func:`~.rank.failure`) amount to."""

    def is_consequence(found: dict[str, Any]) -> bool:
        return "HorovodInternalError" in found["trace"] or "Horovod has been shut" in found["trace"]

    if failures and all(is_consequence(found) for found in failures):
        others = ", ".join(str(found["rank"]) for found in failures)
        return RankLost(f"Training: {otherwise}; rank {others} lost the connection to it.{tail}")
    for found in sorted(failures, key=lambda f: (is_consequence(f), f["rank"])):
        ours = getattr(errors, found["error"], None)
        if isinstance(ours, type) and issubclass(ours, TrueliftError):
            return ours(found["message"])
        return JobFailure(
            f"Training: rank {found['rank']} failed with {found['error']}: {found['message']}\n"
            f"{_last_lines(found['trace'])}"
        )
    return RankLost(f"Training: {otherwise}, and no rank said why.{tail}")


def _tail(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    return f" The end of their log:\n{_last_lines(text)}" if text.strip() else ""


def _last_lines(text: str, count: int = 15) -> str:
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[-count:])
