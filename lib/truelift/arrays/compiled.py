"""How loops over rows are compiled, in every room."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Machine code, kept on disk between processes; other threads run beside it."""
    return cast(F, njit(cache=True, nogil=True)(function))
