"""The streams beside the events: which of their columns mean what, and text to instants."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from truelift.errors import ConfigError
from truelift.settings import Settings, SourceOptions

if TYPE_CHECKING:
    from pyspark.sql import Column

# Formats whose streams have fixed names need no mapping in YAML.
_KNOWN_FORMATS: dict[str, dict[str, dict[str, str]]] = {
    "complete_journey": {
        "items": {"item_id": "product_id", "name": "product_type", "category": "department"},
        "users": {"user": "household_id"},
        "exposures": {
            "user": "household_id",
            "campaign": "campaign_id",
            "campaign_type": "campaign_type",
            "start": "start_date",
            "end": "end_date",
        },
        "responses": {
            "user": "household_id",
            "campaign": "campaign_id",
            "time": "redemption_date",
        },
    }
}


def mapped_columns(settings: Settings, stream: str) -> dict[str, str]:
    """``target -> source column`` of a stream (``items``, ``users``, ``exposures``, ...)."""
    reference = getattr(settings.source, stream)
    known = _KNOWN_FORMATS.get(settings.source.format, {}).get(stream, {})
    return {**known, **(reference.columns if reference is not None else {})}


PROVENANCE = ("source_file", "source_row", "batch_id", "_corrupt", "_other")


def own_columns(available: Sequence[str]) -> tuple[str, ...]:
    """The source's own columns of a bronze table, without those that ingestion added."""
    return tuple(c for c in available if c not in PROVENANCE)


def stored_name(column: str, available: Sequence[str]) -> str | None:
    """The column as bronze stores it (characters that Delta refuses are ``_``), if it is there."""
    plain = re.sub(r"[\s,;{}()=.`]+", "_", column.strip())
    return next((name for name in (column, plain) if name in available), None)


def required_columns(
    settings: Settings, stream: str, available: Sequence[str], targets: Sequence[str]
) -> dict[str, str]:
    """Source columns of the targets, each of which must be there.

    Raises
    ------
    ConfigError
        Naming the target, the column looked for and those found.
    """
    mapped = mapped_columns(settings, stream)
    found: dict[str, str] = {}
    for target in targets:
        column = mapped.get(target, target)
        found[target] = stored_name(column, available) or ""
        if not found[target]:
            raise ConfigError(
                f"source.{stream}.columns: {target!r} is read from column {column!r}, which "
                f"bronze.{stream} does not have (found {', '.join(own_columns(available))}). Add "
                f"'{target}: YOUR_COLUMN' under source.{stream}.columns."
            )
    return found


def instant_column(text: Column, source: SourceOptions) -> Column:
    """Text to a UTC timestamp, null where it is unreadable; the session's zone plays no part.

    The event stream's ``time_format`` is tried first, then ISO dates and date-times; text
    without an offset is in the source's time zone.
    """
    from pyspark.sql import functions as F

    trimmed = F.trim(text)
    zone = f" {source.time_zone}"
    local = F.concat(trimmed, F.lit(zone)).try_cast("timestamp")
    by_day = F.concat(trimmed, F.lit(f" 00:00:00{zone}")).try_cast("timestamp")
    # The guard keeps out '2024' and '12:30', which Spark would complete by itself.
    is_date = trimmed.rlike(r"^\d{4}-\d{1,2}-\d{1,2}([T ]|$)")
    iso = F.when(is_date, F.coalesce(local, by_day, trimmed.try_cast("timestamp")))
    units = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}
    if source.time_format in units:
        number = F.when(trimmed.rlike(r"^-?\d{1,17}$"), trimmed.try_cast("decimal(38,0)"))
        micros = (number * units[source.time_format]).try_cast("bigint")
        return F.coalesce(F.timestamp_micros(micros), iso)
    if source.time_format == "iso":
        return iso
    if set("VzOXxZ") & set(re.sub(r"'[^']*'", "", source.time_format)):
        return F.coalesce(F.try_to_timestamp(trimmed, F.lit(source.time_format)), iso)
    in_zone = F.try_to_timestamp(F.concat(trimmed, F.lit(zone)), F.lit(f"{source.time_format} VV"))
    return F.coalesce(in_zone, iso)


def day_after(instant: Column, time_zone: str) -> Column:
    """The first instant of the local day after the one that ``instant`` lies in."""
    from pyspark.sql import functions as F

    local = F.unix_micros(F.from_utc_timestamp(instant, time_zone))
    next_day = F.date_from_unix_date((F.floor(local / 86_400_000_000) + 1).cast("int"))
    midnight = F.concat(next_day.cast("string"), F.lit(f" 00:00:00 {time_zone}"))
    return midnight.try_cast("timestamp")
