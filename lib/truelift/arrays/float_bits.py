"""Floats as whole numbers in their order, some bits of which at a time find exact quantiles.

The bits of a float, with the sign turned, are in the order of the floats. So counts of their first
sixteen bits tell in which of 65,536 parts a quantile lies, those of the next sixteen where in that part,
and the fourth step names the value. With eight bits there are twice as many steps, of 256 counts each.
Counts add up over partitions, and the result does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

WIDE, NARROW = 16, 8
_SIGN = np.uint64(1) << np.uint64(63)


def ordered_bits(values: np.ndarray) -> np.ndarray:
    """Floats as whole numbers in their order."""
    bits = (values + 0.0).view(np.uint64)  # one zero
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def from_ordered_bits(bits: np.ndarray) -> np.ndarray:
    """The floats again."""
    return np.where(bits & _SIGN, bits & ~_SIGN, ~bits).view(np.float64)


def counts_by_part(
    bits: np.ndarray, step: int, prefix: np.uint64, width: int = WIDE,
    weights: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Counts of the next bits of the values whose first bits are known (two to the power of ``width``).

    Parameters
    ----------
    bits : ndarray of uint64, n
    step : int
        From 0 on.
    prefix : uint64
        The bits that are known.
    width : int
        How many bits a step looks at.
    weights : ndarray, n, optional
    """
    if step:
        own = (bits >> np.uint64(64 - width * step)) == prefix
        bits, weights = bits[own], None if weights is None else weights[own]
    parts = 1 << width
    part = (bits >> np.uint64(64 - width * (step + 1))) & np.uint64(parts - 1)
    return np.bincount(part.astype(np.int64), weights, parts)


def values_at(
    counts: Callable[[int, np.ndarray], np.ndarray],
    levels: Callable[[np.ndarray], np.ndarray],
    width: int = WIDE,
) -> np.ndarray:
    """The least values whose running counts reach some levels (m).

    Parameters
    ----------
    counts : callable
        From step and known bits (m; none at first) to :func:`counts_by_part` of each (m rows).
    levels : callable
        From all counts together (m) to the levels, above zero.
    width : int
        How many bits a step looks at.
    """
    left: np.ndarray | None = None
    prefixes: np.ndarray | None = None
    for step in range(64 // width):
        below = counts(step, np.zeros(0, np.uint64) if prefixes is None else prefixes).cumsum(
            axis=1
        )
        if left is None or prefixes is None:
            left, prefixes = levels(below[:, -1]), np.zeros(len(below), np.uint64)
        left = np.minimum(left, below[:, -1])  # what rounding of weights adds
        part = (below < left[:, None]).sum(axis=1)
        each = np.arange(len(below))
        left = left - np.where(part > 0, below[each, np.maximum(part - 1, 0)], 0)
        prefixes = (prefixes << np.uint64(width)) | part.astype(np.uint64)
    assert prefixes is not None
    return from_ordered_bits(prefixes)
