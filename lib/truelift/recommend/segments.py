"""Cold and warm: users by the length of their past, wanted items by their popularity.

The edges do not depend on the data, so that parts of the users can be evaluated anywhere and
added up, and two runs speak of the same segments. An item is cold where few took it in the
training part; of the others, the most popular fifth of the catalogue is the head and the rest
the tail (see :class:`~truelift.recommend.measures.Catalogue`).
"""

from __future__ import annotations

import numpy as np

from truelift.models.histories import Histories
from truelift.models.windows import step_counts
from truelift.recommend.measures import Catalogue

# Steps (sessions or events) of the past, and interactions in the training part.
COLD_BELOW = 5
LONG_FROM = 50
USERS = ("cold users", "warm users", "long-standing users")
ITEMS = ("cold items", "tail items", "head items")
ALL = "all"
SEGMENTS = (ALL, *USERS, *ITEMS)


def user_segments(past: Histories, step: str) -> np.ndarray:
    """Index into :data:`USERS` of each user, by the steps of the past; shape (n,)."""
    return np.digitize(step_counts(past, step), [COLD_BELOW, LONG_FROM])


def item_segments(catalogue: Catalogue) -> np.ndarray:
    """Index into :data:`ITEMS` of each item, shape (items + 1,)."""
    warm = np.where(catalogue.tail, 1, 2)
    return np.where(catalogue.popularity < COLD_BELOW, 0, warm)


def meaning() -> dict[str, str]:
    """Each segment in words."""
    return {
        USERS[0]: f"fewer than {COLD_BELOW} steps before the evaluated one",
        USERS[1]: f"{COLD_BELOW} to {LONG_FROM - 1} steps",
        USERS[2]: f"{LONG_FROM} steps or more",
        ITEMS[0]: f"wanted items with fewer than {COLD_BELOW} interactions in training",
        ITEMS[1]: "wanted items outside the most popular fifth of the catalogue",
        ITEMS[2]: "wanted items of the most popular fifth",
    }
