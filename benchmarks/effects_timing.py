"""Estimates in processes of their own, one contestant after the other, with the tree's memory."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
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


def compared(
    script: str, ours: tuple[str, ...], peers: str, repeats: int, truth: float, *arguments: str
) -> dict[str, dict[str, float]]:
    """Figures of ours and of the peers that can be imported, a process each.

    Parameters
    ----------
    script : str
        Understands ``--measure NAME`` and the arguments.
    ours : tuple of str
        Names that run in this interpreter.
    peers : str
        Comma-separated names that run in the peers' environment.
    """
    from peers import peer_environment

    runs = dict.fromkeys(ours, sys.executable)
    if wanted := [name for name in peers.split(",") if name]:
        python = peer_environment()
        runs |= {name: python for name in wanted if importable(python, name)}
    figures = {}
    for name, python in runs.items():
        found = in_process(python, script, name, "--repeats", str(repeats), *arguments)
        figures[name] = {**found, "truth": truth}
        print(
            f"{name}: {found['seconds']:.2f} s (median of {repeats}), {found['tree_mib']:,.0f} MiB, "
            f"estimate {found['estimate']:.4f} +- {found['standard_error']:.4f}, truth {truth:.4f}",
            flush=True,
        )
    return figures
