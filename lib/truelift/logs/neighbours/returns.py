"""Returns: negative quantities, and the purchase that they take back."""

from __future__ import annotations

import numpy as np

from truelift.logs.neighbours.order import UserEvents, differs, runs


def purchases_returned(events: UserEvents, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Which events are returns, and the user's last purchase of the item before each.

    Parameters
    ----------
    events : UserEvents
    limit : int
        Microseconds from the purchase to the return.

    Returns
    -------
    back : ndarray of bool, shape (n,)
    purchase : ndarray of int64, shape (n,)
        Places among the events; -1 where there is no purchase within the limit, or no return.
    """
    back = events.quantity < 0
    purchase = np.full(len(back), -1, np.int64)
    if not back.any():
        return back, purchase
    # Only items that somebody returned need sorting.
    returned = np.zeros(int(events.item.max()) + 2, bool)
    returned[events.item[back] + 1] = True
    few = np.flatnonzero(returned[events.item + 1])
    few = few[np.lexsort((events.item[few], events.user[few]))]
    run = runs(differs(events.user[few], events.item[few]))
    bought = np.where(events.quantity[few] > 0, np.arange(len(few)), -1)
    last = np.maximum.accumulate(bought)
    # A return is no purchase, so the last one up to it lies before it.
    known = back[few] & (last >= 0)
    known &= run[last] == run
    later, earlier = few[known], few[last[known]]
    near = events.within(later, earlier, limit)
    purchase[later[near]] = earlier[near]
    return back, purchase
