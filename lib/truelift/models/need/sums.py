"""What both kinds of models share: rows of sums over users, and where what lies in one."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from truelift.models.need.rows import NeedRows


class RowOfSums:
    """Where what lies in a row of sums: parts of given shapes, one after the other."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """By part of the sums, its shape."""
        raise NotImplementedError

    @cached_property
    def size(self) -> int:
        """Numbers of a row of sums."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def parts(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Views of a row of sums, by name."""
        found, at = {}, 0
        for name, shape in self.shapes.items():
            size = math.prod(shape)
            found[name] = sums[at : at + size].reshape(shape)
            at += size
        return found


class SummedModel:
    """A model whose expectations are sums over users."""

    layout: Any

    def add_users(self, rows: NeedRows, by_user: bool, out: np.ndarray) -> None:
        """Add users' expected sums to rows of ``out``: each to its own, or all to the first."""
        raise NotImplementedError

    @property
    def needs(self) -> int:
        """K."""
        found: int = self.layout.needs
        return found

    def sums(self, rows: NeedRows) -> np.ndarray:
        """Expected sums of all users, a row."""
        out = np.zeros((1, self.layout.size))
        self.add_users(rows, False, out)
        return out[0]

    def sums_by_user(self, rows: NeedRows) -> np.ndarray:
        """Expected sums of each user."""
        out = np.zeros((rows.users, self.layout.size))
        self.add_users(rows, True, out)
        return out
