"""What the panel will hold, decided before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truelift.arrays.times import MICROSECONDS_PER_DAY
from truelift.errors import DataError
from truelift.features.campaigns import (
    ArmCounts,
    Campaign,
    day_bounds,
    require_both_arms,
    select_campaigns,
)
from truelift.features.catalogue import LookupSource
from truelift.features.items import spark_schema
from truelift.features.panel import PanelDesign
from truelift.features.profiles import CATEGORY_COUNT_SCHEMA, CategoryCountKernel
from truelift.features.users import attribute_levels
from truelift.lake import ScanPlan
from truelift.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from truelift.lake import Lake

MAX_CAMPAIGNS = 1000


@dataclass(frozen=True)
class PanelPlan:
    """The design, and the campaigns left out with the reason."""

    design: PanelDesign
    excluded: dict[str, str]


def plan_panel(
    lake: Lake,
    events: ScanPlan,
    profiles: DataFrame,
    exposures: DataFrame,
    catalogue: LookupSource | None,
    settings: Settings,
) -> PanelPlan:
    """Choose campaigns, categories and attribute levels.

    Parameters
    ----------
    events : ScanPlan
        ``silver.events`` with ``user_key``, ``event_time`` and ``item_id``.
    profiles : DataFrame
        Rows of ``gold.users``.
    exposures : DataFrame
        Rows of ``gold.exposures``.
    catalogue : LookupSource, optional
        The item stream, where it has categories.
    settings : Settings

    Raises
    ------
    DataError
        When no unit can be compared, with every campaign's reason.
    """
    options = settings.panel
    campaigns = campaign_windows(exposures)
    first, last, users = _data_range(profiles)
    data_start, data_end = day_bounds(first, last, settings.source.time_zone)
    eligible, excluded = select_campaigns(
        campaigns, data_start, data_end, options.lookback_days, options.require_complete_window
    )
    arms = _arm_counts(lake, profiles, exposures, eligible, options.min_history_days)
    kept, one_armed = require_both_arms(eligible, arms)
    excluded = {**excluded, **one_armed}
    if not kept:
        reasons = "; ".join(f"{name}: {why}" for name, why in sorted(excluded.items())[:8])
        raise DataError(
            f"gold.panel: none of {len(campaigns)} campaigns in bronze.exposures leaves a unit "
            f"to compare, with treated and untreated users ({reasons}). The panel needs "
            f"panel.lookback_days = {options.lookback_days} days of data before a campaign, "
            f"panel.min_history_days = {options.min_history_days} days of history of a user, "
            "and users both with and without the campaign."
        )
    categories: tuple[str, ...] = ()
    if catalogue is not None and settings.features.top_categories:
        kernel = CategoryCountKernel(catalogue, kept[0].start)
        categories = _top_categories(lake, events, kernel, settings.features.top_categories)
    design = PanelDesign(
        kept,
        options.outcomes,
        options.lookback_days,
        options.min_history_days,
        categories,
        attribute_levels(profiles, users),
    )
    return PanelPlan(design, excluded)


def campaign_windows(exposures: DataFrame) -> tuple[Campaign, ...]:
    """Each campaign from its earliest start to its latest end, over all who received it.

    Raises
    ------
    DataError
        Beyond ``MAX_CAMPAIGNS``: each campaign is a column of the panel.
    """
    from pyspark.sql import functions as F

    rows = (
        exposures.groupBy("campaign")
        .agg(
            F.min(F.unix_micros("start")).alias("start"),
            F.max(F.unix_micros("end")).alias("end"),
        )
        .limit(MAX_CAMPAIGNS + 1)
        .collect()
    )
    if len(rows) > MAX_CAMPAIGNS:
        raise DataError(
            f"bronze.exposures: found more than {MAX_CAMPAIGNS} campaigns, expected at most that "
            "many. Map source.exposures.columns.campaign to a coarser column."
        )
    return tuple(sorted(Campaign(row["start"], row["campaign"], row["end"]) for row in rows))


def _data_range(profiles: DataFrame) -> tuple[int, int, int]:
    """First event, last event, number of users."""
    from pyspark.sql import functions as F

    row = profiles.agg(
        F.min(F.unix_micros("first_time")).alias("first"),
        F.max(F.unix_micros("last_time")).alias("last"),
        F.count(F.lit(1)).alias("users"),
    ).collect()[0]
    if row["first"] is None:
        raise DataError("silver.events has no rows, so there is nothing to build features from.")
    return int(row["first"]), int(row["last"]), int(row["users"])


def _arm_counts(
    lake: Lake,
    profiles: DataFrame,
    exposures: DataFrame,
    campaigns: tuple[Campaign, ...],
    min_history_days: int,
) -> dict[str, ArmCounts]:
    """Users with enough history at each campaign's start, all and treated (exact counts)."""
    from pyspark.sql import functions as F

    if not campaigns:
        return {}
    history = min_history_days * MICROSECONDS_PER_DAY
    latest = F.broadcast(
        lake.spark.createDataFrame(
            [(c.campaign, min(c.start - history, c.start - 1)) for c in campaigns],
            "campaign string, latest bigint",
        )
    )
    known = profiles.select("user_key", F.unix_micros("first_time").alias("first"))
    received = exposures.select("user_key", "campaign", F.lit(1).alias("received"))
    counts = (
        known.join(latest, F.col("first") <= F.col("latest"))
        .join(received, ["user_key", "campaign"], "left")
        .groupBy("campaign")
        .agg(F.count(F.lit(1)).alias("eligible"), F.count("received").alias("treated"))
        .collect()
    )
    return {row["campaign"]: ArmCounts(row["eligible"], row["treated"]) for row in counts}


def _top_categories(
    lake: Lake, events: ScanPlan, kernel: CategoryCountKernel, limit: int
) -> tuple[str, ...]:
    from pyspark.sql import functions as F

    counts = (
        lake.map_buckets(kernel, {"events": events}, spark_schema(CATEGORY_COUNT_SCHEMA))
        .groupBy("category")
        .agg(F.sum("events").alias("events"))
        .where("events > 0")
        .orderBy(F.desc("events"), "category")
        .limit(limit)
        .collect()
    )
    return tuple(row["category"] for row in counts)
