"""Boosting nuisances of a table: Spark's barrier tasks that read the scan plan themselves.

Each task holds its buckets' rows as bytes; their histograms are added up (:mod:`~truelift.distributed.barrier`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa

from truelift.arrays.shares import about_equal
from truelift.distributed.barrier import run_barrier
from truelift.distributed.collective import Collective
from truelift.effects.boosting.fitting import fit_blocks
from truelift.effects.boosting.nuisances import BoostingNuisances
from truelift.effects.boosting.options import BoostingOptions
from truelift.effects.boosting.reading import Block
from truelift.errors import DataError
from truelift.lake.kernel_rows import rows_and_buckets, spark_rows
from truelift.lake.kernels import parallelism
from truelift.lake.scan import ScanPlan, ScanUnit, read_batches

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_log = logging.getLogger("truelift.effects")


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
        shares = bucket_shares(plan, tasks or parallelism(spark))
        task = replace(task, shares=shares)
        frame = spark.range(0, len(shares), 1, max(len(shares), 1))
    else:
        _log.warning("%s is read through Spark's rows: %s", plan.table, plan.reason)
        source = spark_rows(spark, narrow)
        frame = source.repartition(tasks or parallelism(spark), source.columns[-1])
    fitted: BoostingNuisances = run_barrier(frame, task, f"{plan.table}: the boosting tasks")
    return fitted


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
    rows = {b: sum(u.rows for u in units) for b, units in buckets.items()}
    order = sorted(buckets)
    shares = about_equal([rows[b] for b in order], min(tasks, len(buckets)))
    return tuple(
        tuple((order[i], unit) for i in share for unit in buckets[order[i]]) for share in shares
    )


@dataclass(frozen=True, eq=False)
class _Task:
    """What each barrier task does."""

    plan: ScanPlan
    reader: Reader
    folds: int
    options: BoostingOptions
    threads: int
    shares: tuple[tuple[tuple[int, ScanUnit], ...], ...]
    sequential: bool

    def __call__(self, tasks: Collective, batches: Iterable[pa.RecordBatch]) -> BoostingNuisances:
        blocks = self._from_plan(batches) if self.shares else self._from_rows(batches)
        return fit_blocks(
            blocks,
            self.reader.covariates,
            self.reader.outcome_count,
            self.reader.arms,
            self.folds,
            self.options,
            tasks,
            self.threads,
            self.plan.table,
            sequential=self.sequential,
        )

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
