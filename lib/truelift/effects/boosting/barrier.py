"""Boosting nuisances of a table: Spark's barrier tasks that read the scan plan themselves.

All tasks run at once, each holds its buckets' rows as bytes, and XGBoost's collectives add their
histograms up. The first task runs their tracker, so a stage that Spark tries again gets a new one.
"""

from __future__ import annotations

import json
import logging
import pickle
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from truelift.distributed.collective import BarrierTasks
from truelift.effects.boosting.fitting import fit_blocks
from truelift.effects.boosting.nuisances import BoostingNuisances
from truelift.effects.boosting.options import BoostingOptions
from truelift.effects.boosting.reading import Block
from truelift.errors import ConfigError, DataError, JobFailure, TrueliftError
from truelift.lake.kernels import rows_and_buckets, spark_rows
from truelift.lake.scan import ScanPlan, ScanUnit, read_batches

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_log = logging.getLogger("truelift.effects")
_PART_BYTES = 16 * 2**20
_SCHEMA = "number int, error string, part binary"
# Seconds that a task may wait for another that reads more, or from slower storage.
_PATIENCE = 3600
_ERRORS: dict[str, type[TrueliftError]] = {c.__name__: c for c in (ConfigError, DataError)}


class Reader(Protocol):
    """Makes blocks of record batches; :class:`~.reading.PanelReader` is one."""

    @property
    def covariates(self) -> tuple[str, ...]:
        """Names of the covariates."""

    @property
    def arms(self) -> int:
        """A."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns to read."""

    @property
    def outcome_count(self) -> int:
        """J."""

    def __call__(self, batch: pa.RecordBatch, fold: int | np.ndarray) -> Block:
        """The batch's rows as arrays."""


def fit_on_plan(
    spark: SparkSession, plan: ScanPlan, reader: Reader, folds: int,
    options: BoostingOptions | None = None, tasks: int | None = None, *, sequential: bool = False,
) -> BoostingNuisances:  # fmt: skip
    """Cross-fitted propensity and outcome regressions of a table partitioned by bucket.

    Parameters
    ----------
    spark : SparkSession
    plan : ScanPlan
        Pinned to a version; its columns include the reader's.
    reader : Reader
    folds : int
        K; ``fold = bucket % K``.
    options : BoostingOptions, optional
    tasks : int, optional
        Barrier tasks, all of which must find a free slot; by default as many as there are
        slots, and at most one a bucket.
    sequential : bool
        See :func:`~truelift.effects.panel.training_folds.training_folds`.

    Returns
    -------
    BoostingNuisances
        The same for any number of tasks and any layout, up to the rounding of the linear start's
        sums: within 1e-7 of an outcome's standard deviation.

    Raises
    ------
    ConfigError, DataError
        For options that name no covariate, and for rows that cannot be used.
    JobFailure
        If the tasks end without a result.
    """
    options = options or BoostingOptions()
    options.check_names(reader.covariates, plan.table)
    threads = int(spark.conf.get("spark.task.cpus", "1") or 1)
    narrow = plan.select(reader.columns)
    task = _Task(replace(narrow, units=()), reader, folds, options, threads, (), sequential)
    if plan.direct:
        shares = bucket_shares(plan, tasks or _slots(spark))
        task = replace(task, shares=shares)
        frame = spark.range(0, len(shares), 1, max(len(shares), 1))
    else:
        _log.warning("%s is read through Spark's rows: %s", plan.table, plan.reason)
        source = spark_rows(spark, narrow)
        frame = source.repartition(tasks or _slots(spark), source.columns[-1])
    found = frame.mapInArrow(task, _SCHEMA, barrier=True).collect()
    return _result(found, plan.table)


def bucket_shares(plan: ScanPlan, tasks: int) -> tuple[tuple[tuple[int, ScanUnit], ...], ...]:
    """Units of each task with their buckets: whole buckets, about equal rows.

    Raises
    ------
    DataError
        If the table has no rows.
    """
    buckets = {b: units for b, units in plan.by_bucket().items() if units}
    if not buckets:
        raise DataError(f"{plan.table} has no rows, so there is nothing to fit.")
    shares: list[list[tuple[int, ScanUnit]]] = [[] for _ in range(min(tasks, len(buckets)))]
    loads = [0] * len(shares)
    rows = {b: sum(u.rows for u in units) for b, units in buckets.items()}
    for bucket in sorted(buckets, key=lambda b: (-rows[b], b)):
        lightest = loads.index(min(loads))
        loads[lightest] += max(rows[bucket], 1)
        shares[lightest] += [(bucket, unit) for unit in buckets[bucket]]
    return tuple(tuple(share) for share in shares)


