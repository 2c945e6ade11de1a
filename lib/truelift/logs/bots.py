"""Signs of machines among the users: labels with a reason, never a deletion.

A sign is taken on a user's day (UTC); all events of that day carry it. The names of the
labels begin with ``bot_``.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.settings import BotOptions

DECLARED = "bot_declared"
DAY_SIGNS = {
    "bot_rate": "More than clean.bots.events_per_minute events within 60 seconds of the day.",
    "bot_breadth": "More than clean.bots.items_per_day distinct items on the day.",
    "bot_metronome": "Events of the day come at one and the same interval.",
    "bot_round_the_clock": "Events in at least clean.bots.hours_per_day hours of the day.",
}
SIGNS = {DECLARED: "The user agent is that of a known crawler.", **DAY_SIGNS}


@lru_cache(maxsize=65536)
def declares_itself(user_agent: str) -> bool:
    """Whether the maintained list of crawlers (package ``crawler-user-agents``) knows it."""
    from crawleruseragents import is_crawler as listed

    return bool(listed(user_agent))


def crawler_flags(user_agents: pa.ChunkedArray) -> np.ndarray:
    """Which user agents are crawlers' own, shape (n,) of bool; a missing one is not."""
    coded = user_agents.combine_chunks().dictionary_encode()
    known = [declares_itself(agent) for agent in coded.dictionary.to_pylist()]
    return np.array([*known, False])[np.asarray(pc.fill_null(coded.indices, -1))]


def reach_seconds(options: BotOptions) -> float:
    """How far from a row the signs look beyond its own day."""
    return 60.0 if options.events_per_minute is not None else 0.0
