"""``gold.users``: profiles from events, attributes from the user stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truelift.features.items import spark_schema
from truelift.features.profiles import PROFILE_SCHEMA, ProfileKernel
from truelift.features.streams import mapped_columns, own_columns, required_columns
from truelift.lake import ScanPlan
from truelift.logs.parsing import trimmed_text
from truelift.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from truelift.lake import Lake


def profile_rows(
    lake: Lake,
    events: ScanPlan,
    sessions: ScanPlan,
    users: DataFrame | None,
    settings: Settings,
) -> DataFrame:
    """One row a user with events, attributes joined on (empty where the stream has none).

    Parameters
    ----------
    events, sessions : ScanPlan
        ``silver.events`` and ``silver.sessions``.
    users : DataFrame, optional
        ``bronze.users``.
    settings : Settings
    """
    from pyspark.sql import functions as F

    plans = {"events": events, "sessions": sessions}
    profiles = lake.map_buckets(ProfileKernel(), plans, spark_schema(PROFILE_SCHEMA))
    empty = F.create_map().cast("map<string,string>")
    if users is None:
        return _in_order(profiles.withColumn("attributes", empty))
    joined = profiles.join(attribute_maps(users, settings), "user_key", "left")
    return _in_order(joined.withColumn("attributes", F.coalesce("attributes", empty)))


def _in_order(frame: DataFrame) -> DataFrame:
    return frame.select(*PROFILE_SCHEMA.names[:-1], "attributes", "bucket")


def attribute_maps(users: DataFrame, settings: Settings) -> DataFrame:
    """``user_key, attributes`` from the user stream; blank values are left out.

    The attributes are the mapped targets, or every column where only the user is mapped. Of
    several rows of a user the last by (file, row) wins.
    """
    from pyspark.sql import functions as F

    user = required_columns(settings, "users", users.columns, ("user",))["user"]
    order = [c for c in ("source_file", "file_time", "source_row") if c in users.columns]
    mapped = {k: v for k, v in mapped_columns(settings, "users").items() if k != "user"}
    if not mapped:
        mapped = {c: c for c in own_columns(users.columns) if c != user}
    mapped = required_columns(settings, "users", users.columns, sorted(mapped)) if mapped else {}
    pairs = [
        F.struct(F.lit(name).alias("key"), trimmed_text(F.col(f"`{column}`")).alias("value"))
        for name, column in sorted(mapped.items())
    ]
    nothing = ["", *settings.source.words_for_missing]
    filled = F.filter(
        F.array(*pairs), lambda pair: pair["value"].isNotNull() & ~pair["value"].isin(nothing)
    )
    attributes = F.map_from_entries(filled) if pairs else F.create_map().cast("map<string,string>")
    return (
        users.withColumn("user_key", trimmed_text(F.col(f"`{user}`")))
        .where("user_key IS NOT NULL AND user_key != ''")
        .groupBy("user_key")
        .agg(F.max_by(F.struct(*users.columns), F.struct(*order)).alias("r"))
        .select("user_key", "r.*")
        .select("user_key", attributes.alias("attributes"))
    )
