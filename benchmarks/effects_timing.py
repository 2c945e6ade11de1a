"""Estimates in processes of their own, one contestant after the other, with the tree's memory."""

from __future__ import annotations

import json
import statistics
import subprocess
import threading
import time
from collections.abc import Callable


def timed(run: Callable[[], tuple[float, float]], repeats: int) -> dict[str, float]:
    """Median seconds of the repeats, after one that warms up."""
    run()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        estimate, error = run()
        seconds.append(time.perf_counter() - began)
    return {
        "seconds": round(statistics.median(seconds), 3),
        "fastest": round(min(seconds), 3),
        "slowest": round(max(seconds), 3),
        "estimate": estimate,
        "standard_error": error,
    }


def in_process(python: str, script: str, name: str, *arguments: str) -> dict[str, float]:
    """Run ``script --measure name ...``; its last line, and the peak memory of its whole tree."""
    command = [python, script, "--measure", name, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peak = _Peak(process.pid)
    out, err = process.communicate()
    figures = peak.stop()
    if process.returncode:
        raise SystemExit(f"{name} failed:\n{err[-3000:]}")
    return {**json.loads(out.strip().splitlines()[-1]), "tree_mib": figures}


class _Peak:
    """The largest sum of the unique memory of a process and all below it, while it runs."""

    def __init__(self, pid: int):
        import psutil  # the peers' interpreter, which imports this module too, may lack it

        self._psutil = psutil
        self._pid, self._highest, self._done = pid, 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        self._done.set()
        self._thread.join()
        return round(self._highest / 2**20, 1)

    def _watch(self) -> None:
        while not self._done.wait(0.25):
            total = 0
            try:
                root = self._psutil.Process(self._pid)
                for each in [root, *root.children(recursive=True)]:
                    try:
                        total += each.memory_full_info().uss
                    except self._psutil.Error:
                        continue
            except self._psutil.Error:
                continue
            self._highest = max(self._highest, total)


def importable(python: str, module: str) -> bool:
    """Whether an interpreter has a module."""
    command = [python, "-c", f"import {module}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
