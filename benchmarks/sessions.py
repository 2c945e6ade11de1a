"""Sessions from silver: ours beside Spark's session_window and a lag with a running sum.

    python benchmarks/sessions.py [--rows 20000000] [--repeats 3] [--out FILE]

One Delta table of events in scattered order (skewed users, partitioned by bucket as silver is),
read from disk and written back as sessions by each. Ours writes all columns of
silver.sessions; the others user, start, end, events, quantity, value and conversions, which
are compared with ours. Polars and DuckDB, where they are installed, stand beside for
orientation. The last line is one JSON object; ratios are ours divided by the other's.
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import Any

from measuring import Run, measured, publish, settings_for, spark_session, workplace

from truelift.lake import Lake, bucket_column
from truelift.logs.sessions.kernel import CODED_COLUMNS, SessionKernel, event_columns
from truelift.settings import SessionOptions

TIMEOUT = 1800
BUCKETS = 40
EVENTS_A_VISIT = 8
SAME = ("user_key", "start", "end", "events", "quantity", "value", "conversions")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", default="benchmarks/results/sessions.json")
    options = parser.parse_args()
    spark = spark_session()
    with workplace() as folder:
        write_events(spark, f"{folder}/even/silver/events", options.rows, 0.0)
        write_events(spark, f"{folder}/skewed/silver/events", options.rows, 0.3)
        for uri in ("even", "skewed"):
            write_events(spark, f"{folder}/warm/{uri}/silver/events", options.rows // 20, 0.0)
        for run_once in contestants(spark, folder / "warm").values():
            run_once()
        work = contestants(spark, folder)
        runs = {name: Run() for name in work}
        for repeat in range(options.repeats):
            for name, run_once in work.items():
                measured(runs[name], run_once)
                print(
                    f"{repeat + 1}/{options.repeats} {name}: {runs[name].seconds[-1]:.1f} s",
                    flush=True,
                )
        agree(spark, folder)
    figures = {name: run.figures(options.rows) for name, run in runs.items()}
    ours = figures["truelift"]["seconds"]
    ratios = {n: round(ours / f["seconds"], 3) for n, f in figures.items() if n != "truelift"}
    ratios["one user with 30%, over none"] = round(
        figures.pop("truelift, one user with 30%")["seconds"] / ours, 3
    )
    ratios.pop("truelift, one user with 30%")
    publish("sessions", options.rows, figures, ratios, options.out)


def write_events(spark: Any, uri: str, rows: int, share: float) -> None:
    """Events of a quarter in scattered order, eight a visit; one user has ``share`` of them.

    Visits start at random and their events come up to two minutes apart; users are skewed
    (the density of a user's rank falls as its square root), about 50 events each.
    """
    from pyspark.sql import functions as F

    def uniform(column: Any, seed: int) -> Any:
        return F.pmod(F.xxhash64(column, F.lit(seed)), F.lit(1 << 30)) / (1 << 30)

    # A prime larger than the number of rows: neighbours in the file are far apart in time.
    number = F.pmod(F.col("id") * 2_654_435_761, F.lit(rows))
    visit, place = F.floor(number / EVENTS_A_VISIT), number % EVENTS_A_VISIT
    user = F.floor(F.pow(uniform(visit, 1), 2.0) * max(rows // 50, 10)).cast("string")
    seconds = uniform(visit, 3) * 90 * 86400 + (place + uniform(number, 7)) * 60
    events = spark.range(0, rows, 1, 16).select(
        number.cast("string").alias("event_id"),
        F.when(uniform(visit, 2) < share, F.lit("giant")).otherwise(user).alias("user_key"),
        F.timestamp_micros((F.lit(1704067200000000) + seconds * 1e6).cast("long")).alias("event_time"),
        F.when(uniform(number, 4) < 0.05, "purchase").otherwise("view").alias("event_type"),
        F.floor(uniform(number, 5) * 5000).cast("string").alias("item_id"),
        F.lit(1.0).alias("quantity"),
        F.floor(uniform(number, 6) * 100).cast("double").alias("value"),
        F.lit(None).cast("string").alias("source_session"),
        F.array().cast("array<string>").alias("labels"),
    )  # fmt: skip
    events = events.withColumn("bucket", bucket_column("user_key", BUCKETS))
    events = events.withColumn("period", F.date_format("event_time", "yyyy-MM"))
    (
        events.repartition(BUCKETS, "bucket")
        .write.format("delta")
        .partitionBy("bucket", "period")
        .save(uri)
    )


def contestants(spark: Any, folder: Path) -> dict[str, Any]:
    """Each reads the same events and writes sessions."""
    source = f"{folder}/even/silver/events"
    work = {
        "truelift": lambda: ours(folder, "even"),
        "session_window": lambda: write(
            by_window(spark.read.format("delta").load(source)), f"{folder}/window"
        ),
        "lag and running sum": lambda: write(
            by_lag(spark.read.format("delta").load(source)), f"{folder}/lag"
        ),
        "truelift, one user with 30%": lambda: ours(folder, "skewed"),
    }
    if importlib.util.find_spec("polars"):
        work["polars, one machine"] = lambda: by_polars(source, f"{folder}/polars.parquet")
    if importlib.util.find_spec("duckdb"):
        work["duckdb, one machine"] = lambda: by_duckdb(source, f"{folder}/duckdb.parquet")
    return work


def ours(folder: Path, name: str) -> None:
    """What the job does with all of silver: the end of the data, then the kernel, then a commit."""
    from truelift.logs.sessionize import EndOfDataKernel

    lake = Lake(settings_for("example", f"{folder}/{name}", f"buckets={BUCKETS}"))
    options = SessionOptions()
    plan = lake.plan("silver.events", event_columns(options)).coded(CODED_COLUMNS)
    end = lake.sum_buckets(EndOfDataKernel(), {"events": plan.select(("event_time",))})
    kernel = SessionKernel(options, int(end["max_time"]), "month", options.most_bytes)
    state = lake.state("silver.sessions")
    lake.replace_by_kernel("silver.sessions", kernel, {"events": plan}, "benchmark", state, {})


def write(frame: Any, uri: str) -> None:
    frame.write.format("delta").mode("overwrite").save(uri)


def totals() -> list[Any]:
    from pyspark.sql import functions as F

    return [
        F.min("event_time").alias("start"),
        F.max("event_time").alias("end"),
        F.count("*").cast("int").alias("events"),
        F.sum("quantity").alias("quantity"),
        F.sum("value").alias("value"),
        F.sum((F.col("event_type") == "purchase").cast("int")).cast("int").alias("conversions"),
    ]


def by_window(events: Any) -> Any:
    from pyspark.sql import functions as F

    window = F.session_window("event_time", f"{TIMEOUT} seconds")
    return events.groupBy("user_key", window).agg(*totals()).drop("session_window")


def by_lag(events: Any) -> Any:
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    user = Window.partitionBy("user_key").orderBy("event_time")
    gap = F.unix_micros("event_time") - F.lag(F.unix_micros("event_time")).over(user)
    number = F.sum(F.when(gap > TIMEOUT * 1_000_000, 1).otherwise(0)).over(user)
    return (
        events.withColumn("number", number)
        .groupBy("user_key", "number")
        .agg(*totals())
        .drop("number")
    )


def by_polars(source: str, out: str) -> None:
    import polars as pl

    columns = ["user_key", "event_time", "event_type", "quantity", "value"]
    events = pl.scan_parquet(f"{source}/**/*.parquet", hive_partitioning=False).select(columns)
    gap = pl.col("event_time").diff().over("user_key") > pl.duration(seconds=TIMEOUT)
    cut = events.sort("user_key", "event_time").with_columns(
        gap.fill_null(False).cum_sum().over("user_key").alias("number")
    )
    cut.group_by("user_key", "number").agg(
        pl.col("event_time").min().alias("start"),
        pl.col("event_time").max().alias("end"),
        pl.len().alias("events"),
        pl.col("quantity").sum(),
        pl.col("value").sum(),
        (pl.col("event_type") == "purchase").sum().alias("conversions"),
    ).collect().write_parquet(out)


def by_duckdb(source: str, out: str) -> None:
    import duckdb

    duckdb.sql(f"""
        COPY (
            WITH gaps AS (
                SELECT *, event_time - lag(event_time) OVER u > INTERVAL {TIMEOUT} SECOND AS cut
                FROM read_parquet('{source}/**/*.parquet', hive_partitioning = false)
                WINDOW u AS (PARTITION BY user_key ORDER BY event_time)
            ), numbered AS (
                SELECT *, sum(coalesce(cut, false)::INT)
                    OVER (PARTITION BY user_key ORDER BY event_time ROWS UNBOUNDED PRECEDING) AS number
                FROM gaps
            )
            SELECT user_key, min(event_time) AS start, max(event_time) AS "end", count(*) AS events,
                sum(quantity) AS quantity, sum(value) AS value,
                sum((event_type = 'purchase')::INT) AS conversions
            FROM numbered GROUP BY user_key, number
        ) TO '{out}' (FORMAT parquet)
    """)


def agree(spark: Any, folder: Path) -> None:
    """All three Spark ways must have made the same sessions."""
    frames = [
        spark.read.format("delta").load(f"{folder}/{name}").select(*SAME)
        for name in ("even/silver/sessions", "window", "lag")
    ]
    for other in frames[1:]:
        assert frames[0].exceptAll(other).isEmpty() and other.exceptAll(frames[0]).isEmpty()
    print(f"{frames[0].count():,} sessions, the same in all three")


if __name__ == "__main__":
    main()
