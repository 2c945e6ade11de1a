"""Estimates in processes of their own, one contestant after the other, with the tree's memory."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

Figures = dict[str, dict[str, float]]


def effects_parser(description: str, out: str, repeats: int) -> argparse.ArgumentParser:
    """The arguments that the effects' benchmarks have in common."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--covariates", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=repeats)
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", default=f"benchmarks/results/{out}.json")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--table", help=argparse.SUPPRESS)
    return parser


def measure_or_compare(
    name: str,
    options: argparse.Namespace,
    contestant: Callable[[argparse.Namespace], Callable[[], tuple[float, float]]],
    compare: Callable[[argparse.Namespace, str], Figures],
    ratios: Callable[[Figures], dict[str, float]],
) -> None:
    """With ``--measure`` time one contestant; else all, each in a process of its own, and publish.

    Parameters
    ----------
    name : str
        The benchmark's.
    options : argparse.Namespace
        Of a parser made by :func:`effects_parser`.
    contestant : callable
        The run to be timed, for ``options.measure``.
    compare : callable
        Figures of all contestants; told where it may write a table, which is removed afterwards.
    ratios : callable
    """
    if options.measure:
        print(json.dumps(timed(contestant(options), options.repeats)))
        return
    from measuring import publish  # the peers' interpreter lacks what it imports

    with tempfile.TemporaryDirectory(
        prefix=f"truelift-{name}-", ignore_cleanup_errors=True
    ) as place:
        figures = compare(options, f"{place}/panel")
    publish(name, options.rows, figures, ratios(figures), options.out)


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
) -> Figures:
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
