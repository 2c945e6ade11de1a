"""Who comes in a round, and what for."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from truelift.simulate.shop_world.noise import (
    CONTEXT,
    HOLDOUT,
    VISIT,
    compiled,
    gumbel,
    normal,
    stream,
    uniform,
)
from truelift.simulate.shop_world.parameters import ShopWorld
from truelift.simulate.shop_world.people import People

#: A purchase in the category up to so many rounds ago is recent.
RECENT = 2


@dataclass(frozen=True, eq=False)
class Visits:
    """The visits of a round, as the shop sees them before it makes a list.

    Parameters
    ----------
    row : ndarray of int64, v
        Of the people of the block.
    user : ndarray of int64, v
    context : ndarray of int32, v
        The category that the visitor opened; with whether something of it was bought recently it is
        ``2 category + recent``.
    holdout : ndarray of bool, v
        Whether the lot gave an empty list.
    clock : ndarray, v
        When in the round, from 0 to 1.
    errand : ndarray, v
        What the visitor has come to buy at all, as utility of every item.
    """

    row: np.ndarray
    user: np.ndarray
    context: np.ndarray
    holdout: np.ndarray
    clock: np.ndarray
    errand: np.ndarray

    def part(self, rows: np.ndarray) -> Visits:
        """Some of them."""
        return Visits(*(getattr(self, f.name)[rows] for f in fields(self)))

    def __len__(self) -> int:
        return len(self.row)


def arrivals(world: ShopWorld, people: People, seed: int, moment: int) -> Visits:
    """Visits of a round.

    A user visits with log odds ``visit + habit + mood_pull mood``; the category is a logit choice by
    need.
    """
    n = len(people.user)
    context = np.empty(n, np.int32)
    empty = np.zeros(n, np.bool_)
    clock, errand = np.zeros(n), np.zeros(n)
    _arrive(
        seed, moment, people.user, people.enters, people.gone, people.mood, people.need, people.since,
        people.habit, world.visit, world.mood_pull, world.holdout, world.errand, context, empty,
        clock, errand,
    )  # fmt: skip
    row = np.flatnonzero(context >= 0)
    return Visits(row, people.user[row], context[row], empty[row], clock[row], errand[row])


@compiled
def _arrive(  # type: ignore[no-untyped-def]
    seed, moment, user, enters, gone, mood, need, since, habit, visit, pull, holdout, spread, context,
    empty, clock, errand,
):  # fmt: skip
    visits, contexts = stream(seed, moment, VISIT), stream(seed, moment, CONTEXT)
    lots = stream(seed, moment, HOLDOUT)
    for i in range(len(user)):
        context[i] = -1
        if gone[i] or enters[i] > moment:
            continue
        chance = 1.0 / (1.0 + np.exp(-(visit + habit[i] + pull * mood[i])))
        if uniform(visits, user[i], 0) >= chance:
            continue
        best, which = -np.inf, 0
        for c in range(need.shape[1]):
            score = need[i, c] + gumbel(contexts, user[i], c)
            if score > best:
                best, which = score, c
        context[i] = 2 * which + (since[i, which] <= RECENT)
        empty[i] = uniform(lots, user[i], 0) < holdout
        clock[i] = uniform(visits, user[i], 1)
        if spread > 0.0:
            errand[i] = spread * normal(visits, user[i], 2)
