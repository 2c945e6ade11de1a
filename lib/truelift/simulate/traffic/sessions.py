"""When people come: sessions that a timeout of 25 to 35 minutes recovers."""

from __future__ import annotations

import datetime

import numpy as np

from truelift.simulate.traffic.events import places_in, running_start, starts_of
from truelift.simulate.traffic.world import SLOTS_A_DAY, TrafficWorld

SECOND = 1_000_000
DAY = 86_400 * SECOND

_MOST_EVENTS = 20
_LEAST_GAP = 3.5
_MOST_GAP = 1_440.0
# A person's day is cut into slots of 90 minutes with at most one session of 50 minutes each,
# which leaves more than 35 minutes to the next one.
_SLOT = 5_400.0
_MOST_SECONDS = 3_000.0
_PAUSE = 2_160.0


def first_instant(world: TrafficWorld) -> int:
    """Midnight of the first day, microseconds since 1970."""
    day = datetime.date.fromisoformat(world.first_day) - datetime.date(1970, 1, 1)
    return day.days * DAY


def session_begins(
    random: np.random.Generator, world: TrafficWorld, per_user: np.ndarray
) -> np.ndarray:
    """Whether a row is the first of a session, which has at most 20 events."""
    rows, place = int(per_user.sum()), places_in(per_user)
    begins = (random.random(rows) < 1 / world.events_per_session) | (place == 0)
    begins |= (np.arange(rows) - running_start(begins)) % _MOST_EVENTS == 0
    slots = world.days * SLOTS_A_DAY
    firsts = starts_of(per_user)
    crowded = np.add.reduceat(begins, firsts) > slots
    if crowded.any():
        even = place % np.repeat(-(-per_user // slots), per_user) == 0
        begins = np.where(np.repeat(crowded, per_user), even, begins)
    return begins


def session_offsets(
    random: np.random.Generator, world: TrafficWorld, lengths: np.ndarray
) -> np.ndarray:
    """Seconds since the session's first event."""
    first, place = starts_of(lengths), places_in(lengths)
    extra = world.gap_seconds * np.exp(world.gap_spread * random.standard_normal(len(place)))
    extra = np.where(place == 0, 0.0, np.minimum(extra, _MOST_GAP - _LEAST_GAP))
    room = _MOST_SECONDS - _LEAST_GAP * lengths
    extra *= np.repeat(
        np.minimum(1.0, room / np.maximum(np.add.reduceat(extra, first), 1.0)), lengths
    )
    total = np.cumsum(extra)
    return total - np.repeat(total[first], lengths) + _LEAST_GAP * place


def session_starts(
    random: np.random.Generator, world: TrafficWorld, owner: np.ndarray, seconds: np.ndarray
) -> np.ndarray:
    """Microseconds at which sessions begin; ``owner`` is sorted, each user's slots are distinct."""
    counts = np.bincount(owner, minlength=owner[-1] + 1)
    place, many = places_in(counts), counts[owner]
    draws = random.random(len(owner))
    draws = draws[np.lexsort((draws, owner))]
    slot = np.floor(draws * (world.days * SLOTS_A_DAY - many + 1)).astype(np.int64) + place
    wakes = random.uniform(0, 9 * 3_600, len(counts))[owner]
    inside = random.random(len(owner)) * (_SLOT - _PAUSE - seconds)
    within_day = wakes + (slot % SLOTS_A_DAY) * _SLOT + inside
    micros = np.rint(within_day * SECOND).astype(np.int64)
    return first_instant(world) + (slot // SLOTS_A_DAY) * DAY + micros