def _slots(spark: SparkSession) -> int:
    try:
        return int(spark.sparkContext.defaultParallelism)
    except Exception:  # Spark Connect has no context
        return int(spark.conf.get("spark.sql.shuffle.partitions", "2") or 2)


@dataclass(frozen=True, eq=False)
class _Task:
    """What each barrier task does; only the first one answers."""

    plan: ScanPlan
    reader: Reader
    folds: int
    options: BoostingOptions
    threads: int
    shares: tuple[tuple[tuple[int, ScanUnit], ...], ...]
    sequential: bool

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import BarrierTaskContext

        context = BarrierTaskContext.get()
        with _communicator(context):
            workers = BarrierTasks()
            blocks = self._from_plan(batches) if self.shares else self._from_rows(batches)
            try:
                fitted = fit_blocks(
                    blocks,
                    self.reader.covariates,
                    self.reader.outcome_count,
                    self.reader.arms,
                    self.folds,
                    self.options,
                    workers,
                    self.threads,
                    self.plan.table,
                    sequential=self.sequential,
                )
            except (ConfigError, DataError) as error:  # every task raises the same one
                answer = [_answer(0, f"{type(error).__name__}|{error}", b"")]
            else:
                data = pickle.dumps(fitted)
                answer = [
                    _answer(first // _PART_BYTES, None, data[first : first + _PART_BYTES])
                    for first in range(0, len(data), _PART_BYTES)
                ]
        if workers.rank == 0:
            yield from answer

    def _from_plan(self, batches: Iterable[pa.RecordBatch]) -> Iterator[Block]:
        # One row came in: this task's number.
        for batch in batches:
            for number in batch.column(0).to_pylist():
                for bucket, unit in self.shares[number]:
                    for rows in read_batches(self.plan, unit):
                        yield self.reader(rows, bucket % self.folds)

    def _from_rows(self, batches: Iterable[pa.RecordBatch]) -> Iterator[Block]:
        for batch in batches:
            for bucket, rows in rows_and_buckets(batch, self.plan):
                yield self.reader(rows, bucket % self.folds)


def _answer(number: int, error: str | None, part: bytes) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "number": pa.array([number], pa.int32()),
            "error": pa.array([error], pa.string()),
            "part": pa.array([part], pa.binary()),
        }
    )


def _result(found: Sequence[Any], table: str) -> BoostingNuisances:
    for row in found:
        if row.error is not None:
            name, text = row.error.split("|", 1)
            raise _ERRORS[name](text)
    if not found:
        raise JobFailure(f"{table}: the boosting tasks ended without a result.")
    parts = [bytes(row.part) for row in sorted(found, key=lambda row: row.number)]
    fitted: BoostingNuisances = pickle.loads(b"".join(parts))
    return fitted


def _communicator(context: Any) -> Any:
    """XGBoost's communicator of all tasks; ranks are the partitions' numbers."""
    from xgboost.collective import CommunicatorContext

    tasks = context.getTaskInfos()
    message = ""
    if context.partitionId() == 0:
        message = json.dumps(_start_tracker(tasks[0].address, len(tasks)))
    address = json.loads(context.allGather(message)[0])
    return CommunicatorContext(
        **address, dmlc_task_id=f"{context.partitionId():06d}", dmlc_timeout=_PATIENCE
    )


def _start_tracker(address: str, workers: int) -> dict[str, Any]:
    from xgboost.tracker import RabitTracker

    host = socket.gethostbyname(address.rsplit(":", 1)[0] if ":" in address else address)
    tracker = RabitTracker(n_workers=workers, host_ip=host, sortby="task")
    tracker.start()
    # The tracker goes when its last worker has left.
    Thread(target=tracker.wait_for, daemon=True).start()
    return dict(tracker.worker_args())
