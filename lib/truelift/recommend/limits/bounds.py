"""What some users' lists may still hold, slot by slot."""

from __future__ import annotations

import numpy as np

from truelift.arrays.keys import mix
from truelift.recommend.limits.limits import ALL, Cutoffs, Limits, budget_place, in_parts, place

#: Why what stands best is not in its slot.
NOTHING, RULE, STOCK, BUDGET, FLOOR = range(5)
_STOCK_LOT, _BUDGET_LOT = 0x57_0C, 0xB0_D6


class Bounds:
    """Limits for a chunk of users, while their lists are filled.

    Parameters
    ----------
    limits : Limits
    cutoffs : Cutoffs
    keys : ndarray of str, n
        Of the users.
    users : ndarray of uint64, n
        Hashes of these keys.
    usable : ndarray of bool, n x items + 1
    count : int
        Slots.
    seed : int
    """

    def __init__(
        self, limits: Limits, cutoffs: Cutoffs, keys: np.ndarray, users: np.ndarray,
        usable: np.ndarray, count: int, seed: int,
    ) -> None:  # fmt: skip
        n = len(users)
        self.limits, self.cutoffs, self.cost = limits, cutoffs, limits.cost
        # Whole parts, which floats hold exactly.
        self._price = limits.micro.astype(float)
        self.slots = np.zeros((n, count), np.int8)
        self.budget_queue = np.zeros((n, count), np.int64)
        self._stock_lot = mix(users ^ mix(np.array([seed ^ _STOCK_LOT], np.uint64)))
        self._lot = mix(users ^ mix(np.array([seed ^ _BUDGET_LOT], np.uint64)))
        self._permitted = usable if limits.rules is None else usable & limits.rules.usable(keys)
        self._left_over = np.full(n, np.inf)
        if limits.budget_per_user is not None:
            self._left_over[:] = in_parts(limits.budget_per_user)
        self._falling = np.full(n, np.inf)
        self._taken = np.zeros((n, len(limits.floors) + 1), np.int64)
        #: Lists that hold something, whose slot a floor asks for.
        self.owed = np.zeros(n, bool)
        self._count = count

    def _begin(self, score: np.ndarray) -> None:
        """What is left to whom, once it is known what items gain a user first and alone."""
        n = len(score)
        self._first = score
        self._in_stock = np.ones(score.shape, bool)
        scarce = np.flatnonzero(self.cutoffs.stock < ALL)
        if len(scarce):
            line = self.stock_places(np.arange(n)[:, None], scarce[None])
            self._in_stock[:, scarce] = line < self.cutoffs.stock[scarce]
        self.length = self._lengths(self._permitted & self._in_stock, self._count)
        needs = [np.ceil(s * self.length - 1e-9) for s in self.limits.floors]
        self._needs = np.array(needs, np.int64).reshape(-1, n).T

    def stock_places(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Where users, by their rows, stand in the queues for items."""
        rows, items = np.broadcast_arrays(rows, items)
        lots = mix(self._stock_lot[rows] + items.astype(np.uint64))
        return place(self._first[rows, items], lots >> np.uint64(33))

    def menu(self, slot: int, left: np.ndarray, score: np.ndarray) -> np.ndarray:
        """Items that may come into a slot (n x items + 1).

        Parameters
        ----------
        slot : int
        left : ndarray of bool, n x items + 1
            Items that are not on the list.
        score : ndarray, n x items + 1
            By which the slot's best is the best.
        """
        if slot == 0:
            self._begin(score)
        n = len(left)
        row, plain = np.arange(n), np.where(left, score, -np.inf).argmax(axis=1)

        def narrowed(menu: np.ndarray, by: np.ndarray, why: int) -> np.ndarray:
            lost = menu[row, plain] & ~by[row, plain]
            self.slots[lost, slot] = why
            return np.asarray(menu & by)

        menu = left & (slot < self.length)[:, None]
        if self.limits.rules is not None:
            menu = narrowed(menu, self._permitted, RULE)
        else:
            menu &= self._permitted
        menu = narrowed(menu, self._in_stock, STOCK)
        open_needs = np.maximum(self._needs - self._taken[:, 1:], 0)
        if self.limits.budget_per_user is not None:
            menu = narrowed(menu, self._affordable(menu, open_needs), BUDGET)
        if len(self.limits.floors):
            due = open_needs.sum(axis=1) >= self.length - slot
            self.owed = due & self._taken.any(axis=1)
            lacking = np.concatenate([np.zeros((n, 1), bool), open_needs > 0], axis=1)
            menu = narrowed(menu, ~due[:, None] | lacking[:, self.limits.provider], FLOOR)
        if self.limits.budget is not None:
            # By the best of what costs anything, also where the best costs nothing and only a lot may pay: a place that
            # hung on what is in stock would fall back when that runs out, and what it had left would go to nobody.
            dear = menu & (self._price > 0)[None]
            best = np.where(dear, score, -np.inf).argmax(axis=1)
            gain = np.where(dear.any(axis=1), score[row, best], -np.inf)
            ratio = np.divide(
                gain, self._price[best], out=np.full(n, -np.inf), where=self._price[best] > 0
            )
            self._falling = np.minimum(self._falling, ratio)
            own = budget_place(self._falling, self._lot, slot)
            self.budget_queue[:, slot] = own
            paid = own < self.cutoffs.budget
            menu = narrowed(menu, paid[:, None] | (self._price == 0)[None], BUDGET)
        return menu

    def take(self, there: np.ndarray, chosen: np.ndarray) -> None:
        """Items that users got in this slot, where they got one."""
        self._left_over -= np.where(there, self._price[chosen], 0.0)
        row = np.flatnonzero(there)
        self._taken[row, self.limits.provider[chosen[row]]] += 1

    def kept(self, items: np.ndarray, after: Cutoffs | None) -> np.ndarray:
        """Which places of finished lists may stay: the rest is left empty.

        Parameters
        ----------
        items : ndarray of int, n x slots
        after : Cutoffs, optional
            Ends of queues that had come nearer when lists were made.
        """
        stay = items > 0
        if after is not None:
            line = self.stock_places(np.arange(len(items))[:, None], items)
            stay &= line < np.where(items > 0, after.stock[items], ALL)
            stay &= (self.budget_queue < after.budget) | (self._price[items] == 0)
        if len(self.limits.floors):
            self._trim(items, stay)
        return stay

    def _trim(self, items: np.ndarray, stay: np.ndarray) -> None:
        """Shorten lists from their ends until every floor holds."""
        for _ in range(items.shape[1]):
            size = stay.sum(axis=1)
            provider = np.where(stay, self.limits.provider[items], -1)
            short = np.stack(
                [
                    (provider == g).sum(axis=1) < np.ceil(s * size - 1e-9)
                    for g, s in enumerate(self.limits.floors, start=1)
                ],
                axis=1,
            )
            rows = np.flatnonzero(short.any(axis=1))
            if not len(rows):
                return
            owed = np.concatenate([np.zeros((len(items), 1), bool), short], axis=1)
            loose = stay & ~np.take_along_axis(owed, np.maximum(provider, 0), axis=1)
            # Where only what is owed is left, floors of others make it go too.
            loose[rows] = np.where(loose[rows].any(axis=1)[:, None], loose[rows], stay[rows])
            last = items.shape[1] - 1 - loose[rows, ::-1].argmax(axis=1)
            stay[rows, last] = False

    def _lengths(self, usable: np.ndarray, count: int) -> np.ndarray:
        """Longest lists for which every floor can be kept (n)."""
        floors = self.limits.floors
        if not len(floors):
            return np.full(len(usable), count)
        spend = self._left_over
        found = np.zeros(len(usable), np.int64)
        sums = [self._cheapest(usable, g) for g in range(1, len(floors) + 1)]
        for length in range(count, 0, -1):
            needs = [int(np.ceil(s * length - 1e-9)) for s in floors]
            fits = np.full(len(usable), sum(needs) <= length)
            owed = np.zeros(len(usable))
            for own, need in zip(sums, needs, strict=True):
                if need >= own.shape[1]:
                    fits[:] = False
                else:
                    owed += own[:, need]
            fits &= np.isfinite(owed) & (owed <= spend)
            found = np.where((found == 0) & fits, length, found)
        return found

    def _cheapest(self, usable: np.ndarray, provider: int) -> np.ndarray:
        """What 0, 1, 2, .. of the cheapest items of a provider cost together; infinite where there are fewer."""
        own = np.flatnonzero(self.limits.provider == provider)
        cost = np.sort(np.where(usable[:, own], self._price[own], np.inf), axis=1)
        return np.concatenate([np.zeros((len(usable), 1)), np.cumsum(cost, axis=1)], axis=1)

    def _affordable(self, menu: np.ndarray, needs: np.ndarray) -> np.ndarray:
        """Items after which the user's budget still buys what floors need."""
        price = np.broadcast_to(self._price, menu.shape).copy()
        owed = np.zeros(len(menu))
        row = np.arange(len(menu))
        for g in range(1, len(self.limits.floors) + 1):
            sums, need = self._cheapest(menu, g), needs[:, g - 1]
            last = sums.shape[1] - 1
            whole = sums[row, np.minimum(need, last)]
            part = sums[row, np.minimum(np.maximum(need - 1, 0), last)]
            owed += whole
            own = np.flatnonzero(self.limits.provider == g)
            # One of the cheapest is one of those needed; any other comes beside the rest of them.
            enough = np.where(np.isfinite(whole), whole, 0.0)[:, None]
            beside = np.maximum(enough, self._price[own] + part[:, None]) - enough
            price[:, own] = np.where(need[:, None] > 0, beside, price[:, own])
        return np.asarray(price + owed[:, None] <= self._left_over[:, None])
