"""Spark's edge of the kernels: bucket by bucket, through files or through Spark's rows.

A kernel is a pure function on Arrow data of one bucket. Two kinds:

* a row kernel ``kernel(bucket, tables) -> pa.Table`` sees the whole bucket of one or more
  tables and returns output rows; one that reads a single table may also have a method
  ``in_parts(bucket, batches, schema)``, which streams the bucket and yields tables;
* a sum kernel ``kernel(bucket, batches) -> dict of arrays`` streams a bucket and returns a
  state that adds up (keys that begin with ``max_`` combine by maximum).

Both run in one of two ways with the same result: *direct*, where a Spark task opens the
plan's units with Arrow, and *rows*, where Spark reads the table (deletion vectors, storage
that Arrow cannot open) and hands its rows over through ``mapInArrow``.

The sum's order is fixed by bucket number alone, so it does not depend on tasks or cores.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from truelift.arrays.shares import about_equal
from truelift.errors import TableError
from truelift.lake.kernel_rows import through_rows
from truelift.lake.scan import ScanPlan, ScanUnit, read_batches
from truelift.lake.states import State, add_states, pack_state, unpack_state
from truelift.lake.tables import schema_of
from truelift.lake.workers import remember_archives

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

RowKernel = Callable[[int, dict[str, pa.Table]], pa.Table]
SumKernel = Callable[[int, Iterator[pa.RecordBatch]], State | None]
ArrowTask = Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]
_BucketUnits = dict[str, list[ScanUnit]]

_log = logging.getLogger("truelift.lake")
_TARGET_TASK_BYTES = 128 * 2**20
_COMBINE_ABOVE = 128


def map_buckets(
    spark: SparkSession,
    kernel: RowKernel,
    plans: Mapping[str, ScanPlan],
    schema: StructType | str,
) -> DataFrame:
    """Run a row kernel over every bucket that any of the tables has.

    Parameters
    ----------
    spark : SparkSession
    kernel : callable
        ``kernel(bucket, tables) -> pa.Table``; ``tables`` has the keys of ``plans``; the rows
        of a table come in no particular order.
    plans : mapping of str to ScanPlan
        Tables partitioned by bucket.
    schema : StructType or str
        Columns of the output, also as DDL; the kernel's are cast to it.

    Returns
    -------
    DataFrame
        Lazy; nothing runs before it is written.
    """
    from pyspark.sql.pandas.types import to_arrow_schema

    columns = schema_of(schema) if isinstance(schema, str) else schema
    arrow = to_arrow_schema(columns)
    return run_buckets(spark, partial(_rows_of_bucket, kernel=kernel, schema=arrow), plans, columns)


def sum_buckets(
    spark: SparkSession,
    kernel: SumKernel,
    plans: Mapping[str, ScanPlan],
    buckets: int,
    batch_rows: int = 65536,
) -> State:
    """Run a sum kernel over every bucket of one table and add the states up.

    Parameters
    ----------
    spark : SparkSession
    kernel : callable
        ``kernel(bucket, batches) -> dict of ndarray`` or None for "nothing to add"; keys and
        shapes must be the same in every bucket.
    plans : mapping of one name to its ScanPlan
        A table partitioned by bucket.
    buckets : int
        Number of buckets of the lake; above 128 the states are added up in Spark first.
    batch_rows : int
        Most rows a batch that the kernel sees.

    Returns
    -------
    dict of str to ndarray
        Empty if no bucket gave a state. The driver holds at most ``max(128, sqrt(buckets))``
        states at once, whatever the number of rows.
    """
    if len(plans) != 1:
        raise TableError(f"A sum kernel reads one table, found {sorted(plans)}.")
    run = partial(_state_of_bucket, kernel=kernel, batch_rows=batch_rows)
    frame = run_buckets(spark, run, plans, "bucket int, state binary")
    if buckets > _COMBINE_ABOVE:
        frame = _combine_in_chunks(frame, buckets)
    states = sorted((row.bucket, row.state) for row in frame.collect())
    return add_states(unpack_state(state) for _, state in states)


# ---------------------------------------------------------------- one bucket's work


def tables_of_bucket(
    bucket: int, sources: dict[str, Iterator[pa.RecordBatch]], schemas: dict[str, pa.Schema],
    kernel: RowKernel,
) -> Iterator[pa.Table]:  # fmt: skip
    """What a row kernel makes of a bucket, in one table or in parts."""
    in_parts = getattr(kernel, "in_parts", None)
    if in_parts is not None:
        ((name, batches),) = sources.items()
        yield from in_parts(bucket, batches, schemas[name])
        return
    tables = {
        name: pa.Table.from_batches(list(batches), schema=schemas[name])
        for name, batches in sources.items()
    }
    yield kernel(bucket, tables)


def _rows_of_bucket(
    bucket: int, sources: dict[str, Iterator[pa.RecordBatch]], schemas: dict[str, pa.Schema],
    kernel: RowKernel, schema: pa.Schema,
) -> Iterator[pa.RecordBatch]:  # fmt: skip
    for result in tables_of_bucket(bucket, sources, schemas, kernel):
        yield from result.select(schema.names).cast(schema).to_batches(max_chunksize=65536)


def _state_of_bucket(
    bucket: int, sources: dict[str, Iterator[pa.RecordBatch]], schemas: dict[str, pa.Schema],  # noqa: ARG001
    kernel: SumKernel, batch_rows: int,
) -> Iterator[pa.RecordBatch]:  # fmt: skip
    (batches,) = sources.values()
    state = kernel(bucket, _at_most(batches, batch_rows))
    if state is not None:
        yield _state_batch(bucket, state)


def _state_batch(bucket: int, state: State) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "bucket": pa.array([bucket], pa.int32()),
            "state": pa.array([pack_state(state)], pa.binary()),
        }
    )


def _at_most(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows)


# ---------------------------------------------------------------- the two ways in


def run_buckets(
    spark: SparkSession, work: Any, plans: Mapping[str, ScanPlan], schema: StructType | str
) -> DataFrame:
    """Rows of ``work(bucket, sources, schemas)`` for every bucket, by the way that the plans allow.

    ``sources`` are streams of record batches by the names of ``plans``; ``work`` yields record
    batches of ``schema``.
    """
    indirect = [p for p in plans.values() if not p.direct]
    for plan in indirect:
        _log.warning("%s is read through Spark's rows: %s", plan.table, plan.reason)
    if indirect:
        return through_rows(spark, work, plans, schema)
    return _through_files(spark, work, plans, schema)


def _through_files(
    spark: SparkSession, work: Any, plans: Mapping[str, ScanPlan], schema: StructType | str
) -> DataFrame:
    tasks = assigned_tasks(plans, parallelism(spark))
    run = partial(_files_task, tasks=tasks, plans=_without_units(plans), work=work)
    return numbered_tasks(spark, len(tasks), run, schema)


def numbered_tasks(
    spark: SparkSession, tasks: int, run: ArrowTask, schema: StructType | str
) -> DataFrame:
    """What so many tasks yield; each gets its number as the one row of one batch."""
    # One row, one partition, one task: the row's number is the task's number.
    return spark.range(0, tasks, 1, max(tasks, 1)).mapInArrow(run, schema)


def tables_of_rows(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """A stream in tables of at least so many rows, the last one excepted."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        if count >= rows:
            yield pa.Table.from_batches(held)
            held, count = [], 0
    if count:
        yield pa.Table.from_batches(held)


