"""Needs have no names of their own: which of one model are which of another, and how far apart they are then."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from truelift.models.need.coordinates import Model


def matched(model: Model, to: Model) -> np.ndarray:
    """The order of a model's needs in which they are most like another's (Kuhn 1955)."""
    mine, theirs = model.profile(), to.profile()
    cost = ((theirs[:, None] - mine[None]) ** 2).sum(axis=-1)
    return linear_sum_assignment(cost)[1]


def distance(model: Model, to: Model) -> float:
    """The largest difference of what tells needs apart, after matching: in chances, or in spreads."""
    own = model.relabelled(matched(model, to)).profile()
    return float(np.abs(own - to.profile()).max(initial=0.0))


def by_frequency(model: Model, sums: np.ndarray) -> np.ndarray:
    """The order that begins with the need of most steps."""
    return np.argsort(-model.layout.parts(sums)["steps"], kind="stable")
