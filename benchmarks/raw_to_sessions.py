"""Raw files to sessions in one go: ingest, clean and sessionize beside plain Spark.

    python benchmarks/raw_to_sessions.py [--rows 2000000] [--repeats 3] [--out FILE]

Simulated traffic in CSV with every kind of dirt. "Plain Spark" is what one would write by hand
in a notebook: read the CSV, cast, drop rows without user or time and repeated event ids,
``session_window``, one Delta table. It keeps no bronze, no quarantine with reasons, no rules,
no audit, no bot labels, and starts from nothing every day; ours writes all of that. Polars,
where it is installed, does the plain job for orientation. The last line is one JSON object;
ratios are ours divided by the other's.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from measuring import Run, measured, publish, run_job, settings_for, spark_session, workplace
from sessions import by_window

from truelift.lake import Lake
from truelift.settings import Settings
from truelift.simulate.traffic.plan import TrafficPlan
from truelift.simulate.traffic.spark import write_traffic
from truelift.simulate.traffic.world import TrafficWorld

JOBS = ("ingest", "clean", "sessionize")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", default="benchmarks/results/raw_to_sessions.json")
    options = parser.parse_args()
    spark = spark_session()
    names = ("truelift, three jobs", *(f"of it {job}" for job in JOBS), "plain Spark")
    runs = {name: Run() for name in names}
    with workplace() as folder:
        plan = TrafficPlan(options.rows, TrafficWorld(), 7)
        write_traffic(spark, plan, f"{folder}/raw", "csv", "size", 250_000)
        settings = settings_for(f"{folder}/raw/dataset.yaml", f"{folder}/lake")
        for repeat in range(options.repeats + 1):
            kept = runs if repeat else {name: Run() for name in runs}  # the first warms up
            shutil.rmtree(f"{folder}/lake", ignore_errors=True)
            lake = Lake.open(settings)
            measured(kept["truelift, three jobs"], lambda: three_jobs(settings, lake, kept))  # noqa: B023
            measured(kept["plain Spark"], lambda: plain(spark, settings, folder))
    figures = {name: run.figures(options.rows) for name, run in runs.items()}
    ours = figures["truelift, three jobs"]["seconds"]
    ratio = {"plain Spark": round(ours / figures["plain Spark"]["seconds"], 3)}
    publish("raw_to_sessions", options.rows, figures, ratio, options.out)


def three_jobs(settings: Settings, lake: Lake, runs: dict[str, Run]) -> None:
    for job in JOBS:
        measured(runs[f"of it {job}"], lambda: run_job(job, settings, lake, job))  # noqa: B023


def plain(spark: Any, settings: Settings, folder: Path) -> None:
    from pyspark.sql import functions as F

    mapping = settings.source.mapping
    raw = spark.read.csv(settings.source.path, header=True)
    events = raw.select(
        F.col(mapping.event_id).alias("event_id"),
        F.col(mapping.user).alias("user_key"),
        F.try_to_timestamp(F.col(mapping.time)).alias("event_time"),
        F.col(mapping.event_type).alias("event_type"),
        F.expr(f"try_cast(`{mapping.quantity}` AS double)").alias("quantity"),
        F.expr(f"try_cast(`{mapping.value}` AS double)").alias("value"),
    )
    events = events.filter("user_key IS NOT NULL AND event_time IS NOT NULL")
    events = events.dropDuplicates(["event_id"])
    by_window(events).write.format("delta").mode("overwrite").save(f"{folder}/plain")


if __name__ == "__main__":
    main()
