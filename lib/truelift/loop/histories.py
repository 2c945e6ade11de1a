"""Purchases of a loop as users' histories, which sequence models are trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from truelift.models.sequence.histories import Histories
from truelift.simulate.shop_world.shop import Played

#: What a strategy by user keeps of it.
HISTORY = "history"
_DAY = 86_400_000_000


def history_of(played: Sequence[Played]) -> np.ndarray:
    """Purchases of a round: user, item and round (purchases x 3), by user."""
    rows = []
    for one in played:
        visit, category = np.nonzero(one.responses.bought >= 0)
        item = one.responses.bought[visit, category]
        user = one.visits.user[visit]
        rows.append(np.stack([user, item, np.full(len(user), one.moment)], axis=1))
    return np.concatenate(rows).astype(np.int64)


def histories_of(history: np.ndarray, users: int) -> Histories:
    """Purchases of all rounds as histories, one a user; who bought nothing has an empty one."""
    ordered = history[np.argsort(history[:, 0], kind="stable")]
    counts = np.bincount(ordered[:, 0], minlength=users)
    return Histories(
        np.arange(users).astype(str).astype(object),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        (ordered[:, 1] + 1).astype(np.int32),
        ordered[:, 2] * _DAY,
        ordered[:, 2].astype(np.int32),
    )
