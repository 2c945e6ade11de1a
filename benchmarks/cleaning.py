"""Cleaning with all rules on, beside the bare bucketed write of the same rows.

    python benchmarks/cleaning.py [--rows 5000000] [--repeats 3] [--out FILE]

Simulated traffic with every kind of dirt, ingested to bronze once. "Bare" parses the columns,
shuffles them by bucket and writes the Delta table, with no rule, no de-duplication, no check
and no quarantine. The last line is one JSON object; ratios are ours divided by the other's.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from measuring import Run, measured, publish, run_job, settings_for, spark_session, workplace

from truelift.lake import Lake, bucket_column
from truelift.lake.periods import period_column
from truelift.logs.parsing import instant_of, number_of, text_of
from truelift.settings import Settings
from truelift.simulate.traffic.plan import TrafficPlan
from truelift.simulate.traffic.spark import write_traffic
from truelift.simulate.traffic.world import TrafficWorld


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", default="benchmarks/results/cleaning.json")
    options = parser.parse_args()
    spark = spark_session()
    runs = {"bare bucketed write": Run(), "truelift, all rules": Run()}
    with workplace() as folder:
        write_traffic(
            spark,
            TrafficPlan(options.rows, TrafficWorld(), 7),
            f"{folder}/raw",
            "parquet",
            "size",
            500_000,
        )
        settings = settings_for(f"{folder}/raw/dataset.yaml", f"{folder}/lake")
        lake = Lake.open(settings)
        run_job("ingest", settings, lake, "ingest")
        for repeat in range(options.repeats + 1):
            bare_run, our_run = runs.values() if repeat else (Run(), Run())
            measured(bare_run, lambda: bare(lake, settings, folder))
            for table in ("events", "quarantine"):
                shutil.rmtree(f"{folder}/lake/silver/{table}", ignore_errors=True)
            measured(our_run, lambda: run_job("clean", settings, lake, f"clean-{repeat}"))  # noqa: B023
            print(
                f"{repeat}/{options.repeats}: bare {bare_run.seconds[-1]:.1f} s, "
                f"ours {our_run.seconds[-1]:.1f} s",
                flush=True,
            )
        from truelift.logs.explain import explain_quarantine

        print(explain_quarantine(lake, examples=0))
    figures = {name: run.figures(options.rows) for name, run in runs.items()}
    ratio = figures["truelift, all rules"]["seconds"] / figures["bare bucketed write"]["seconds"]
    publish(
        "cleaning", options.rows, figures, {"bare bucketed write": round(ratio, 3)}, options.out
    )


def bare(lake: Lake, settings: Settings, folder: Path) -> Any:
    from pyspark.sql import functions as F

    mapping = settings.source.mapping
    user = text_of(mapping.user)
    time = instant_of(text_of(mapping.time), settings.source)
    rows = lake.read("bronze.events").select(
        text_of(mapping.event_id).alias("event_id"),
        user.alias("user_key"),
        time.alias("event_time"),
        text_of(mapping.event_type).alias("event_type"),
        text_of(mapping.item).alias("item_id"),
        number_of(text_of(mapping.quantity)).alias("quantity"),
        number_of(text_of(mapping.value)).alias("value"),
        text_of(mapping.session).alias("source_session"),
        "source_file",
        "source_row",
        "batch_id",
        bucket_column(user, settings.buckets).alias("bucket"),
        F.coalesce(period_column(time, settings.period), F.lit("none")).alias("period"),
    )
    by_bucket = rows.repartition(settings.buckets, "bucket")
    by_bucket.write.format("delta").mode("overwrite").partitionBy("bucket", "period").save(
        f"{folder}/bare"
    )


if __name__ == "__main__":
    main()
