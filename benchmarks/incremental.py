"""A daily increment over a short history and over one that is 20 times longer.

    python benchmarks/incremental.py [--rows 10000] [--days 3] [--factor 20] [--out FILE]

``--rows`` events a day. Two lakes hold histories that end on the same day; then the same new
days arrive in both, one after the other: ingest, clean, sessionize. The last line is one JSON
object; the ratio is the long history's time divided by the short one's.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from measuring import Run, measured, publish, run_job, settings_for, spark_session, workplace

from truelift.lake import Lake

JOBS = ("ingest", "clean", "sessionize")
LAST = datetime.date(2024, 12, 12)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000, help="events a day")
    parser.add_argument("--days", type=int, default=3, help="days that arrive one by one")
    # A month, so that the slices that a day reaches are as full in the short history.
    parser.add_argument("--short", type=int, default=30, help="days of the short history")
    parser.add_argument("--factor", type=int, default=20)
    parser.add_argument("--out", default="benchmarks/results/incremental.json")
    options = parser.parse_args()
    spark_session()
    histories = {"short": options.short, "long": options.short * options.factor}
    with workplace() as folder:
        lakes = {
            name: prepare(folder, name, days, options.rows) for name, days in histories.items()
        }
        runs = {f"{name}, {job}": Run() for name in lakes for job in JOBS}
        for number in range(options.days + 1):
            for name, (lake, settings) in lakes.items():
                day = LAST + datetime.timedelta(days=1 + number)
                write_day(folder / name / "raw", day, options.rows)
                for job in JOBS:
                    run = runs[f"{name}, {job}"] if number else Run()  # the first warms up
                    measured(run, lambda: run_job(job, settings, lake, f"{job}-{number}"))  # noqa: B023
    figures = {name: run.figures(options.rows) for name, run in runs.items()}
    for name in histories:  # noqa: PLC0206 - two dictionaries by one name
        sums = [sum(runs[f"{name}, {job}"].seconds[n] for job in JOBS) for n in range(options.days)]
        cpu = [sum(runs[f"{name}, {job}"].cpu[n] for job in JOBS) for n in range(options.days)]
        figures[f"{name}, {histories[name]} days"] = Run(sums, cpu).figures(options.rows)
    short, long = (figures[f"{n}, {d} days"]["seconds"] for n, d in histories.items())
    ratio = {f"{options.factor} times the history, over once": round(long / short, 3)}
    publish("incremental", options.rows, figures, ratio, options.out)


def prepare(folder: Path, name: str, days: int, rows: int):  # type: ignore[no-untyped-def]
    """A lake that holds a history which ends on the last day."""
    raw = folder / name / "raw"
    for back in range(days):
        write_day(raw, LAST - datetime.timedelta(days=back), rows)
    source = {
        "format": "csv",
        "path": f"{raw}/*.csv",
        "mapping": {"user": "u", "item": "i", "time": "t", "event_id": "e"},
    }
    dataset = folder / name / "own.yaml"
    dataset.write_text(json.dumps({"source": source, "buckets": 8, "period": "month"}))
    settings = settings_for(str(dataset), f"{folder}/{name}/lake")
    lake = Lake.open(settings)
    for job in JOBS:
        run_job(job, settings, lake, f"{job}-history")
    print(f"{name}: {days} days, {lake.plan('silver.events').rows:,} events", flush=True)
    return lake, settings


def write_day(folder: Path, day: datetime.date, rows: int) -> None:
    """A day's file: its own events, and one in a thousand that comes a day late."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(day.toordinal())
    midnight = np.datetime64(day, "us")
    moment = midnight + rng.integers(0, 86_400_000_000, rows).astype("timedelta64[us]")
    moment[rng.random(rows) < 0.001] -= np.timedelta64(1, "D")
    users = (rng.random(rows) ** 2 * max(rows // 5, 10)).astype(np.int64)
    table = pa.table(
        {
            "u": pa.array(users).cast(pa.string()),
            "i": pa.array(rng.integers(0, 5000, rows)).cast(pa.string()),
            "t": pa.array(np.datetime_as_string(moment)),
            "e": pa.array([f"{day}-{n}" for n in range(rows)]),
        }
    )
    pacsv.write_csv(table, folder / f"{day}.csv")


if __name__ == "__main__":
    main()
