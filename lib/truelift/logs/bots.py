"""Signs of machines among the users: labels with a reason, never a deletion.

A sign is taken on a user's day (UTC); all events of that day carry it. The names of the
labels begin with ``bot_``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from truelift.settings import BotOptions

if TYPE_CHECKING:
    from pyspark.sql import Column
    from pyspark.sql.window import WindowSpec

DECLARED = "bot_declared"
DAY_SIGNS = {
    "bot_rate": "More than clean.bots.events_per_minute events within 60 seconds of the day.",
    "bot_breadth": "More than clean.bots.items_per_day distinct items on the day.",
    "bot_metronome": "Events of the day come at one and the same interval.",
    "bot_round_the_clock": "Events in at least clean.bots.hours_per_day hours of the day.",
}
SIGNS = {DECLARED: "The user agent is that of a known crawler.", **DAY_SIGNS}
_MINUTE = 60_000_000


@lru_cache(maxsize=65536)
def declares_itself(user_agent: str) -> bool:
    """Whether the maintained list of crawlers (package ``crawler-user-agents``) knows it."""
    from crawleruseragents import is_crawler as listed

    return bool(listed(user_agent))


def crawler_flags(user_agents: pa.Array) -> pa.Array:
    """Which user agents are crawlers' own; a missing one is not."""
    coded = user_agents.dictionary_encode()
    known = [value is not None and declares_itself(value) for value in coded.dictionary.to_pylist()]
    return pc.fill_null(pa.array(known, pa.bool_()).take(coded.indices), False)


def is_crawler(user_agent: Column) -> Column:
    """:func:`crawler_flags` as a Spark column."""
    from pyspark.sql import functions as F

    def flags(texts: pa.Array) -> pa.Array:
        return crawler_flags(texts)

    flags.__annotations__ = {"texts": pa.Array, "return": pa.Array}
    return F.arrow_udf(flags, "boolean")(user_agent)  # type: ignore[call-overload,no-any-return]


def reach_seconds(options: BotOptions) -> float:
    """How far from a row the signs look beyond its own day."""
    return 60.0 if options.events_per_minute is not None else 0.0


def row_signs(options: BotOptions, counted: Column, by_user: WindowSpec) -> dict[str, Column]:
    """Columns that the day's signs are made of, over a user's events in order of time."""
    from pyspark.sql import functions as F

    time = F.unix_micros("event_time")
    columns: dict[str, Column] = {}
    if options.events_per_minute is not None:
        before = F.lag(F.when(counted, time), options.events_per_minute).over(by_user)
        columns["_fast"] = counted & (time - before <= _MINUTE)
    if options.metronome_events is not None:
        columns["_gap"] = time - F.lag(time).over(by_user)
    return columns


def day_signs(options: BotOptions, counted: Column, by_day: WindowSpec) -> dict[str, Column]:
    """Signs of a user's day as conditions, by label; needs the columns of :func:`row_signs`.

    Parameters
    ----------
    options : BotOptions
    counted : Column
        Whether a row counts (copies do not).
    by_day : WindowSpec
        The user's day, without order.
    """
    from pyspark.sql import functions as F

    signs: dict[str, Column] = {}
    if options.events_per_minute is not None:
        signs["bot_rate"] = F.coalesce(F.max("_fast").over(by_day), F.lit(False))
    if options.items_per_day is not None:
        items = F.size(F.collect_set(F.when(counted, F.col("item_id"))).over(by_day))
        signs["bot_breadth"] = items > options.items_per_day
    if options.metronome_events is not None:
        # The first gap of a day leads back to another day and is left out.
        gap = F.when(counted & F.col("_same_day"), F.col("_gap").cast("double"))
        mean, spread = F.avg(gap).over(by_day), F.stddev_pop(gap).over(by_day)
        enough = F.count(gap).over(by_day) + 1 >= options.metronome_events
        signs["bot_metronome"] = F.coalesce(
            enough & (mean > 0) & (spread <= options.metronome_variation * mean), F.lit(False)
        )
    if options.hours_per_day is not None:
        hour = F.when(
            counted, F.expr("shiftleft(1, pmod(floor(unix_micros(event_time) / 3600000000), 24))")
        )
        hours = F.bit_count(F.bit_or(hour).over(by_day))
        signs["bot_round_the_clock"] = F.coalesce(hours >= options.hours_per_day, F.lit(False))
    return signs
