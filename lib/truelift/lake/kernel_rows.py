"""The way into kernels where Arrow cannot open a table's files: Spark reads it and hands rows over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from truelift.lake.conditions import quoted
from truelift.lake.scan import ScanPlan

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType


def through_rows(
    spark: SparkSession, work: Any, plans: Mapping[str, ScanPlan], schema: StructType | str
) -> DataFrame:
    """Rows of ``work(bucket, sources, schemas)``, as of :func:`~truelift.lake.kernels.run_buckets`."""
    packed = []
    for name, plan in plans.items():
        pack = partial(_pack, name=name, plan=replace(plan, units=()))
        packed.append(
            spark_rows(spark, plan).mapInArrow(pack, "bucket int, name string, rows binary")
        )
    union = reduce(lambda a, b: a.unionByName(b), packed)
    schemas = {name: plan.schema for name, plan in plans.items()}
    run = partial(_rows_task, schemas=schemas, work=work)
    return union.repartition("bucket").sortWithinPartitions("bucket").mapInArrow(run, schema)


def spark_rows(spark: SparkSession, plan: ScanPlan) -> DataFrame:
    """Spark's rows of a plan: the columns of :meth:`~.ScanPlan.to_read`, then the bucket.

    They go by their places: a column of a user may have the bucket's name. See
    :func:`rows_and_buckets`.
    """
    from pyspark.sql import functions as F

    source = spark.read.format("delta").option("versionAsOf", plan.version).load(plan.uri)
    source = source.filter(plan.only) if plan.only else source
    reading = plan.to_read()
    names = [quoted(name) for name in (*(reading.stored or reading.columns), "bucket")]
    return source.select(*(F.col(name).alias(f"c{i}") for i, name in enumerate(names)))


def rows_and_buckets(batch: pa.RecordBatch, plan: ScanPlan) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The plan's rows of each bucket, in a batch of :func:`spark_rows`."""
    schema = plan.to_read().schema
    buckets = batch.column(batch.num_columns - 1)
    arrays = [c.cast(f.type) for c, f in zip(batch.columns[:-1], schema, strict=True)]
    rows = pa.RecordBatch.from_arrays(arrays, schema=schema)
    for bucket in pc.unique(buckets).to_pylist():
        yield bucket, plan.taken(rows.filter(pc.equal(buckets, bucket)))


def _pack(batches: Iterator[pa.RecordBatch], name: str, plan: ScanPlan) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for bucket, mine in rows_and_buckets(batch, plan):
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, plan.schema) as writer:
                writer.write_batch(mine)
            yield pa.record_batch(
                {
                    "bucket": pa.array([bucket], pa.int32()),
                    "name": pa.array([name], pa.string()),
                    "rows": pa.array([sink.getvalue().to_pybytes()], pa.binary()),
                }
            )


def _rows_task(
    batches: Iterator[pa.RecordBatch], schemas: dict[str, pa.Schema], work: Any
) -> Iterator[pa.RecordBatch]:
    current: int | None = None
    held: dict[str, list[bytes]] = {}
    for batch in batches:
        for row in batch.to_pylist():
            if current is not None and row["bucket"] != current:
                yield from work(current, _unpack(held, schemas), schemas)
                held = {}
            current = row["bucket"]
            held.setdefault(row["name"], []).append(row["rows"])
    if current is not None:
        yield from work(current, _unpack(held, schemas), schemas)


def _unpack(
    held: dict[str, list[bytes]], schemas: dict[str, pa.Schema]
) -> dict[str, Iterator[pa.RecordBatch]]:
    def stream(chunks: list[bytes]) -> Iterator[pa.RecordBatch]:
        for chunk in chunks:
            yield from pa.ipc.open_stream(chunk)

    return {name: stream(held.get(name, [])) for name in schemas}
