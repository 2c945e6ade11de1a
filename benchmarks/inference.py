"""The inference pass alone: sums by cluster of ten scores a row, and the bytes that it reads.

    python benchmarks/inference.py [--rows 20000000] [--repeats 3] [--scores 10]

A Delta table of scores in 40 buckets (units of users together, as written by bucket); the pass adds
them up by user and returns estimates with clustered errors. Beside it, the same columns read by the
same tasks with nothing added up, and one file read with ``read()`` alone, for the disk's rate. The
last line is one JSON object.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake
from measuring import Run, measured, publish, spark_session, workplace

from truelift.arrays.keys import hash_keys
from truelift.effects.panel.columns import number_column
from truelift.inference.clusters import ClusterSums
from truelift.lake.kernels import sum_buckets
from truelift.lake.scan import make_plan

BUCKETS = 40
CHUNK = 500_000


@dataclass(frozen=True)
class InferenceKernel:
    """Sums of scores by cluster, folded to cross-products."""

    names: tuple[str, ...]

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> dict[str, Any]:
        sums = ClusterSums(1 + len(self.names))
        for batch in batches:
            values = np.ones((1 + len(self.names), batch.num_rows))
            for j, name in enumerate(self.names):
                values[1 + j] = number_column(batch, name)
            sums.add(hash_keys(batch.column(batch.schema.get_field_index("user_key"))), values)
        keys, by_cluster = sums.finish()
        return {
            "total": by_cluster.sum(axis=1),
            "cross": by_cluster @ by_cluster.T,
            "clusters": np.array([float(len(keys))]),
        }


@dataclass(frozen=True)
class ReadingKernel:
    """The same columns opened and let go."""

    names: tuple[str, ...]

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> dict[str, Any]:
        return {"rows": np.array([float(sum(batch.num_rows for batch in batches))])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--scores", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", default="benchmarks/results/inference.json")
    options = parser.parse_args()
    spark = spark_session("2g")
    names = tuple(f"score_{j}" for j in range(options.scores))
    with workplace() as folder:
        uri = f"{folder}/scores"
        write_scores(uri, options.rows, names)
        plan = make_plan("scores", uri, ["user_key", *names])
        size = sum(unit.size for unit in plan.units)
        runs = {"inference": Run(), "reading alone": Run()}
        kernels = {"inference": InferenceKernel(names), "reading alone": ReadingKernel(names)}
        for repeat in range(options.repeats + 1):
            for name, kernel in kernels.items():
                run = runs[name] if repeat else Run()  # the first warms up
                state = measured(run, lambda: sum_buckets(spark, kernel, {"s": plan}, BUCKETS))  # noqa: B023
                print(f"{repeat}/{options.repeats} {name}: {run.seconds[-1]:.1f} s", flush=True)
            assert sum(f.rows for f in plan.units) == state["rows"][0]
        rate = disk_rate(folder)
    figures = {name: run.figures(options.rows) for name, run in runs.items()}
    seconds = figures["inference"]["seconds"]
    figures["inference"] |= {
        "rows_a_second": round(options.rows / seconds),
        "mib_a_second": round(size / 2**20 / seconds, 1),
        "mib": round(size / 2**20, 1),
    }
    figures["disk"] = {"mib_a_second": round(rate / 2**20, 1)}
    ratios = {
        "reading alone": round(seconds / figures["reading alone"]["seconds"], 3),
        "disk's own time": round(seconds / (size / rate), 3),
    }
    publish("inference", options.rows, figures, ratios, options.out)


def write_scores(uri: str, rows: int, names: tuple[str, ...]) -> None:
    """About twenty rows a user; each chunk brings users of its own."""
    rng = np.random.default_rng(0)
    for chunk, start in enumerate(range(0, rows, CHUNK)):
        n = min(CHUNK, rows - start)
        user = np.sort(rng.integers(0, max(n // 20, 1), n))
        table = {"user_key": pa.array([f"{chunk}-{u}" for u in user])}
        table |= {name: pa.array(rng.normal(size=n)) for name in names}
        table["bucket"] = pa.array(((user + chunk) % BUCKETS).astype(np.int32))
        write_deltalake(uri, pa.table(table), mode="append", partition_by=["bucket"])


def disk_rate(folder: Path) -> float:
    """Bytes a second of reading the largest data file, as the page cache gives it."""
    file = max(folder.rglob("*.parquet"), key=lambda f: f.stat().st_size)
    began = time.perf_counter()
    size = 0
    for _ in range(20):
        with file.open("rb") as stream:
            while block := stream.read(2**22):
                size += len(block)
    return size / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
