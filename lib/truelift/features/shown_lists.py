"""``gold.exposures`` of lists: a row a slot, with the chance by which it was filled as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truelift.errors import ConfigError
from truelift.features.catalogue import ITEM_ID
from truelift.features.exposures import ExposureRows, check_readable, filled
from truelift.features.streams import (
    instant_column,
    mapped_columns,
    required_columns,
    stored_name,
)
from truelift.lake import bucket_column
from truelift.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

REQUIRED = ("user", "list", "time", "item", "slot")
_TEXTS, _CHANCES = ("context", "segment"), ("propensity", "list_propensity")


def has_lists(settings: Settings) -> bool:
    """Whether the source's exposures are items on lists, and not campaigns."""
    return "item" in mapped_columns(settings, "exposures")


def list_rows(exposures: DataFrame, settings: Settings) -> ExposureRows:
    """From the raw stream to one row a slot of a list.

    Parameters
    ----------
    exposures : DataFrame
        ``bronze.exposures``.
    settings : Settings

    Returns
    -------
    ExposureRows
        ``start`` and ``end`` are when the list was shown, slots are as the source counts them, and
        chances that were not logged, or are none (not in (0, 1]), are null.

    Raises
    ------
    ConfigError
        If items are taken together (``features.item_level``), or a column is not there.
    DataError
        When more than 5% of the rows lack a user, a list, a time, an item or a slot.
    """
    from pyspark.sql import functions as F

    if settings.features.item_level != ITEM_ID:
        raise ConfigError(
            f"features.item_level: found {settings.features.item_level!r}, and source.exposures names "
            "items on lists. Expected 'item_id', or exposures without the column 'item'."
        )
    names = required_columns(settings, "exposures", exposures.columns, REQUIRED)
    mapped = mapped_columns(settings, "exposures")

    def optional(target: str) -> Column:
        stored = stored_name(mapped.get(target, target), exposures.columns)
        return F.lit(None).cast("string") if stored is None else filled(stored)

    def chance(target: str) -> Column:
        number = optional(target).try_cast("double")
        return F.when((number > 0) & (number <= 1), number)

    rows = exposures.select(
        filled(names["user"]).alias("user_key"),
        filled(names["list"]).alias("list_id"),
        instant_column(F.col(f"`{names['time']}`"), settings.source).alias("start"),
        filled(names["item"]).alias("item_key"),
        filled(names["slot"]).try_cast("int").alias("slot"),
        *(chance(target).alias(target) for target in _CHANCES),
        *(optional(target).alias(target) for target in _TEXTS),
    )
    needed = ("user_key", "list_id", "start", "item_key", "slot")
    complete = " AND ".join(f"{c} IS NOT NULL" for c in needed)
    rejected = check_readable(rows, complete, "a user, a list, a time, an item or a slot", settings)
    # A row that was delivered twice is one; of two chances the lower is the careful one.
    once = (
        rows.where(complete)
        .groupBy("user_key", "list_id", "slot", "item_key")
        .agg(
            F.min("start").alias("start"),
            *(F.min(c).alias(c) for c in (*_CHANCES, *_TEXTS)),
        )
    )
    none = F.lit(None).cast("string")
    frame = once.select(
        "user_key",
        none.alias("campaign"),
        none.alias("campaign_type"),
        "start",
        F.col("start").alias("end"),
        F.array().cast("array<bigint>").alias("responses"),
        "list_id",
        "slot",
        "item_key",
        *_CHANCES,
        *_TEXTS,
        bucket_column("user_key", settings.buckets).alias("bucket"),
    )
    return ExposureRows(frame, rejected)