def parallelism(spark: SparkSession) -> int:
    """Tasks that can run at once."""
    try:
        return int(spark.sparkContext.defaultParallelism)
    except Exception:  # Spark Connect has no context: fall back on the session's setting
        return int(spark.conf.get("spark.sql.shuffle.partitions", "8") or 8)


def assigned_tasks(
    plans: Mapping[str, ScanPlan], cores: int
) -> list[list[tuple[int, _BucketUnits]]]:
    """Buckets to tasks: the largest first, each to the lightest task, whole buckets only."""
    units: dict[int, _BucketUnits] = {}
    for name, plan in plans.items():
        for bucket, members in plan.by_bucket().items():
            units.setdefault(bucket, {})[name] = members
    size = {
        b: sum(u.size for members in named.values() for u in members) for b, named in units.items()
    }
    count = min(len(units), max(cores, math.ceil(sum(size.values()) / _TARGET_TASK_BYTES)))
    buckets = sorted(units)
    shares = about_equal([size[b] for b in buckets], count)
    return [[(buckets[i], units[buckets[i]]) for i in sorted(share)] for share in shares]


def _without_units(plans: Mapping[str, ScanPlan]) -> dict[str, ScanPlan]:
    return {name: replace(plan, units=()) for name, plan in plans.items()}


def _files_task(
    batches: Iterator[pa.RecordBatch],
    tasks: list[list[tuple[int, _BucketUnits]]],
    plans: dict[str, ScanPlan],
    work: Any,
) -> Iterator[pa.RecordBatch]:
    remember_archives()
    schemas = {name: plan.schema for name, plan in plans.items()}
    for batch in batches:
        for number in batch.column(0).to_pylist():
            for bucket, named in tasks[number]:
                sources = {name: _stream(plan, named.get(name, [])) for name, plan in plans.items()}
                yield from work(bucket, sources, schemas)


def _stream(plan: ScanPlan, units: list[ScanUnit]) -> Iterator[pa.RecordBatch]:
    for unit in units:
        yield from read_batches(plan, unit)


# ---------------------------------------------------------------- many buckets


def _combine_in_chunks(frame: DataFrame, buckets: int) -> DataFrame:
    from pyspark.sql import functions as F

    size = math.ceil(math.sqrt(buckets))
    chunk = F.floor(F.col("bucket") / size)
    return (
        frame.repartition(size, chunk)
        .sortWithinPartitions("bucket")
        .mapInArrow(partial(_combine_task, size=size), "bucket int, state binary")
    )


def added_in_groups(frame: DataFrame, groups: int) -> DataFrame:
    """One state a group, the sum over buckets whose remainder by ``groups`` is its number.

    Parameters
    ----------
    frame : DataFrame
        ``bucket int, state binary``, as kernels of states give it.
    groups : int

    Returns
    -------
    DataFrame
        The same columns, ``bucket`` the group. Buckets are added in their order, one at a time, where
        the data are: who collects it holds as many states as there are groups, however many buckets.
    """
    from pyspark.sql import functions as F

    group = F.col("bucket") % groups
    return (
        frame.repartition(groups, group)
        .sortWithinPartitions(group, "bucket")
        .mapInArrow(
            partial(_combine_task, size=groups, by_remainder=True), "bucket int, state binary"
        )
    )


def _combine_task(
    batches: Iterator[pa.RecordBatch], size: int, by_remainder: bool = False
) -> Iterator[pa.RecordBatch]:
    current: int | None = None
    total: State = {}
    for batch in batches:
        for row in batch.to_pylist():
            chunk = row["bucket"] % size if by_remainder else row["bucket"] // size
            if current is not None and chunk != current:
                yield _state_batch(current, total)
                total = {}
            current = chunk
            state = unpack_state(row["state"])
            total = add_states([total, state]) if total else state
    if current is not None:
        yield _state_batch(current, total)
