"""The kernel: one block of the traffic, the same wherever and in whatever order it is drawn."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from truelift.simulate.traffic.bots import draw_bots, draw_top_user
from truelift.simulate.traffic.dirt import rejects, with_labels
from truelift.simulate.traffic.events import Events, concatenated
from truelift.simulate.traffic.people import draw_people
from truelift.simulate.traffic.plan import BOT_ROWS, TrafficPlan
from truelift.simulate.traffic.text import block_table
from truelift.simulate.traffic.world import REJECTED_KINDS

_USERS_A_BLOCK = 10_000
_FIRST_BOT = 5_000


def traffic_block(plan: TrafficPlan, block: int) -> pa.Table:
    """Draw one block: up to 20,000 events of about a thousand users.

    Parameters
    ----------
    plan : TrafficPlan
    block : int
        From 0 to ``plan.blocks - 1``. The last blocks hold the slices of the top user.

    Returns
    -------
    pa.Table
        In the order of receipt. The columns of an event as text (``EVENT_COLUMNS``), then the
        truth: ``row`` (number in the whole traffic), ``true_user``, ``true_session`` (null for
        rows to reject), ``dirt`` (kind or null), ``is_bot``, ``bot`` (kind or null).
    """
    random = plan.random(block)
    if block >= plan.crowd_blocks:
        events = draw_top_user(random, plan, block, plan.crowd_blocks * _USERS_A_BLOCK)
    else:
        events = _crowd(random, plan, block)
    arrived = np.argsort(events.received, kind="stable")
    return block_table(events.take(arrived), block, plan.first_row(block))


def _crowd(random: np.random.Generator, plan: TrafficPlan, block: int) -> Events:
    world, dirt, bots = plan.world, plan.dirt_of(block), plan.bots_of(block)
    wrong = sum(dirt[kind] for kind in REJECTED_KINDS)
    clean = plan.rows_of(block) - wrong - sum(BOT_ROWS[kind] * n for kind, n in bots.items())
    first_user = block * _USERS_A_BLOCK
    people, used = with_labels(random, world, draw_people(random, world, clean, first_user), dirt)
    parts, number, bot = [people], clean, first_user + _FIRST_BOT
    for kind, count in bots.items():
        if count:
            drawn = draw_bots(random, world, kind, count, bot)
            parts.append(drawn.changed(number=drawn.number + number))
            number, bot = number + len(drawn), bot + count
    parts.append(rejects(random, world, people, used, dirt, number))
    return concatenated(parts)
