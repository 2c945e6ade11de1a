"""``gold.exposures`` of campaigns: who received which, over which window, and their responses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truelift.errors import DataError
from truelift.features.streams import (
    day_after,
    instant_column,
    mapped_columns,
    required_columns,
)
from truelift.lake import bucket_column
from truelift.logs.parsing import trimmed_text
from truelift.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# Beyond this share of unusable rows a mapping is wrong, and the arms would be too.
MAX_REJECTED_SHARE = 0.05


# What a row of a list has and a campaign's has not (``shown_lists.py``).
OF_LISTS = (
    ("list_id", "string"), ("slot", "int"), ("item_key", "string"), ("propensity", "double"),
    ("list_propensity", "double"), ("context", "string"), ("segment", "string"),
)  # fmt: skip


@dataclass(frozen=True)
class ExposureRows:
    """Rows of ``gold.exposures`` (lazy), and how many raw rows could not become one."""

    frame: DataFrame
    rejected: int


def exposure_rows(
    exposures: DataFrame, responses: DataFrame | None, settings: Settings
) -> ExposureRows:
    """From the raw streams to one row a user and campaign.

    Parameters
    ----------
    exposures : DataFrame
        ``bronze.exposures``.
    responses : DataFrame, optional
        ``bronze.responses``: redemptions or clicks, by user, campaign and time.
    settings : Settings

    Returns
    -------
    ExposureRows
        ``end`` is the first instant after the window: the day after the end day, 00:00 in the
        source's time zone. Repeated exposures of a user to a campaign are one, from the
        earliest start to the latest end. ``responses`` holds the times of the user's responses
        to that campaign, ascending, in microseconds since epoch.

    Raises
    ------
    DataError
        When more than 5% of the rows lack a user, a campaign or a readable start and end.
    """
    from pyspark.sql import functions as F

    names = required_columns(
        settings, "exposures", exposures.columns, ("user", "campaign", "start", "end")
    )
    kind = mapped_columns(settings, "exposures").get("campaign_type", "campaign_type")
    start = instant_column(F.col(f"`{names['start']}`"), settings.source)
    end = instant_column(F.col(f"`{names['end']}`"), settings.source)
    rows = exposures.select(
        filled(names["user"]).alias("user_key"),
        filled(names["campaign"]).alias("campaign"),
        (filled(kind) if kind in exposures.columns else F.lit(None).cast("string")).alias("kind"),
        start.alias("start"),
        day_after(end, settings.source.time_zone).alias("end"),
    )
    complete = " AND ".join(f"{c} IS NOT NULL" for c in ("user_key", "campaign", "start", "end"))
    lacking = (
        f"a user ({names['user']}), a campaign ({names['campaign']}) or a readable start "
        f"({names['start']}) and end ({names['end']})"
    )
    rejected = check_readable(rows, complete, lacking, settings)
    windows = (
        rows.where(complete)
        .groupBy("user_key", "campaign")
        .agg(
            F.min("kind").alias("campaign_type"),
            F.min("start").alias("start"),
            F.max("end").alias("end"),
        )
    )
    if responses is not None:
        windows = windows.join(_responses(responses, settings), ["user_key", "campaign"], "left")
    else:
        windows = windows.withColumn("responses", F.lit(None).cast("array<bigint>"))
    frame = windows.select(
        "user_key",
        "campaign",
        "campaign_type",
        "start",
        "end",
        F.coalesce("responses", F.array().cast("array<bigint>")).alias("responses"),
        *(F.lit(None).cast(kind).alias(name) for name, kind in OF_LISTS),
        bucket_column("user_key", settings.buckets).alias("bucket"),
    )
    return ExposureRows(frame, rejected)


def _responses(responses: DataFrame, settings: Settings) -> DataFrame:
    from pyspark.sql import functions as F

    names = required_columns(settings, "responses", responses.columns, ("user", "campaign", "time"))
    instant = instant_column(F.col(f"`{names['time']}`"), settings.source)
    return (
        responses.select(
            filled(names["user"]).alias("user_key"),
            filled(names["campaign"]).alias("campaign"),
            F.unix_micros(instant).alias("time"),
        )
        .groupBy("user_key", "campaign")
        .agg(F.sort_array(F.collect_list("time")).alias("responses"))
    )


def filled(column: str) -> Column:
    """A column's text without blanks around it; null where nothing is left."""
    from pyspark.sql import functions as F

    text = trimmed_text(F.col(f"`{column}`").cast("string"))
    return F.when(text != "", text)


def check_readable(rows: DataFrame, complete: str, lacking: str, settings: Settings) -> int:
    """How many rows are not complete.

    Raises
    ------
    DataError
        Where they are so many that the mapping must be wrong; ``lacking`` says what they may lack.
    """
    from pyspark.sql import functions as F

    counts = rows.agg(
        F.count(F.lit(1)).alias("all"),
        F.count(F.when(F.expr(complete), 1)).alias("good"),
    ).collect()[0]
    rejected = int(counts["all"] - counts["good"])
    if counts["all"] and rejected > MAX_REJECTED_SHARE * counts["all"]:
        raise DataError(
            f"bronze.exposures: {rejected} of {counts['all']} rows lack {lacking}. Expected ISO "
            f"dates or the event stream's time_format {settings.source.time_format!r}; check "
            "source.exposures.columns."
        )
    return rejected
