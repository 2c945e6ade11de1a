"""People: few very active ones and many who come rarely, in sessions that can be recovered."""

from __future__ import annotations

import numpy as np

from truelift.simulate.traffic.events import (
    CART,
    NO_BOT,
    NO_DIRT,
    NO_NUMBER,
    PURCHASE,
    Events,
    places_in,
    running_start,
)
from truelift.simulate.traffic.sessions import (
    SECOND,
    session_begins,
    session_offsets,
    session_starts,
)
from truelift.simulate.traffic.world import TrafficWorld

HUMAN_AGENTS = 6
CAMPAIGNS = 4
PAGES = 4


def draw_people(
    random: np.random.Generator, world: TrafficWorld, rows: int, first_user: int
) -> Events:
    """Clean events of as many people as the rows are for, by user and time.

    Returns
    -------
    Events
        Gaps of a user are 3.5 seconds to 24 minutes inside a session and more than 35 minutes
        between sessions; equal item and type never follow one another.
    """
    per_user = _events_per_user(random, world, rows)
    user = np.repeat(np.arange(len(per_user)), per_user)
    begins = session_begins(random, world, per_user)
    owner = user[begins]
    lengths = np.diff(np.append(np.flatnonzero(begins), rows))
    offset = session_offsets(random, world, lengths)
    opening = session_starts(random, world, owner, offset[np.cumsum(lengths) - 1])
    time = np.repeat(opening, lengths) + np.rint(offset * SECOND).astype(np.int64)
    kind = random.choice(
        3, rows, p=[world.view_share, world.cart_share, 1 - world.view_share - world.cart_share]
    )
    item = _items(random, world, begins, kind)
    sessions_of = np.bincount(owner, minlength=len(per_user))
    bought = kind == PURCHASE
    counted = bought | (kind == CART)
    agents = random.integers(HUMAN_AGENTS, size=len(per_user))
    campaigns = np.maximum(random.integers(-6, CAMPAIGNS, len(lengths)), 0)
    return Events(
        number=np.arange(rows),
        user=first_user + user,
        session=np.repeat(places_in(sessions_of), lengths),
        time=time,
        received=received(random, time, world.late_share),
        item=item,
        kind=kind,
        quantity=np.where(counted, quantities(random, rows), NO_NUMBER),
        cents=np.where(bought, prices(random, item), NO_NUMBER),
        agent=agents[user],
        campaign=np.repeat(campaigns, lengths),
        page=random.integers(PAGES, size=rows),
        dirt=np.full(rows, NO_DIRT),
        bot=np.full(rows, NO_BOT),
    )


def received(random: np.random.Generator, time: np.ndarray, late_share: float) -> np.ndarray:
    """When the log server got the events: mostly within seconds, some a day or two late."""
    delay = 0.05 + np.minimum(random.lognormal(0.0, 1.0, len(time)), 60.0)
    if late_share:
        late = random.random(len(time)) < late_share
        delay = np.where(late, random.uniform(3_600, 172_800, len(time)), delay)
    return time + (delay * SECOND).astype(np.int64)


def quantities(random: np.random.Generator, rows: int) -> np.ndarray:
    """One to four pieces."""
    return random.integers(1, 5, rows)


def prices(random: np.random.Generator, item: np.ndarray) -> np.ndarray:
    """Price of a piece in cents: the item's own, give or take a tenth."""
    return np.rint(typical_cents(item) * random.uniform(0.9, 1.1, len(item))).astype(np.int64)


def typical_cents(item: np.ndarray) -> np.ndarray:
    """The item's usual price, 2 to 102 in a way that looks random."""
    return 200 + (item * 7_919 + 104_729) % 10_000


def popular(random: np.random.Generator, world: TrafficWorld, rows: int) -> np.ndarray:
    """Items, a few of them most of the time (a power law)."""
    return (world.items * random.random(rows) ** 3).astype(np.int64)


def _events_per_user(random: np.random.Generator, world: TrafficWorld, rows: int) -> np.ndarray:
    """Events of each user, at least one, adding up to ``rows``."""
    users = max(1, round(rows / world.events_per_user))
    share = random.lognormal(0.0, world.activity_spread, users)
    most = world.most_events_per_user
    for _ in range(20):  # what the busiest have no time for goes to the others
        share = np.minimum(share / share.sum() * rows, most)
        if share.sum() > rows * 0.999:
            break
    wanted = share * (rows / share.sum())
    counts = np.floor(wanted).astype(np.int64)
    missing = rows - counts.sum()
    counts[np.argsort(counts - wanted, kind="stable")[:missing]] += 1
    return counts[counts > 0]


def _items(
    random: np.random.Generator, world: TrafficWorld, begins: np.ndarray, kind: np.ndarray
) -> np.ndarray:
    """Items of a session: often the same again or the next of the catalogue, else a popular one."""
    rows = len(begins)
    move = random.random(rows)
    jumps = begins | (move < 0.35)
    steps = np.cumsum(np.where(~jumps & (move < 0.7), 1, 0))
    start = running_start(jumps)
    item = (popular(random, world, rows)[start] + steps - steps[start]) % world.items
    same = ~begins[1:] & (kind[1:] == kind[:-1])
    while (clash := np.flatnonzero(same & (item[1:] == item[:-1])) + 1).size:
        item[clash] = (item[clash] + 1) % world.items
    return item
