"""Sessions of a table in memory: tl.sessions beside DuckDB and Polars, side by side.

    python benchmarks/sessions_in_memory.py [--rows 20000,200000,2000000,20000000] [--repeats 5]

One Arrow table of events in scattered order (skewed users, eight events a visit, 90 days) is given to
each in this process; each makes user, start, end, events and the sum of a value, ours the session
ids too, which the others lack. Runs take turns, so that what else the machine does meets all. A size's
first round is not counted. Ratios are ours divided by the other's, of the medians.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from measuring import Run, measured, publish

import truelift as tl

TIMEOUT = 1800
EVENTS_A_VISIT = 8
START = 1_704_067_200_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="20000,200000,2000000,20000000")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", default="benchmarks/results/sessions_in_memory.json")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    ratios: dict[str, float] = {}
    sizes = [int(size) for size in options.rows.split(",")]
    for rows in sizes:
        events = make_events(rows)
        work = contestants(events)
        agree({name: run_once() for name, run_once in work.items()})
        runs = {name: Run() for name in work}
        for _ in range(options.repeats):
            for name, run_once in work.items():
                measured(runs[name], run_once)
        for name, run in runs.items():
            made = run.figures(rows)
            figures[f"{name}, {rows:,} events"] = made | {"seconds": median(run.seconds)}
            if name != "truelift":
                ratio = median(runs["truelift"].seconds) / median(run.seconds)
                ratios[f"{name}, {rows:,} events"] = round(ratio, 3)
        print(rows, {n: median(r.seconds) for n, r in runs.items()}, flush=True)
    publish("sessions_in_memory", max(sizes), figures, ratios, options.out)


def median(seconds: list[float]) -> float:
    return round(float(np.median(seconds)), 4)


def make_events(rows: int) -> pa.Table:
    """Visits at random times of users whose density falls; events come up to a minute apart."""
    rng = np.random.default_rng(rows)
    visits = -(-rows // EVENTS_A_VISIT)
    user = (rng.random(visits) ** 2 * max(rows // 50, 10)).astype(np.int64)
    start = START + (rng.random(visits) * 90 * 86_400e6).astype(np.int64)
    place = np.tile(np.arange(EVENTS_A_VISIT), visits)[:rows]
    time = np.repeat(start, EVENTS_A_VISIT)[:rows] + place * 60_000_000
    time += rng.integers(0, 60_000_000, rows)
    scattered = rng.permutation(rows)
    users = pa.array(np.repeat(user, EVENTS_A_VISIT)[:rows][scattered]).cast(pa.string())
    return pa.table(
        {
            "user_key": users,
            "event_time": pa.array(time[scattered], pa.timestamp("us", "UTC")),
            "value": rng.integers(0, 100, rows).astype(float),
        }
    )


def contestants(events: pa.Table) -> dict[str, Callable[[], pa.Table]]:
    """Each gets the same Arrow table and gives one."""
    work: dict[str, Callable[[], pa.Table]] = {
        "truelift": lambda: tl.sessions(events, value="value").table
    }
    if importlib.util.find_spec("duckdb"):
        work["DuckDB"] = lambda: by_duckdb(events)
    if importlib.util.find_spec("polars"):
        import polars as pl

        frame = pl.from_arrow(events)
        work["Polars"] = lambda: by_polars(frame)
    return work


def by_duckdb(events: pa.Table) -> pa.Table:
    import duckdb

    return duckdb.sql(f"""
        WITH gaps AS (
            SELECT *, event_time - lag(event_time) OVER u > INTERVAL {TIMEOUT} SECOND AS cut
            FROM events WINDOW u AS (PARTITION BY user_key ORDER BY event_time)
        ), numbered AS (
            SELECT *, sum(coalesce(cut, false)::INT)
                OVER (PARTITION BY user_key ORDER BY event_time ROWS UNBOUNDED PRECEDING) AS number
            FROM gaps
        )
        SELECT user_key, min(event_time) AS start, max(event_time) AS "end",
            count(*)::INT AS events, sum(value) AS value
        FROM numbered GROUP BY user_key, number
    """).to_arrow_table()


def by_polars(events: Any) -> pa.Table:
    import polars as pl

    gap = pl.col("event_time").diff() > pl.duration(seconds=TIMEOUT)
    other = pl.col("user_key") != pl.col("user_key").shift()
    number = (gap | other).fill_null(False).cum_sum()
    made = (
        events.lazy()
        .sort("user_key", "event_time")
        .with_columns(number.alias("number"))
        .group_by("number")
        .agg(
            pl.col("user_key").first(),
            pl.col("event_time").min().alias("start"),
            pl.col("event_time").max().alias("end"),
            pl.len().cast(pl.Int32).alias("events"),
            pl.col("value").sum(),
        )
        .drop("number")
        .collect()
    )
    return made.to_arrow()


def agree(made: dict[str, pa.Table]) -> None:
    """All must have made the same sessions."""
    sums = {}
    for name, table in made.items():
        ends = [
            np.asarray(table[c].cast(pa.int64())).astype(object).sum() for c in ("start", "end")
        ]
        value = float(np.asarray(table["value"]).sum())
        sums[name] = (table.num_rows, int(np.asarray(table["events"]).sum()), *ends, value)
    assert len(set(sums.values())) == 1, sums


if __name__ == "__main__":
    main()
