"""``gold.items``: the catalogue at the item level, with vocabulary indices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from truelift.errors import DataError
from truelift.features.catalogue import ITEM_ID, ItemColumns, LookupSource, describe_keys
from truelift.features.profiles import ITEM_COUNT_SCHEMA, ItemCountKernel
from truelift.features.streams import mapped_columns
from truelift.lake import ScanPlan
from truelift.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from truelift.lake import Lake

# Shipping a lookup through the driver is the fallback for storage that workers cannot open.
MAX_SHIPPED_ROWS = 5_000_000
_DESCRIPTION = pa.schema(
    [("item_key", pa.string()), ("name", pa.string()), ("category", pa.string())]
)


def spark_schema(schema: pa.Schema) -> StructType:
    """A kernel's Arrow schema as Spark's."""
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)


def lookup_of(lake: Lake, plan: ScanPlan, columns: ItemColumns | None = None) -> LookupSource:
    """A lookup that workers load by themselves, or that the driver ships where they cannot.

    Raises
    ------
    DataError
        When the table must be shipped and has more than ``MAX_SHIPPED_ROWS`` rows.
    """
    if plan.direct:
        return LookupSource(plan=plan, columns=columns)
    frame = lake.read(plan.table, plan.version).select(*plan.columns)
    rows = frame.limit(MAX_SHIPPED_ROWS + 1).toArrow()
    if rows.num_rows > MAX_SHIPPED_ROWS:
        raise DataError(
            f"{plan.table} cannot be read directly ({plan.reason}) and has more than "
            f"{MAX_SHIPPED_ROWS} rows, too many to ship to every worker. Rewrite the table "
            "without deletion vectors, or choose a coarser features.item_level."
        )
    return LookupSource.of_table(rows, columns)


def item_columns(settings: Settings, available: tuple[str, ...]) -> ItemColumns:
    """The item stream's columns as the settings name them."""
    features = settings.features
    mapped = mapped_columns(settings, "items")
    found = ItemColumns.resolve(available, mapped, features.item_level, features.category_column)
    return replace(
        found,
        missing=settings.source.words_for_missing,
        integer_ids="item" in settings.clean.keys.integer_ids,
    )


@dataclass(frozen=True)
class ItemTable:
    """Rows of ``gold.items`` and the events that have no item key.

    Parameters
    ----------
    frame : DataFrame
    events_without_key : int
        Their item has no value at the item level.
    events_below_minimum : int
        Their item key is too rare for the vocabulary.
    """

    frame: DataFrame
    events_without_key: int
    events_below_minimum: int


def item_table(
    lake: Lake, events: ScanPlan, catalogue: LookupSource | None, settings: Settings
) -> ItemTable:
    """Count items bucket by bucket and number the frequent ones, by a hash of their keys.

    Parameters
    ----------
    events : ScanPlan
        ``silver.events`` with ``user_key``, ``event_time`` and ``item_id``.
    catalogue : LookupSource, optional
        The item stream; None where there is none (item level ``item_id``).

    Raises
    ------
    DataError
        When no item reaches ``features.min_item_count``.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    features = settings.features
    level = catalogue if features.item_level != ITEM_ID else None
    kernel = ItemCountKernel(level)
    counts = (
        lake.map_buckets(kernel, {"events": events}, spark_schema(ITEM_COUNT_SCHEMA))
        .groupBy("item_key")
        .agg(F.sum("events").alias("events"), F.sum("users").alias("users"))
        .persist()
    )
    frequent = F.col("events") >= features.min_item_count
    totals = counts.agg(
        F.sum(F.when(F.col("item_key").isNull(), F.col("events"))).alias("without"),
        F.sum(F.when(F.col("item_key").isNotNull() & ~frequent, F.col("events"))).alias("rare"),
        F.count(F.when(F.col("item_key").isNotNull() & frequent, 1)).alias("items"),
        F.max(F.when(F.col("item_key").isNotNull(), F.col("events"))).alias("largest"),
    ).collect()[0]
    if not totals["items"]:
        raise DataError(
            f"gold.items: no item ({features.item_level}) occurs at least "
            f"features.min_item_count = {features.min_item_count} times in silver.events; the "
            f"most frequent occurs {totals['largest'] or 0} times. Lower min_item_count."
        )
    described = _described(lake.spark, catalogue, features.item_level == ITEM_ID)
    # Ties of a ranking fall to the smaller index, so a number must say nothing of how often an
    # item will be taken after the split: counts here are of all of the data.
    order = Window.orderBy(F.xxhash64("item_key"), "item_key")
    # Ascending by name; items without a category come last and have code 0.
    by_category = Window.orderBy(F.col("category").asc_nulls_last())
    kept = counts.where(F.col("item_key").isNotNull() & frequent)
    frame = kept.join(described, "item_key", "left").select(
        "item_key",
        F.row_number().over(order).cast("int").alias("item_index"),
        F.coalesce("name", "item_key").alias("name"),
        "category",
        F.when(F.col("category").isNull(), 0)
        .otherwise(F.dense_rank().over(by_category))
        .cast("int")
        .alias("category_index"),
        "events",
        "users",
    )
    return ItemTable(frame, int(totals["without"] or 0), int(totals["rare"] or 0))


def _described(
    spark: SparkSession, catalogue: LookupSource | None, is_item_level: bool
) -> DataFrame:
    schema = spark_schema(_DESCRIPTION)
    if catalogue is None:
        return spark.createDataFrame([], schema)
    # One task loads the catalogue, as every other worker does: it never passes the driver.
    run = partial(_describe_task, catalogue=catalogue, is_item_level=is_item_level)
    return spark.range(0, 1, 1, 1).mapInArrow(run, schema)


def _describe_task(
    batches: Iterator[pa.RecordBatch], catalogue: LookupSource, is_item_level: bool
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if batch.num_rows:
            table = describe_keys(catalogue.load(), is_item_level).cast(_DESCRIPTION)
            yield from table.to_batches(max_chunksize=65536)
