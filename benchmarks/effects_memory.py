"""Peak memory of the effect step on a table and on one with ten times the rows.

    python benchmarks/effects_memory.py [--rows 200000] [--factor 10] [--covariates 20]

Each run is the real step (`estimate_effects`: passes, `gold.scores`, `gold.effects`) in a
process of its own, on Spark's local-cluster, so that the driver's JVM and the executor's are
two processes. They, the Python driver and each Python worker are watched apart, every 50 ms.
A JVM takes what its heap allows before it collects garbage: each may use 1 GiB of heap at
either size. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PARTS = ("driver_python", "driver_jvm", "executor_jvm", "largest_worker", "all_workers")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--factor", type=int, default=10)
    parser.add_argument("--covariates", type=int, default=20)
    parser.add_argument("--buckets", type=int, default=40)
    parser.add_argument(
        "--master", default="local-cluster[1,2,1024]", help="Spark master (default: %(default)s)"
    )
    parser.add_argument("--out", default="benchmarks/results/effects_memory.json")
    parser.add_argument("--write", help=argparse.SUPPRESS)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        from simulated_table import write_panel

        write_panel(options.write, options.rows, options.covariates, options.buckets)
        return
    if options.step:
        run_step_at(options.step, options.buckets, options.master)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started ends too
    figures = {}
    for name, rows in (("1x", options.rows), (f"{options.factor}x", options.rows * options.factor)):
        figures[name] = measure(rows, options)
        print(line(name, figures[name]), flush=True)
    one, many = figures.values()
    result = {
        "benchmark": "effects_memory",
        "figures": figures,
        "ratios": {
            part: round(many[f"{part}_mib"] / one[f"{part}_mib"], 3)
            for part in PARTS
            if one[f"{part}_mib"]
        },
    }
    out = Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


def line(name: str, figures: dict[str, float]) -> str:
    parts = ", ".join(f"{p.replace('_', ' ')} {figures[f'{p}_mib']:,.0f} MiB" for p in PARTS)
    return (
        f"{name}: {figures['rows']:,} rows, {figures['seconds']:.1f} s with start-up; peak: {parts}"
    )


def measure(rows: int, options: argparse.Namespace) -> dict[str, float]:
    """Write a table, run the step on it in a process, and watch that process's tree."""
    place = tempfile.mkdtemp(prefix="truelift-memory-")
    itself = [sys.executable, __file__, "--covariates", str(options.covariates)]
    itself += ["--buckets", str(options.buckets), "--rows", str(rows), "--master", options.master]
    try:
        subprocess.run([*itself, "--write", f"{place}/lake/gold/panel"], check=True)
        began = time.monotonic()
        with open(f"{place}/log", "w") as log:
            command = [*itself, "--step", place]
            child = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, env=environment()
            )
            try:
                peaks = watch(child)
            finally:
                if child.poll() is None:
                    os.killpg(child.pid, signal.SIGKILL)
        seconds = time.monotonic() - began
        output = Path(f"{place}/log").read_text()
        if child.returncode:
            raise SystemExit(f"The step failed with exit code {child.returncode}:\n{output}")
        step = json.loads(next(t for t in output.splitlines() if t.startswith('{"step_seconds"')))
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return {"rows": rows, "seconds": round(seconds, 2), **peaks, **step}


def environment() -> dict[str, str]:
    """Ours, with truelift on the path of executors that start in a folder of their own."""
    import truelift

    places = [str(Path(truelift.__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}


def watch(child: subprocess.Popen[bytes]) -> dict[str, float]:
    """Peak resident memory by part of the process tree, in MiB."""
    peaks = dict.fromkeys(PARTS, 0.0)
    while child.poll() is None:
        now = dict.fromkeys(PARTS, 0.0)
        for pid, name in descendants(child.pid).items():
            size = resident_mib(pid)
            if pid == child.pid:
                now["driver_python"] = size
            elif name == "java":
                now["executor_jvm" if is_executor(pid) else "driver_jvm"] += size
            elif name.startswith("python"):  # a JVM about to exec has a thread's name: not ours
                now["all_workers"] += size
                now["largest_worker"] = max(now["largest_worker"], size)
        peaks = {part: max(peaks[part], now[part]) for part in PARTS}
        time.sleep(0.05)
    return {f"{part}_mib": round(value, 1) for part, value in peaks.items()}


def descendants(root: int) -> dict[int, str]:
    """Process ids of a tree, with each process's name."""
    parents: dict[int, tuple[int, str]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                text = Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            name, rest = text[text.index("(") + 1 :].rsplit(")", 1)
            parents[int(entry)] = (int(rest.split()[1]), name)
    tree = {root: parents.get(root, (0, ""))[1]}
    grown = True
    while grown:
        found = {p: n for p, (up, n) in parents.items() if up in tree and p not in tree}
        tree.update(found)
        grown = bool(found)
    return tree


def is_executor(pid: int) -> bool:
    try:
        return b"CoarseGrainedExecutorBackend" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def resident_mib(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 2**20
    except (OSError, IndexError):
        return 0.0


def run_step_at(place: str, buckets: int, master: str) -> None:
    """The effect step on the lake at ``place``; prints its figures as JSON."""
    from truelift.pipeline import run_step
    from truelift.settings import Settings, SparkOptions, TrackingOptions

    settings = Settings(
        dataset="simulated",
        lake=f"{place}/lake",
        buckets=buckets,
        tracking=TrackingOptions(uri=f"sqlite:///{place}/mlflow.db", artifacts=f"{place}/runs"),
        spark=SparkOptions(master=master, driver_memory="1g"),
    )
    outcome = run_step("estimate_effects", settings)
    result = outcome.record.results["EffectsResult"]
    ate = result["estimates"][0]
    print(
        json.dumps(
            {
                "step_seconds": outcome.record.seconds,
                "ate": ate["estimate"],
                "standard_error": ate["standard_error"],
                "passes": result["nuisance"]["passes"],
            }
        )
    )


if __name__ == "__main__":
    main()
