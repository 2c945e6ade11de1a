"""Every position of the held-out part: each step is foretold from all that came before it.

In place of one row a user (the first step of a window, the last step of a history) an
evaluation then has a row for each step, as the published comparisons of session models have it
(Hidasi et al. 2016). The step's own user is the cluster of its rows. What came before a step is
known when it is foretold, also where it lies in the held-out part: nothing is learned from it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from truelift.models.sequence.histories import Histories, ItemSets
from truelift.models.sequence.windows import step_index

# Interactions of the pasts that are laid out at once.
LAID_OUT = 2_000_000


def every_position(
    histories: Histories, held_out: np.ndarray, step: str, with_past: bool = True
) -> tuple[Histories, ItemSets]:
    """A row for each step whose first interaction is held out.

    Parameters
    ----------
    histories : Histories
        Whole histories.
    held_out : numpy.ndarray of bool
        Of each interaction.
    step : str
        ``'event'`` or ``'session'``.
    with_past : bool
        Steps that have something before them, or those that are a user's first.

    Returns
    -------
    past, wanted : Histories, ItemSets
        The steps of a user lie together, in their order.
    """
    index, owner = step_index(histories, step), histories.owner
    opens = np.ones(len(index), dtype=bool)
    opens[1:] = (index[1:] != index[:-1]) | (owner[1:] != owner[:-1])
    first = np.flatnonzero(opens)
    last = np.append(first[1:], len(index))
    chosen = held_out[first] & ((index[first] > 0) == with_past)
    first, last = first[chosen], last[chosen]
    user = owner[first]
    begins = histories.offsets[user]
    past = _rows(histories, user, begins, first)
    return past, _rows(histories, user, first, last).distinct_items()


def pieces(histories: Histories, positions: str) -> Iterator[Histories]:
    """Whole users, so few at once that the pasts of all their steps fit in memory."""
    if positions != "every" or len(histories) == 0:
        yield histories
        return
    lengths = np.diff(histories.offsets)
    cost = np.cumsum(lengths * (lengths + 1) // 2).tolist()
    # Rows of one user (a row a session) stay together: they are one cluster.
    closes = np.append(histories.users[1:] != histories.users[:-1], True)
    start, spent = 0, 0
    for row in np.flatnonzero(closes).tolist():
        if cost[row] - spent > LAID_OUT or row == len(histories) - 1:
            yield histories.slice(start, row + 1)
            start, spent = row + 1, cost[row]


def _rows(
    histories: Histories, user: np.ndarray, begins: np.ndarray, ends: np.ndarray
) -> Histories:
    """A history for each stretch of interactions, of the user named beside it."""
    sizes = ends - begins
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    places = np.arange(offsets[-1]) + np.repeat(begins - offsets[:-1], sizes)
    return Histories(
        histories.users[user],
        offsets,
        histories.items[places],
        histories.times[places],
        histories.sessions[places],
        {name: values[places] for name, values in histories.features.items()},
    )
