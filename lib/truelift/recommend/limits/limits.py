"""Limits as arrays over items, and what of them is used up by others' lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from truelift.arrays.float_bits import ordered_bits

#: A place in a queue that no one stands behind: nothing of an item is used up.
ALL = np.int64(2**63 - 1)
#: Costs are added up as whole numbers of this part, so that sums depend on no order.
MICRO = 1_000_000
_SLOTS = 127


def in_parts(amount: float) -> int:
    """An amount of money in whole parts."""
    return round(amount * MICRO)


@dataclass(frozen=True, eq=False)
class Rules:
    """Who may get what.

    Parameters
    ----------
    groups : mapping of str to tuple of int
        Numbers of the groups, from 1, that a user's key is in; who is in none has group 0 alone, and so have all.
    denied : ndarray of bool, groups x items + 1
    allowed : ndarray of bool, groups x items + 1
        What rules allow a group.
    bound : ndarray of bool, groups
        Whether rules allow a group anything; what none of a user's groups is allowed is then not for him.
    """

    groups: Mapping[str, tuple[int, ...]]
    denied: np.ndarray
    allowed: np.ndarray
    bound: np.ndarray

    def usable(self, users: np.ndarray) -> np.ndarray:
        """Items that users may get (n x items + 1)."""
        found = np.ones((len(users), self.denied.shape[1]), bool)
        for row, key in enumerate(users):
            own = (0, *self.groups.get(key, ()))
            found[row] = ~self.denied[own, :].any(axis=0)
            if self.bound[own,].any():
                found[row] &= self.allowed[own, :].any(axis=0)
        return found


@dataclass(frozen=True, eq=False)
class Limits:
    """Limits by item index.

    Parameters
    ----------
    cost : ndarray, items + 1
        Of an item on a list.
    budget, budget_per_user : float, optional
    stock : ndarray of int64, items + 1
        Units; -1 where they do not run out.
    rules : Rules, optional
    provider : ndarray of int, items + 1
        Number of the item's provider among ``floors``, from 1; 0 for all others.
    floors : ndarray, providers
    names : tuple of str
        Of these providers.
    """

    cost: np.ndarray
    stock: np.ndarray
    provider: np.ndarray
    budget: float | None = None
    budget_per_user: float | None = None
    rules: Rules | None = None
    floors: np.ndarray = field(default_factory=lambda: np.zeros(0))
    names: tuple[str, ...] = ()

    @property
    def shared(self) -> bool:
        """Whether one user's list leaves less for others."""
        return self.budget is not None or bool((self.stock >= 0).any())

    @property
    def micro(self) -> np.ndarray:
        """Costs in whole parts."""
        return np.asarray(np.rint(self.cost * MICRO), np.int64)

    @property
    def units(self) -> int | None:
        """The budget in whole parts."""
        return None if self.budget is None else in_parts(self.budget)


@dataclass(frozen=True, eq=False)
class Cutoffs:
    """Where the queue for something scarce ends: who stands there or behind gets none.

    For a unit of an item users stand in the order of what it gains them, the most first; for the budget, slots stand in
    the order of what a list gains there for its cost; by lot where that is the same. So what is left to a user does not
    hang on what he draws (but for the one who stands at the end).

    Parameters
    ----------
    stock : ndarray of int64, items + 1
    budget : int64
    """

    stock: np.ndarray
    budget: np.int64 = ALL

    @classmethod
    def open(cls, limits: Limits) -> Cutoffs:
        """Before anyone has asked."""
        return cls(np.where(limits.stock == 0, np.int64(0), ALL))

    def tightened(self, stock: Mapping[int, int], budget: int | None) -> Cutoffs:
        """With new ends of queues, which only come nearer."""
        ends = self.stock.copy()
        for item, end in stock.items():
            ends[item] = min(int(ends[item]), end)
        own = self.budget if budget is None else min(int(self.budget), budget)
        return Cutoffs(ends, np.int64(own))


def place(gain: np.ndarray, lot: np.ndarray) -> np.ndarray:
    """A place in a queue: by gain, the most first, then by a lot of 31 bits."""
    first = (~ordered_bits(np.asarray(gain, float)) >> np.uint64(32)) << np.uint64(31)
    return np.asarray(first | lot, np.int64)


def budget_place(gain: np.ndarray, lot: np.ndarray, slot: int) -> np.ndarray:
    """A slot's place in the queue for the budget: by gain for its cost, then a user's lot, then slot (n)."""
    return place(gain, (lot >> np.uint64(40)) << np.uint64(7) | np.uint64(min(slot, _SLOTS)))
