"""What the benchmarks of the logs room share: sessions, timing of whole process trees, results."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from truelift.config import load_settings
from truelift.job import Job
from truelift.lake import Lake
from truelift.lake.session import start_session
from truelift.pipeline import pin_inputs, step_named
from truelift.settings import Settings, SparkOptions
from truelift.steps import StepRecord, StepStore


@dataclass
class Run:
    """Seconds of the wall and of all cores, of repeated runs."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def figures(self, rows: int) -> dict[str, float]:
        """Medians, spread, and CPU microseconds a row."""
        return {
            "seconds": round(statistics.median(self.seconds), 2),
            "fastest": round(min(self.seconds), 2),
            "slowest": round(max(self.seconds), 2),
            "cpu_seconds": round(statistics.median(self.cpu), 2),
            "cpu_microseconds_a_row": round(statistics.median(self.cpu) / rows * 1e6, 3),
        }


class NoRun:
    """An MLflow run that remembers nothing."""

    run_id = "benchmark"

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **options: None


def spark_session(memory: str = "6g") -> Any:
    """The embedded session as the jobs start it, on all cores."""
    return start_session(
        SparkOptions("local[*]", driver_memory=memory, shuffle_partitions=8), "benchmark"
    )


def measured(run: Run, work: Callable[[], Any]) -> Any:
    """Call and add the time it took, of the wall and of this process and all below it."""
    before, start = _cpu(), time.perf_counter()
    result = work()
    run.seconds.append(time.perf_counter() - start)
    run.cpu.append(max(_cpu() - before, 0.0))
    return result


def _cpu() -> float:
    total = 0.0
    process = psutil.Process()
    for each in [process, *process.children(recursive=True)]:
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def run_job(name: str, settings: Settings, lake: Lake, fingerprint: str) -> Job:
    """One step of the pipeline on a lake, without MLflow."""
    with tempfile.TemporaryDirectory() as folder:
        job = Job(
            name, settings, lake, pin_inputs(step_named(name), lake), fingerprint, NoRun(),  # type: ignore[arg-type]
            Path(folder), store=StepStore(lake.root),
        )  # fmt: skip
        report = step_named(name).run(job)
        # The next run goes on from what a step leaves behind, as in the pipeline.
        record = StepRecord(
            name, fingerprint, job.inputs, job.outputs, report.rows_in, report.rows_out, 0.0, {},
            job.results, "benchmark", "benchmark", "",
        )  # fmt: skip
        StepStore(lake.root).write(record)
    return job


def settings_for(dataset: str, lake: str, *overrides: str) -> Settings:
    """Settings of a data set in a lake of its own, its report beside it."""
    return load_settings("local", dataset, [f"report.path={lake}-report", *overrides], lake)


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="truelift-benchmark-") as folder:
        yield Path(folder)


def publish(
    name: str, rows: int, figures: dict[str, Any], ratios: dict[str, float], out: str
) -> None:
    """Print a table and one JSON object, and keep the object in a file."""
    for label, found in figures.items():
        print(f"  {label:<34}" + "  ".join(f"{k} {v}" for k, v in found.items()))
    for label, ratio in ratios.items():
        print(f"  {label:<34}{ratio}")
    result = {"benchmark": name, "rows": rows, "figures": figures, "ratios": ratios}
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Path(out).write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))
