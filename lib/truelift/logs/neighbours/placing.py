"""Rows brought together by user, and judged in Arrow's tasks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from truelift.errors import ConfigError
from truelift.lake.tables import schema_of, table_spec
from truelift.lake.workers import remember_archives
from truelift.logs import bots
from truelift.logs.accounts import misplaced_users
from truelift.logs.added_rules import neighbour_rules
from truelift.logs.neighbours.parcels import PARCEL_COLUMNS, Parcelling, opened, parcel_task
from truelift.logs.neighbours.verdicts import NeighbourRules, judge_users

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

    from truelift.settings import Settings

_DAYS = {"day": 1, "week": 7, "month": 28, "quarter": 90, "year": 365, "all": 10**6}
_SLICE = ("bucket", "period")
# They go beside the rows' own columns and are of no table.
_ASIDE = (
    pa.field("_own", pa.bool_()),
    pa.field("_user_agent", pa.string()),
    pa.field("_was", pa.string()),
    pa.field("_was_names", pa.list_(pa.string())),
    pa.field("misplaced_users", pa.int64()),
)


def reach_seconds(settings: Settings) -> float:
    """How far in time a row can matter to another, all rules together.

    Raises
    ------
    ConfigError
        If that is more than a period; then a slice's neighbours would not be enough.
    """
    reach = _near_seconds(settings) + _return_seconds(settings)
    if reach > _DAYS[settings.period] * 86_400:
        raise ConfigError(
            f"period: found {settings.period!r}, and the rules of cleaning look {reach / 86_400:.1f} "
            "days around an event (clean.repeats.return_days, repeat_window_seconds). Choose a longer period."
        )
    return reach


def _near_seconds(settings: Settings) -> float:
    """How far any row can matter to another, all rules but that of returns together."""
    options = settings.clean
    reach = bots.reach_seconds(options.bots)
    if settings.source.mapping.event_id:
        reach += options.repeats.repeat_window_seconds
    return reach + max(
        options.repeats.double_click_seconds or 0.0,
        options.repeats.misclick_seconds or 0.0,
        *(rule.reach_seconds for rule in neighbour_rules(options)),
    )


def _return_seconds(settings: Settings) -> float:
    """How far a purchase can matter to a return after it."""
    return (settings.clean.repeats.return_days or 0.0) * 86_400


def rules_of(settings: Settings) -> NeighbourRules:
    """The rules as the settings have them."""
    options = settings.clean
    ids_are_given = bool(settings.source.mapping.event_id)
    return NeighbourRules(options, ids_are_given, neighbour_rules(options))


def parcelled(
    rows: DataFrame,
    settings: Settings,
    rejected_slice: str,
    context: tuple[str, ...] | None = None,
    parts: int = 1,
) -> DataFrame:
    """Rows as parcels, one or more for each slice that looks at them.

    Parameters
    ----------
    rows : DataFrame
        Columns of ``silver.quarantine``, or flat rows of
        :func:`~truelift.logs.judging.judge_flat`.
    settings : Settings
    rejected_slice : str
        The period under which rejected rows are filed.
    context : tuple of str, optional
        Names of the context's entries, if the rows are flat.
    parts : int
        How many parts of whole users a slice has, so that a task need not hold all of it.

    Returns
    -------
    DataFrame
        ``bucket, period, part, parcel``.
    """
    from pyspark.sql import functions as F

    rejected = F.size("reasons") > 0 if context is None else F.col("reasons") != ""
    by_user = F.pmod(F.xxhash64("user_key", F.lit("part")), F.lit(parts))
    part = F.when(rejected, F.pmod("source_row", F.lit(parts))).otherwise(by_user)
    rows = rows.withColumn("misplaced_users", misplaced_users(settings)).withColumn(
        "part", (part if parts > 1 else F.lit(0)).cast("int")
    )
    task = partial(
        parcel_task,
        parcelling=Parcelling(
            parcel_schema(),
            settings.period,
            _micros(_near_seconds(settings)),
            _micros(_return_seconds(settings)),
            rejected_slice,
            context,
        ),
    )
    return rows.mapInArrow(task, PARCEL_COLUMNS)


def parcel_schema() -> pa.Schema:
    """Columns of the rows in a parcel."""
    from pyspark.sql.pandas.types import to_arrow_schema

    table = to_arrow_schema(table_spec("silver.quarantine").schema())
    return pa.schema([*(f for f in table if f.name not in _SLICE), *_ASIDE])


def by_user(parcels: DataFrame, tasks: int) -> DataFrame:
    """The parcels in so many tasks of whole buckets."""
    return parcels.repartition(tasks, "bucket")


def judge_neighbours(parcels: DataFrame, settings: Settings) -> DataFrame:
    """The rows of :func:`by_user` with what their neighbours say added to reasons and labels.

    Returns
    -------
    DataFrame
        Own rows only, with ``_was``, ``_was_names`` and ``misplaced_users`` beside the columns
        of ``silver.quarantine``. Of each slice, those to keep, and those to remove, are sorted
        by user, time and event id.
    """
    from pyspark.sql.pandas.types import to_arrow_schema

    aside = "_was string, _was_names array<string>, misplaced_users long"
    wanted = schema_of(f"{table_spec('silver.quarantine').columns}, {aside}")
    task = partial(
        _judge_task,
        sent=parcel_schema(),
        rules=rules_of(settings),
        schema=to_arrow_schema(wanted),
    )
    return of_slices(parcels, task, wanted)


def of_slices(
    parcels: DataFrame, task: Callable[[pa.Table], pa.Table], schema: StructType | str
) -> DataFrame:
    """What a task makes of the parcels of each slice (or part of one)."""

    # Spark takes hints for a sign of another kind of task, and does not understand those of a partial.
    def made(rows):  # type: ignore[no-untyped-def]
        return task(rows)

    return parcels.groupBy("bucket", "period", "part").applyInArrow(made, schema)


def _judge_task(
    parcels: pa.Table, sent: pa.Schema, rules: NeighbourRules, schema: pa.Schema
) -> pa.Table:
    remember_archives()
    parts = judge_users(opened(parcels, sent), rules)
    return pa.concat_tables([part.select(schema.names).cast(schema) for part in parts])


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)
