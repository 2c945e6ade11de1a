"""What processes that share a piece of work tell each other: sums, the largest, all of it.

One process is :class:`Alone`; Horovod's ranks are :class:`~.horovod_ranks.HorovodRanks`, tasks of a
barrier stage of Spark :class:`~.barrier.BarrierTasks`. All members call in the same order.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np


class Collective(Protocol):
    """Members 0 to ``size - 1``; ``name`` says in messages what a member waits for."""

    rank: int
    size: int

    def sum(self, values: np.ndarray, name: str = "sum") -> np.ndarray:
        """The sum over all members, on each of them."""

    def max(self, values: np.ndarray, name: str = "max") -> np.ndarray:
        """The largest over all members, on each of them."""

    def join(self, values: np.ndarray, name: str = "join") -> np.ndarray:
        """The members' arrays end to end, in their order; the first axes may differ in length."""


class TensorCollective(Collective, Protocol):
    """Members that train one Keras model together."""

    def sum_tensors(self, tensors: list[Any]) -> list[Any]:
        """:meth:`sum` of several tensors at once, inside a compiled step too."""

    def join_tensors(self, tensor: Any, name: str) -> Any:
        """:meth:`join` of a tensor, inside a compiled step too."""

    def share(self, variables: list[Any]) -> None:
        """Give all members the variables' values of the first."""

    def of_first(self, data: bytes) -> bytes:
        """What the first member gives, on all of them."""


class Alone:
    """One process holds every row."""

    rank = 0
    size = 1

    def sum(self, values: np.ndarray, name: str = "sum") -> np.ndarray:  # noqa: ARG002
        """The values themselves."""
        return values

    def max(self, values: np.ndarray, name: str = "max") -> np.ndarray:  # noqa: ARG002
        """The values themselves."""
        return values

    def join(self, values: np.ndarray, name: str = "join") -> np.ndarray:  # noqa: ARG002
        """The values themselves."""
        return values

    def sum_tensors(self, tensors: list[Any]) -> list[Any]:
        """The tensors themselves."""
        return tensors

    def join_tensors(self, tensor: Any, name: str) -> Any:  # noqa: ARG002
        """The tensor itself."""
        return tensor

    def share(self, variables: list[Any]) -> None:
        """Nobody to share with."""

    def of_first(self, data: bytes) -> bytes:
        """The data themselves."""
        return data
