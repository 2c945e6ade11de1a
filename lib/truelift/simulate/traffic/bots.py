"""Bots, each so plain that its rule cannot miss it, and the user who owns a share of all."""

from __future__ import annotations

import numpy as np

from truelift.simulate.traffic.events import NO_DIRT, NO_NUMBER, PURCHASE, VIEW, Events
from truelift.simulate.traffic.people import HUMAN_AGENTS, PAGES, prices, quantities, received
from truelift.simulate.traffic.plan import BOT_ROWS, TrafficPlan
from truelift.simulate.traffic.sessions import DAY, SECOND, first_instant
from truelift.simulate.traffic.world import BOT_KINDS, TrafficWorld

BOT_AGENTS = 4


def draw_bots(
    random: np.random.Generator, world: TrafficWorld, kind: str, count: int, first_user: int
) -> Events:
    """Events of some bots of one kind; each bot is active on one day, in one session."""
    rows = BOT_ROWS[kind]
    midnight = first_instant(world) + random.integers(world.days, size=(count, 1)) * DAY
    time = (midnight + np.rint(_seconds(random, kind, count, rows) * SECOND)).astype(np.int64)
    items = (random.integers(world.items, size=(count, 1)) + np.arange(rows)) % world.items
    declared = HUMAN_AGENTS + random.integers(BOT_AGENTS, size=(count, 1))
    disguised = random.integers(HUMAN_AGENTS, size=(count, 1))
    agent = declared if kind == "bot_declared" else disguised
    return _events(
        random,
        user=np.repeat(first_user + np.arange(count), rows),
        time=time.ravel(),
        item=items.ravel(),
        kind=VIEW,
        agent=np.repeat(agent.ravel(), rows),
        bot=BOT_KINDS.index(kind),
    )


def _seconds(random: np.random.Generator, kind: str, count: int, rows: int) -> np.ndarray:
    """Seconds since midnight, shape (count, rows)."""
    shape, alone = (count, rows), (count, 1)
    if kind == "bot_round_the_clock":  # in each hour, with gaps below 24 minutes
        return (np.arange(rows) + random.uniform(0.2, 0.8, shape)) * (86_400 / rows)
    if kind == "bot_metronome":
        gap = np.rint(random.uniform(30, 900, alone))
        return random.uniform(0, 86_000 - gap * rows, alone) + gap * np.arange(rows)
    # More than 60 a minute, slower than what passes for a misclick, and not at one interval.
    low, high = {
        "bot_rate": (0.75, 1.05),
        "bot_breadth": (20.0, 120.0),
        "bot_declared": (5.0, 60.0),
    }[kind]
    gaps = random.uniform(low, high, shape)
    latest = 86_000 - high * rows
    return random.uniform(0, latest, alone) + np.cumsum(gaps, axis=1)


def draw_top_user(random: np.random.Generator, plan: TrafficPlan, block: int, user: int) -> Events:
    """One slice of the events of the user who owns a share of everything.

    They come at a steady pace, each somewhere in the first half of its turn, in one session
    over all days. The items go round, so that none comes twice in a short while.
    """
    before = plan.first_row(block) - plan.crowd_rows
    turn = before + np.arange(plan.rows_of(block))
    pace = plan.top_user_days * DAY / plan.top_user_rows
    time = first_instant(plan.world) + (turn * pace).astype(np.int64)
    time += (random.random(len(turn)) * pace / 2).astype(np.int64)
    return _events(
        random,
        user=np.full(len(turn), user),
        time=time,
        item=turn % plan.world.items,
        kind=PURCHASE,
        agent=np.zeros(len(turn), np.int64),
        bot=BOT_KINDS.index("bot_round_the_clock"),
    )


def _events(
    random: np.random.Generator,
    user: np.ndarray,
    time: np.ndarray,
    item: np.ndarray,
    kind: int,
    agent: np.ndarray,
    bot: int,
) -> Events:
    rows = len(user)
    bought = kind == PURCHASE
    nothing = np.full(rows, NO_NUMBER)
    return Events(
        number=np.arange(rows),
        user=user,
        session=np.zeros(rows, np.int64),
        time=time,
        received=received(random, time, 0.0),
        item=item,
        kind=np.full(rows, kind),
        quantity=quantities(random, rows) if bought else nothing,
        cents=prices(random, item) if bought else nothing,
        agent=agent,
        campaign=np.zeros(rows, np.int64),
        page=random.integers(PAGES, size=rows),
        dirt=np.full(rows, NO_DIRT),
        bot=np.full(rows, bot),
    )
