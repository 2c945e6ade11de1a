"""What is wrong with some rows: each fault fits its own rule, and clean rows fit none."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from truelift.simulate.traffic.events import (
    NO_NUMBER,
    PURCHASE,
    VIEW,
    Events,
    concatenated,
    places_in,
)
from truelift.simulate.traffic.people import prices, received
from truelift.simulate.traffic.sessions import DAY, SECOND
from truelift.simulate.traffic.world import DIRT_KINDS, REJECTED_KINDS, TrafficWorld

MAX_QUANTITY = 1_000
MAX_VALUE = 100_000
RETURN_DAYS = 20
# Items that nobody buys; they come back all the same.
_UNSOLD = 50
# The most popular items: a part of the catalogue that gets a sixth of the events.
_OFTEN = 200
_USUAL_QUANTITY = 2
_SAFE_GAP = 5 * SECOND
_HOUR = 3_600 * SECOND


def with_labels(
    random: np.random.Generator, world: TrafficWorld, people: Events, counts: Mapping[str, int]
) -> tuple[Events, np.ndarray]:
    """Turn some clean purchases into returns and outliers, which are kept and labelled.

    Returns
    -------
    tuple of (Events, ndarray of bool)
        The rows, and which of them others must not be made from.
    """
    item, quantity, cents = people.item.copy(), people.quantity.copy(), people.cents.copy()
    dirt = people.dirt.copy()
    bought, back = _returnable(people)
    chosen = _some(random, np.arange(len(back)), counts["return_of_purchase"])
    bought, back = bought[chosen], back[chosen]
    item[back], quantity[back] = item[bought], -1
    cents[back] = prices(random, item[back])
    dirt[back] = DIRT_KINDS.index("return_of_purchase")
    used = np.zeros(len(people), bool)
    used[bought] = used[back] = True
    # An outlier stands out among many purchases of its item only.
    often = (people.kind == PURCHASE) & (item < world.items // _OFTEN)
    for kind, column in (("quantity_outlier", quantity), ("value_outlier", cents)):
        rows = _some(random, np.flatnonzero(often & ~used), counts[kind])
        usual = _USUAL_QUANTITY if kind == "quantity_outlier" else column[rows]
        column[rows] = usual * random.integers(50, 101, len(rows))
        dirt[rows] = DIRT_KINDS.index(kind)
        used[rows] = True
    return people.changed(item=item, quantity=quantity, cents=cents, dirt=dirt), used


def rejects(
    random: np.random.Generator,
    world: TrafficWorld,
    people: Events,
    used: np.ndarray,
    counts: Mapping[str, int],
    first_number: int,
) -> Events:
    """Rows beside the clean ones, each made from a clean row of its own.

    Faults of a row stand 1.2 to 1.5 seconds behind that row, so that they are too late for a
    double click and too early for a misclick before the next event (3.5 seconds at least).
    """
    free = random.permutation(np.flatnonzero(~used))
    parts, done = [], 0
    for kind in REJECTED_KINDS:
        places = np.sort(free[done : done + counts[kind]])
        done += len(places)
        rows = _made(random, world, kind, people, places, first_number)
        first_number += len(places)
        parts.append(rows.changed(dirt=DIRT_KINDS.index(kind)))
    return concatenated(parts)


def _made(
    random: np.random.Generator,
    world: TrafficWorld,
    kind: str,
    people: Events,
    places: np.ndarray,
    first_number: int,
) -> Events:
    rows, size = people.take(places), len(places)
    if kind == "duplicate":
        return rows
    offset = {"double_click": (0.05, 0.45), "misclick": (-0.6, -0.1)}.get(kind, (1.2, 1.5))
    time = rows.time + (random.uniform(*offset, size) * SECOND).astype(np.int64)
    arrived = received(random, time, 0.0)
    own = first_number + np.arange(size)
    rows = rows.changed(time=time, received=arrived, number=own)
    sold = {"kind": PURCHASE, "quantity": 1, "cents": prices(random, rows.item)}
    other = (rows.item + 1 + random.integers(world.items - 1, size=size)) % world.items
    if kind == "misclick":
        return rows.changed(kind=VIEW, item=other, quantity=NO_NUMBER, cents=NO_NUMBER)
    if kind == "repeated_event_id":
        before = _previous(people, places)
        cents = np.where(rows.kind == PURCHASE, prices(random, other), NO_NUMBER)
        return rows.changed(number=people.number[before], item=other, cents=cents)
    if kind == "negative_quantity":
        unsold = world.items + random.integers(_UNSOLD, size=size)
        return rows.changed(**{**sold, "item": unsold, "quantity": -random.integers(1, 4, size)})
    if kind == "quantity_over_maximum":
        return rows.changed(**{**sold, "quantity": random.integers(5, 100, size) * MAX_QUANTITY})
    if kind == "value_over_maximum":
        return rows.changed(**{**sold, "cents": random.integers(2, 50, size) * MAX_VALUE * 100})
    if kind == "time_out_of_range":
        return rows.changed(time=time % DAY)
    if kind == "time_in_future":
        return rows.changed(time=time + 36_525 * DAY)
    if kind == "clock_skew":
        ahead = random.uniform(1.1, 12.0, size) * _HOUR
        return rows.changed(time=arrived + ahead.astype(np.int64))
    if kind in ("unreadable_quantity", "unreadable_value"):
        return rows.changed(**sold)
    return rows


def _previous(people: Events, places: np.ndarray) -> np.ndarray:
    """The event before, where it is of the same session; else the event itself."""
    before = np.maximum(places - 1, 0)
    together = (people.user[before] == people.user[places]) & (
        people.session[before] == people.session[places]
    )
    return np.where(together, before, places)


def _returnable(people: Events) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of purchases of a user, no purchase in two pairs, the second apart from others."""
    bought = np.flatnonzero(people.kind == PURCHASE)
    if len(bought) < 2:
        return bought[:0], bought[:0]
    owner = people.user[bought]
    counts = np.diff(
        np.append(np.flatnonzero(np.append(True, owner[1:] != owner[:-1])), len(owner))
    )
    second = np.flatnonzero(places_in(counts) % 2 == 1)
    first, second = bought[second - 1], bought[second]
    gap = np.diff(people.time)
    near = (people.user[1:] == people.user[:-1]) & (gap < _SAFE_GAP)
    apart = ~np.append(False, near)[second] & ~np.append(near, False)[second]
    soon = people.time[second] - people.time[first] <= (RETURN_DAYS - 1) * DAY
    return first[apart & soon], second[apart & soon]


def _some(random: np.random.Generator, places: np.ndarray, count: int) -> np.ndarray:
    return random.permutation(places)[:count]
