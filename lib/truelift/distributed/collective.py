"""Processes that hold parts of the rows and add their sums up: one alone, or a barrier's tasks."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Collective(Protocol):
    """What training needs to know of the processes that share it; all call it in the same order."""

    rank: int
    size: int

    def sum(self, values: np.ndarray) -> np.ndarray:
        """The sum over all workers, on each of them."""

    def max(self, values: np.ndarray) -> np.ndarray:
        """The largest over all workers, on each of them."""


class Alone:
    """One process holds every row."""

    rank = 0
    size = 1

    def sum(self, values: np.ndarray) -> np.ndarray:
        """The values themselves."""
        return values

    def max(self, values: np.ndarray) -> np.ndarray:
        """The values themselves."""
        return values


class BarrierTasks:
    """Tasks of a barrier stage: members of XGBoost's communicator; to be made inside its context."""

    def __init__(self) -> None:
        from xgboost import collective

        self.rank = int(collective.get_rank())
        self.size = int(collective.get_world_size())

    def sum(self, values: np.ndarray) -> np.ndarray:
        """All-reduce; XGBoost returns the flat array."""
        return self._reduced(values, "SUM")

    def max(self, values: np.ndarray) -> np.ndarray:
        """All-reduce of the largest."""
        return self._reduced(values, "MAX")

    def _reduced(self, values: np.ndarray, operation: str) -> np.ndarray:
        from xgboost import collective

        if not values.size:
            return values
        found = collective.allreduce(values, collective.Op[operation])
        return np.asarray(found).reshape(values.shape)
