"""Who comes to the shop: traits that stay, and a state that rounds change."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from truelift.simulate.shop_world.catalogue import Catalogue
from truelift.simulate.shop_world.noise import (
    KNOWN,
    START,
    TASTE,
    TRAIT,
    compiled,
    normal,
    stream,
    uniform,
)
from truelift.simulate.shop_world.parameters import ShopWorld

#: Rounds since the last purchase, where there was none.
LONG_AGO = 99


@dataclass(frozen=True, eq=False)
class People:
    """A block of users; arrays are changed in place by rounds.

    Parameters
    ----------
    user : ndarray of int64, n
        Numbers of users, by which all chance is looked up.
    group : ndarray of int8, n
    trust, hidden, thrift : ndarray of float32, n
        Of lists; what nobody records; what a price weighs.
    enters : ndarray of int32, n
        The first round.
    taste, need : ndarray of float32, n x categories
    known : ndarray of int16, n x familiar
        Items that are thought of without a list.
    since : ndarray of int8, n x categories
        Rounds since the last purchase.
    fatigue, mood : ndarray of float32, n
    gone : ndarray of bool, n
    habit : ndarray of float32, n
        What a user adds to the log odds of a visit.
    branch : ndarray of int32, n
        Whose shelf the user buys from.
    shelf : ndarray of int32, branches x items
        What is left there; no branches where sales use nothing up.
    """

    user: np.ndarray
    group: np.ndarray
    trust: np.ndarray
    hidden: np.ndarray
    thrift: np.ndarray
    enters: np.ndarray
    taste: np.ndarray
    need: np.ndarray
    known: np.ndarray
    since: np.ndarray
    fatigue: np.ndarray
    mood: np.ndarray
    gone: np.ndarray
    habit: np.ndarray
    branch: np.ndarray
    shelf: np.ndarray

    def copy(self) -> People:
        """The same people, whom another policy may meet."""
        return People(*(getattr(self, f.name).copy() for f in fields(self)))

    def part(self, rows: slice | np.ndarray) -> People:
        """Some of them; a slice shares their state, an index copies it; shelves come whole."""
        shelf = self.shelf if isinstance(rows, slice) else self.shelf.copy()
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        return People(**{k: shelf if k == "shelf" else v[rows] for k, v in own.items()})


def people_of(world: ShopWorld, goods: Catalogue, seed: int, user: np.ndarray) -> People:
    """Users as they are when they first come.

    Parameters
    ----------
    world : ShopWorld
    goods : Catalogue
    seed : int
    user : ndarray of int64, n
        Any users, in any order: each is what its number makes of it. Where sales use stock up, users
        ``b branch`` to ``(b + 1) branch - 1`` share a shelf, and have to be played together.
    """
    n, c = len(user), world.categories
    branches, branch = np.unique(user // world.branch, return_inverse=True)
    shelves = len(branches) if world.stock else 0
    people = People(
        user.astype(np.int64), np.zeros(n, np.int8), np.zeros(n, np.float32),
        np.zeros(n, np.float32), np.zeros(n, np.float32), np.zeros(n, np.int32),
        np.zeros((n, c), np.float32), np.zeros((n, c), np.float32),
        np.zeros((n, world.familiar), np.int16), np.full((n, c), LONG_AGO, np.int8),
        np.zeros(n, np.float32), np.zeros(n, np.float32), np.zeros(n, np.bool_),
        np.zeros(n, np.float32), branch.astype(np.int32),
        np.full((shelves, world.items), world.stock, np.int32),
    )  # fmt: skip
    _begin(
        seed, people.user, people.group, people.trust, people.hidden, people.thrift, people.enters,
        people.taste, people.need, people.known, people.habit, goods.known,
        np.array(
            [world.minority, world.trust, world.newcomers, world.taste_spread, world.visit_spread]
        ), world.horizon,
    )  # fmt: skip
    return people


@compiled
def _begin(  # type: ignore[no-untyped-def]
    seed,
    user,
    group,
    trust,
    hidden,
    thrift,
    enters,
    taste,
    need,
    known,
    habit,
    weight,
    dials,
    horizon,
):
    minority, trusting, newcomers, spread, habits = dials
    traits, tastes = stream(seed, 0, TRAIT), stream(seed, 0, TASTE)
    starts, knows = stream(seed, 0, START), stream(seed, 0, KNOWN)
    for i in range(len(user)):
        u = user[i]
        group[i] = uniform(traits, u, 0) < minority
        trust[i] = min(trusting * (0.75 + 0.5 * uniform(traits, u, 1)), 1.0)
        if group[i]:
            trust[i] *= 0.7
        hidden[i] = normal(traits, u, 2)
        thrift[i] = 0.3 + 0.4 * uniform(traits, u, 6)
        if habits > 0.0:
            habit[i] = habits * normal(traits, u, 5)
        if uniform(traits, u, 7) < newcomers:
            enters[i] = 1 + int(uniform(traits, u, 8) * horizon)
        for c in range(taste.shape[1]):
            taste[i, c] = spread * normal(tastes, u, c)
            # Needs start where they would be after long: tastes with the drift's own noise.
            need[i, c] = taste[i, c] + 0.3 * normal(starts, u, c)
        for k in range(known.shape[1]):
            found = np.searchsorted(weight, uniform(knows, u, k), side="right")
            known[i, k] = min(found, len(weight) - 1)
