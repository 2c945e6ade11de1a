"""The job ``simulate_logs``: what it writes, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from truelift.errors import ConfigError
from truelift.settings import SparkOptions
from truelift.simulate.traffic.world import TrafficWorld
from truelift.typed import from_plain


def run(
    options: SparkOptions, world: TrafficWorld, rows: int, out: str, kind: str = "csv",
    seed: int = 7, files_by: str = "size", rows_per_task: int = 500_000,
) -> None:  # fmt: skip
    """Write the logs and say how it went.

    Parameters
    ----------
    options : SparkOptions
    world : TrafficWorld
    rows : int
    out : str
        URI of an empty or a new folder.
    kind : str
        Of the files: csv, jsonl or parquet.
    seed : int
    files_by : str
        ``size``, or ``day`` for a folder for each day of receipt.
    rows_per_task : int
        Rows of a file.
    """
    from truelift.lake.session import start_session
    from truelift.progress import Progress, duration, spark_progress
    from truelift.simulate.traffic.dataset import run_command
    from truelift.simulate.traffic.plan import TrafficPlan
    from truelift.simulate.traffic.spark import write_traffic

    plan = TrafficPlan(rows, world, seed)
    print(f"truelift · simulated traffic · {plan.rows:,} rows · seed {plan.seed} · {out}")
    spark = start_session(options)
    progress = Progress("simulate_logs")
    try:
        with spark_progress(spark, progress):
            written = write_traffic(spark, plan, out, kind, files_by, rows_per_task)
    finally:
        progress.close()
    rate = written.rows / max(written.seconds, 1e-9)
    print(
        f"simulate_logs     {written.rows:,} rows  {written.bytes / 1e6:,.1f} MB in "
        f"{written.files:,} files  {duration(written.seconds)}  {rate:,.0f} rows/s"
    )
    print(f"next              {run_command(written.dataset)}")


def row_count(text: str) -> int:
    """A number of rows as people write it: ``10000``, ``1e6``, ``2_000_000``.

    Raises
    ------
    ConfigError
    """
    try:
        value = float(text.replace("_", ""))
    except ValueError:
        value = 0.0
    if not (1 <= value <= 1e11 and value == int(value)):
        raise ConfigError(f"found {text!r}, expected a number of rows such as 1e6.")
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
