"""Rows of a panel as a step of the networks takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Rows:
    """n units as a step takes them.

    Parameters
    ----------
    x : ndarray of float32, (n, p)
    arm, fold : ndarray of int32, n
    outcome : ndarray of float32, (n, J)
    weight : ndarray of float32, n
    """

    x: np.ndarray
    arm: np.ndarray
    outcome: np.ndarray
    fold: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.arm)

    def take(self, index: np.ndarray | slice) -> Rows:
        """Some of the rows."""
        return Rows(
            self.x[index], self.arm[index], self.outcome[index], self.fold[index],
            self.weight[index],
        )  # fmt: skip

    @staticmethod
    def joined(parts: Sequence[Rows]) -> Rows:
        """One after the other."""
        return Rows(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("x", "arm", "outcome", "fold", "weight")
            )
        )

    @staticmethod
    def none(features: int, outcomes: int) -> Rows:
        """No rows: the batch of a rank that has run out."""
        whole, real = np.zeros(0, np.int32), np.zeros(0, np.float32)
        return Rows(
            np.zeros((0, features), np.float32), whole, np.zeros((0, outcomes), np.float32),
            whole, real,
        )  # fmt: skip
