"""The streams beside the events: which of their columns mean what, and text to instants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from truelift.errors import ConfigError
from truelift.logs.parsing import instant_of, trimmed_text
from truelift.logs.sources.columns import held_name
from truelift.settings import Settings, SourceOptions

if TYPE_CHECKING:
    from pyspark.sql import Column


def mapped_columns(settings: Settings, stream: str) -> dict[str, str]:
    """``target -> source column`` of a stream (``items``, ``users``, ``exposures``, ...)."""
    reference = getattr(settings.source, stream)
    return {} if reference is None else dict(reference.columns)


PROVENANCE = ("source_file", "source_row", "file_time", "batch_id", "_corrupt", "_other")


def own_columns(available: Sequence[str]) -> tuple[str, ...]:
    """The source's own columns of a bronze table, without those that ingestion added."""
    return tuple(c for c in available if c not in PROVENANCE)


def stored_name(column: str, available: Sequence[str]) -> str | None:
    """The column as bronze stores it, if it is there."""
    name = held_name(column, available)
    return name if name in available else None


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

    trimmed = trimmed_text(text)
    iso = instant_of(trimmed, replace(source, time_format="iso"))
    if source.time_format == "iso":
        return iso
    return F.coalesce(instant_of(trimmed, source), iso)


def day_after(instant: Column, time_zone: str) -> Column:
    """The first instant of the local day after the one that ``instant`` lies in."""
    from pyspark.sql import functions as F

    local = F.unix_micros(F.from_utc_timestamp(instant, time_zone))
    next_day = F.date_from_unix_date((F.floor(local / 86_400_000_000) + 1).cast("int"))
    midnight = F.concat(next_day.cast("string"), F.lit(f" 00:00:00 {time_zone}"))
    return midnight.try_cast("timestamp")
