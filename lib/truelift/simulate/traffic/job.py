"""The job ``simulate_logs``: its options, and what it says."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import yaml

from truelift.errors import ConfigError
from truelift.settings import SparkOptions
from truelift.simulate.traffic.world import TrafficWorld
from truelift.typed import from_plain

SUMMARY = "logs of any size whose sessions, bots and dirt are known"
EXAMPLES = """examples:
  truelift simulate_logs --rows 1e6 --out /tmp/logs
  truelift simulate_logs --rows 1e8 --out s3a://bucket/logs --format parquet --set days=90
  truelift simulate_logs --rows 1e5 --out /tmp/logs --set dirt.duplicate=0.2 top_user_share=0.3
then: truelift run_pipeline --dataset /tmp/logs/dataset.yaml"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command line of the job."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rows", required=True, type=row_count, help="events, such as 1e6")
    parser.add_argument("--out", required=True, metavar="URI", help="an empty or a new folder")
    parser.add_argument("--format", default="csv", choices=("csv", "jsonl", "parquet"))
    parser.add_argument("--seed", default=7, type=int, help="same seed, same logs (default 7)")
    parser.add_argument(
        "--files-by",
        default="size",
        choices=("size", "day"),
        help="day: a folder for each day of receipt, for trying daily deliveries",
    )
    parser.add_argument(
        "--rows-per-task", default=500_000, type=row_count, help="rows of a file (default 5e5)"
    )
    parser.add_argument(
        "--set", nargs="+", action="extend", metavar="KEY=VALUE", help="change the world"
    )


def run(args: argparse.Namespace, options: SparkOptions) -> None:
    """Write the logs and say how it went."""
    from truelift.lake.session import start_session
    from truelift.progress import Progress, duration, spark_progress
    from truelift.simulate.traffic.dataset import run_command
    from truelift.simulate.traffic.plan import TrafficPlan
    from truelift.simulate.traffic.spark import write_traffic

    plan = TrafficPlan(args.rows, world_of(args.set or ()), args.seed)
    print(f"truelift · simulated traffic · {plan.rows:,} rows · seed {plan.seed} · {args.out}")
    spark = start_session(options)
    progress = Progress("simulate_logs")
    try:
        with spark_progress(spark, progress):
            written = write_traffic(
                spark, plan, args.out, args.format, args.files_by, args.rows_per_task
            )
    finally:
        progress.close()
    rate = written.rows / max(written.seconds, 1e-9)
    print(
        f"simulate_logs     {written.rows:,} rows  {written.bytes / 1e6:,.1f} MB in "
        f"{written.files:,} files  {duration(written.seconds)}  {rate:,.0f} rows/s"
    )
    print(f"next              {run_command(written.dataset)}")


def row_count(text: str) -> int:
    """A number of rows as people write it: ``10000``, ``1e6``, ``2_000_000``."""
    try:
        value = float(text.replace("_", ""))
    except ValueError:
        value = 0.0
    if not (1 <= value <= 1e11 and value == int(value)):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number of rows such as 1e6")
    return int(value)


def world_of(items: Sequence[str]) -> TrafficWorld:
    """The world that ``key=value`` items describe, such as ``dirt.duplicate=0.2``.

    Raises
    ------
    ConfigError
        For an unknown key (the nearest known one is named) or a value that cannot be.
    """
    nested: dict[str, Any] = {}
    for item in items:
        key, sign, text = item.partition("=")
        if not sign or not key.strip():
            raise ConfigError(f"--set: found {item!r}, expected key=value, for example days=7.")
        *parts, last = key.strip().split(".")
        place = nested
        for part in parts:
            place = place.setdefault(part, {})
        value = yaml.safe_load(text)
        place[last] = text if hasattr(value, "isoformat") else value
    return from_plain(TrafficWorld, nested, "traffic") if nested else TrafficWorld()
