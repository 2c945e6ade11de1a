"""Signs of machines on a user's day; every event of the day carries them."""

from __future__ import annotations

import numpy as np

from truelift.logs.neighbours.order import UNKNOWN_TIME, UserEvents, differs, runs
from truelift.settings import BotOptions

_MINUTE, _HOUR = 60_000_000, 3_600_000_000


def day_signs(
    events: UserEvents, counted: np.ndarray, options: BotOptions
) -> dict[str, np.ndarray]:
    """Signs of each event's day, by label (see :data:`truelift.logs.bots.DAY_SIGNS`).

    Parameters
    ----------
    events : UserEvents
    counted : ndarray of bool, shape (n,)
        What is no copy.
    options : BotOptions
        None switches a sign off.

    Returns
    -------
    dict of str to ndarray of bool, shape (n,)
    """
    day = runs(differs(events.user, events.day))
    days = int(day[-1]) + 1 if len(day) else 0
    signs = {}
    if options.events_per_minute is not None:
        signs["bot_rate"] = _fast(events, counted, day, days, options.events_per_minute)
    if options.items_per_day is not None:
        signs["bot_breadth"] = _broad(events, counted, day, days, options.items_per_day)
    if options.metronome_events is not None:
        signs["bot_metronome"] = _even(
            events, counted, day, days, options.metronome_events, options.metronome_variation
        )
    if options.hours_per_day is not None:
        signs["bot_round_the_clock"] = _hours(events, counted, day, days) >= options.hours_per_day
    return {name: sign[day] for name, sign in signs.items()}


def _fast(
    events: UserEvents, counted: np.ndarray, day: np.ndarray, days: int, steps: int
) -> np.ndarray:
    """Days with an event whose ``steps``-th before it is at most a minute earlier."""
    later = np.arange(steps, len(day))
    earlier = later - steps
    fast = counted[later] & counted[earlier] & (events.user[later] == events.user[earlier])
    fast &= events.within(later, earlier, _MINUTE)
    return np.bincount(day[later[fast]], minlength=days) > 0


def _broad(
    events: UserEvents, counted: np.ndarray, day: np.ndarray, days: int, most_items: int
) -> np.ndarray:
    """Days with more than so many distinct items."""
    known = counted & (events.item >= 0)
    # Few days have the events for it, and only theirs are sorted.
    known &= (np.bincount(day[known], minlength=days) > most_items)[day]
    item, size = events.item[known], int(events.item.max(initial=0)) + 1
    distinct = np.unique(day[known] * size + item) // size
    return np.bincount(distinct, minlength=days) > most_items


def _even(
    events: UserEvents,
    counted: np.ndarray,
    day: np.ndarray,
    days: int,
    least_events: int,
    variation: float,
) -> np.ndarray:
    """Days whose gaps have a small coefficient of variation."""
    # The first gap of a day leads back to another day and is left out.
    inside = counted & ~differs(day) & (events.time != UNKNOWN_TIME)
    places = np.flatnonzero(inside)
    gap, day = events.time[places] - events.time[places - 1], day[places]
    count = np.bincount(day, minlength=days)
    mean = np.bincount(day, gap, minlength=days) / np.maximum(count, 1)
    variance = np.bincount(day, (gap - mean[day]) ** 2, minlength=days) / np.maximum(count, 1)
    return (
        (count > 0)
        & (count + 1 >= least_events)
        & (mean > 0)
        & (np.sqrt(variance) <= variation * mean)
    )


def _hours(events: UserEvents, counted: np.ndarray, day: np.ndarray, days: int) -> np.ndarray:
    """Hours of each day with an event."""
    known = counted & (events.time != UNKNOWN_TIME)
    day, hour = day[known], events.time[known] // _HOUR
    return np.bincount(day[differs(day, hour)], minlength=days)
