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
    """

    row: np.ndarray
    user: np.ndarray
    context: np.ndarray
    holdout: np.ndarray

    def part(self, rows: np.ndarray) -> Visits:
        """Some of them."""
        return Visits(*(getattr(self, f.name)[rows] for f in fields(self)))

    def __len__(self) -> int:
        return len(self.row)


def arrivals(world: ShopWorld, people: People, seed: int, moment: int) -> Visits:
    """Visits of a round.

    A user visits with log odds ``visit + mood_pull mood``; the category is a logit choice by need.
    """
    context = np.empty(len(people.user), np.int32)
    empty = np.zeros(len(people.user), np.bool_)
    _arrive(
        seed, moment, people.user, people.enters, people.gone, people.mood, people.need, people.since,
        world.visit, world.mood_pull, world.holdout, context, empty,
    )  # fmt: skip
    row = np.flatnonzero(context >= 0)
    return Visits(row, people.user[row], context[row], empty[row])


@compiled
def _arrive(  # type: ignore[no-untyped-def]
    seed, moment, user, enters, gone, mood, need, since, visit, pull, holdout, context, empty
):
    visits, contexts = stream(seed, moment, VISIT), stream(seed, moment, CONTEXT)
    lots = stream(seed, moment, HOLDOUT)
    for i in range(len(user)):
        context[i] = -1
        if gone[i] or enters[i] > moment:
            continue
        chance = 1.0 / (1.0 + np.exp(-(visit + pull * mood[i])))
        if uniform(visits, user[i], 0) >= chance:
            continue
        best, which = -np.inf, 0
        for c in range(need.shape[1]):
            score = need[i, c] + gumbel(contexts, user[i], c)
            if score > best:
                best, which = score, c
        context[i] = 2 * which + (since[i, which] <= RECENT)
        empty[i] = uniform(lots, user[i], 0) < holdout
