"""Things of different size dealt out to equally fast workers."""

from __future__ import annotations

import heapq
from collections.abc import Sequence


def about_equal(sizes: Sequence[int], workers: int) -> list[list[int]]:
    """Which things each worker gets: the largest first, each to the worker with the least so far.

    The largest share is at most 4/3 of the best possible one (Graham 1969, "Bounds on
    multiprocessing timing anomalies").

    Parameters
    ----------
    sizes : sequence of int
        Of the things; equal ones go out in this order, and one of size 0 counts as 1.
    workers : int

    Returns
    -------
    list of list of int
        Indices of things, for each worker in the order in which it got them.
    """
    shares: list[list[int]] = [[] for _ in range(workers)]
    loads = [(0, worker) for worker in range(workers)]
    for thing in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        load, lightest = heapq.heappop(loads)
        shares[lightest].append(thing)
        heapq.heappush(loads, (load + max(sizes[thing], 1), lightest))
    return shares
