"""How loops over rows are compiled, in every room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

from truelift.arrays.kept_loops import KeptLoop

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Machine code, kept on disk between processes; other threads run beside it."""
    loop: Any = njit(nogil=True)(function)
    loop._cache = KeptLoop(loop)
    return cast(F, loop)
