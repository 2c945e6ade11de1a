"""Traffic of any size: each Spark task draws its own blocks and writes its own files."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.csv as pacsv
from pyarrow import fs as pafs

from truelift.errors import ConfigError, MachineError
from truelift.files.places import filesystem_of
from truelift.lake.kernels import numbered_tasks
from truelift.simulate.traffic.block import traffic_block
from truelift.simulate.traffic.dataset import dataset_yaml, item_table
from truelift.simulate.traffic.memory import without_broken
from truelift.simulate.traffic.parts import FILE_SCHEMA, FORMATS
from truelift.simulate.traffic.plan import TrafficPlan
from truelift.simulate.traffic.tasks import blocks_a_task, blocks_of_tasks, write_parts
from truelift.simulate.traffic.text import BLOCK_SCHEMA

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_MOST_OPEN_DAYS = 400


@dataclass(frozen=True)
class WrittenTraffic:
    """What was written: rows, files and bytes of the events, and the YAML that maps them."""

    rows: int
    files: int
    bytes: int
    seconds: float
    dataset: str


def traffic_frame(
    spark: SparkSession, plan: TrafficPlan, rows_per_task: int = 500_000
) -> DataFrame:
    """The traffic as a DataFrame: an event's columns as text, then its truth.

    Broken lines are left out, as in :func:`truelift.simulate.simulate_traffic`. The rows do
    not depend on the number of tasks.
    """

    def draw(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for blocks in blocks_of_tasks(plan, rows_per_task, batches):
            for block in blocks:
                yield from without_broken(traffic_block(plan, block)).to_batches()

    return _mapped(spark, plan, rows_per_task, draw, BLOCK_SCHEMA)


def write_traffic(
    spark: SparkSession,
    plan: TrafficPlan,
    out: str,
    form: str = "csv",
    files_by: str = "size",
    rows_per_task: int = 500_000,
) -> WrittenTraffic:
    """Write events, truth, items and ``dataset.yaml`` into a new folder.

    A task holds 100,000 rows at a time, whatever the number of rows.

    Parameters
    ----------
    spark : SparkSession
    plan : TrafficPlan
    out : str
        Local path or URI that Arrow can write to.
    form : str
        ``csv``, ``jsonl`` or ``parquet``.
    files_by : str
        ``size``: one file a task; ``day``: one file a task and day of receipt, in a folder
        for each day.
    rows_per_task : int
        Rows that a task draws.

    Returns
    -------
    WrittenTraffic

    Raises
    ------
    ConfigError
        For a folder that holds events already, or an unknown format.
    MachineError
        If the folder cannot be written to.
    """
    started = time.monotonic()
    if form not in FORMATS or files_by not in ("size", "day"):
        raise ConfigError(
            f"Found format {form!r} and files by {files_by!r}, expected one of {FORMATS} and "
            "'size' or 'day'."
        )
    if files_by == "day" and plan.world.days > _MOST_OPEN_DAYS:
        raise ConfigError(
            f"traffic.days: found {plan.world.days}, expected at most {_MOST_OPEN_DAYS} with "
            "files by day (a task keeps the file of each day open)."
        )
    root = out if urlsplit(out).scheme else os.path.abspath(os.path.expanduser(out))
    system, path = _new_folder(root.rstrip("/"))

    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for blocks in blocks_of_tasks(plan, rows_per_task, batches):
            parts = write_parts(plan, blocks, root.rstrip("/"), form, files_by, rows_per_task)
            yield pa.RecordBatch.from_pylist(parts, schema=FILE_SCHEMA)

    from pyspark.sql import functions as F

    files = _mapped(spark, plan, rows_per_task, write, FILE_SCHEMA)
    totals = files.agg(F.sum("rows"), F.count("file"), F.sum("bytes")).collect()[0]
    with system.open_output_stream(f"{path}/items.csv", compression=None) as stream:
        pacsv.write_csv(item_table(plan.world), stream)
    with system.open_output_stream(f"{path}/dataset.yaml") as stream:
        stream.write(dataset_yaml(plan, root.rstrip("/"), form).encode())
    seconds = time.monotonic() - started
    return WrittenTraffic(
        int(totals[0]), int(totals[1]), int(totals[2]), seconds, f"{root.rstrip('/')}/dataset.yaml"
    )


def _mapped(
    spark: SparkSession,
    plan: TrafficPlan,
    rows_per_task: int,
    function: Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]],
    schema: pa.Schema,
) -> DataFrame:
    """What the function makes of the plan's blocks, so many rows a task."""
    from pyspark.sql.pandas.types import from_arrow_schema

    tasks = math.ceil(plan.blocks / blocks_a_task(rows_per_task))
    return numbered_tasks(spark, tasks, function, from_arrow_schema(schema))


def _new_folder(root: str) -> tuple[pafs.FileSystem, str]:
    try:
        system, path = filesystem_of(root)
        system.create_dir(path, recursive=True)
        held = system.get_file_info(pafs.FileSelector(path))
    except (OSError, pa.ArrowException) as error:
        raise MachineError(f"--out: {root} cannot be written to: {error}") from error
    if names := [info.base_name for info in held if info.base_name in ("events", "truth")]:
        raise ConfigError(
            f"--out: {root} holds {' and '.join(sorted(names))} already. Give a new folder, or "
            "delete them first."
        )
    return system, path
