"""Which slices look at a row; the rows brought together by user, and judged in Arrow's tasks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from truelift.errors import ConfigError
from truelift.lake.periods import period_column, period_number
from truelift.lake.workers import remember_archives
from truelift.logs import bots
from truelift.logs.neighbours.users import whole_users
from truelift.logs.neighbours.verdicts import NeighbourRules, judge_users

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from truelift.settings import Settings

_DAYS = {"day": 1, "week": 7, "month": 28, "quarter": 90, "year": 365, "all": 10**6}
_SLICE_OF_USER = ("bucket", "period", "user_key")
# They go beside the rows' own columns and are of no table.
_ASIDE = {"_own", "_user_agent"}


def reach_seconds(settings: Settings) -> float:
    """How far in time a row can matter to another, all rules together.

    Raises
    ------
    ConfigError
        If that is more than a period; then a slice's neighbours would not be enough.
    """
    options = settings.clean
    reach = bots.reach_seconds(options.bots)
    if settings.source.mapping.event_id:
        reach += options.repeat_window_seconds
    reach += max(options.double_click_seconds or 0.0, options.misclick_seconds or 0.0)
    if options.return_days is not None:
        reach += options.return_days * 86_400
    if reach > _DAYS[settings.period] * 86_400:
        raise ConfigError(
            f"period: found {settings.period!r}, and the rules of cleaning look {reach / 86_400:.1f} "
            "days around an event (clean.return_days, repeat_window_seconds). Choose a longer period."
        )
    return reach


def rules_of(settings: Settings) -> NeighbourRules:
    """The rules as the settings have them."""
    return NeighbourRules(settings.clean, bool(settings.source.mapping.event_id))


def placed(rows: DataFrame, settings: Settings, within: str | None = None) -> DataFrame:
    """Rows with the slices in which they are looked at.

    Parameters
    ----------
    rows : DataFrame
        Columns of ``silver.quarantine``.
    within : str, optional
        A condition on ``bucket`` and ``period``: the slices that are looked at.

    Returns
    -------
    DataFrame
        ``period`` is the slice, ``_own`` whether the row belongs to it (False for copies).
    """
    from pyspark.sql import functions as F

    reach = round(reach_seconds(settings) * 1_000_000)
    placed = rows.withColumnRenamed("period", "_period")
    if reach and settings.period != "all":
        placed = placed.withColumn("period", F.explode(_slices(reach, settings.period)))
    else:
        placed = placed.withColumn("period", F.col("_period"))
    placed = placed.filter(within) if within else placed
    return placed.withColumn("_own", F.col("period") == F.col("_period")).drop("_period")


def by_user(placed_rows: DataFrame, tasks: int) -> DataFrame:
    """The rows of :func:`placed`, in so many tasks of whole buckets, a slice's user together."""
    return placed_rows.repartition(tasks, "bucket").sortWithinPartitions(*_SLICE_OF_USER)


def judge_neighbours(rows: DataFrame, settings: Settings) -> DataFrame:
    """The rows of :func:`by_user` with what their neighbours say added to reasons and labels.

    Returns
    -------
    DataFrame
        Own rows only. In each partition those to keep, and those to remove, are sorted by
        bucket, period, user, time and event id.
    """
    from pyspark.sql.pandas.types import to_arrow_schema
    from pyspark.sql.types import StructType

    wanted = StructType([field for field in rows.schema if field.name not in _ASIDE])
    task = partial(_judge_task, rules=rules_of(settings), schema=to_arrow_schema(wanted))
    return rows.mapInArrow(task, wanted)


def _judge_task(
    batches: Iterator[pa.RecordBatch], rules: NeighbourRules, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    remember_archives()
    for table in whole_users(batches):
        for part in judge_users(table, rules):
            yield from part.select(schema.names).cast(schema).to_batches()


def _slices(reach: int, unit: str) -> Column:
    from pyspark.sql import functions as F

    time, own = F.unix_micros("event_time"), F.col("_period")
    first, last = F.timestamp_micros(time - reach), F.timestamp_micros(time + reach)
    within = period_number(first, unit) == period_number(last, unit)
    inside = (F.size("reasons") > 0) | within
    before, after = period_column(first, unit), period_column(last, unit)
    return F.when(inside, F.array(own)).otherwise(F.array_distinct(F.array(before, own, after)))
