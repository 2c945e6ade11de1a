"""Cold and warm: users by the length of their past, wanted items by their popularity.

The edges do not depend on the data, so that parts of the users can be evaluated anywhere and
added up, and two runs speak of the same segments. An item is cold where few took it in the
training part; of the others, the most popular fifth of the catalogue is the head and the rest
the tail (see :class:`~truelift.evaluation.measures.Catalogue`).
"""

from __future__ import annotations

import numpy as np

from truelift.evaluation.measures import Catalogue
from truelift.evaluation.segment_names import COLD_BELOW, LONG_FROM
from truelift.models.sequence.histories import Histories
from truelift.models.sequence.windows import step_counts


def user_segments(past: Histories, step: str) -> np.ndarray:
    """Index into :data:`~truelift.evaluation.segment_names.USERS` of each user, by the steps of the past; shape (n,)."""
    return np.digitize(step_counts(past, step), [COLD_BELOW, LONG_FROM])


def item_segments(catalogue: Catalogue) -> np.ndarray:
    """Index into :data:`~truelift.evaluation.segment_names.ITEMS` of each item, shape (items + 1,)."""
    warm = np.where(catalogue.tail, 1, 2)
    return np.where(catalogue.popularity < COLD_BELOW, 0, warm)
