"""Sums of floating-point numbers that do not depend on the order in which they are added.

A number is a whole mantissa times a power of two. Mantissas of the same power add up as whole numbers,
without rounding, so a sum kept by powers is exact, and so is the sum of several of them.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from truelift.arrays.compiled import compiled

_POWERS = 2047
_HALF = 26


@compiled
def _add(values: np.ndarray, sums: np.ndarray) -> None:
    bits = values.view(np.int64)
    for i in range(len(values)):
        power = (bits[i] >> 52) & 0x7FF
        mantissa = bits[i] & 0xFFFFFFFFFFFFF
        if power > 0:
            mantissa |= 1 << 52
        else:
            power = 1
        if bits[i] < 0:
            sums[0, power] -= mantissa >> _HALF
            sums[1, power] -= mantissa & ((1 << _HALF) - 1)
        else:
            sums[0, power] += mantissa >> _HALF
            sums[1, power] += mantissa & ((1 << _HALF) - 1)


def empty_sums() -> np.ndarray:
    """A sum of nothing; such arrays add up."""
    return np.zeros((2, _POWERS), np.int64)


def add_exactly(values: np.ndarray, sums: np.ndarray) -> None:
    """Add finite numbers to a sum, in place; 2^36 of them may be added."""
    _add(np.ascontiguousarray(values, np.float64), sums)


def exact_value(sums: np.ndarray) -> Fraction:
    """The sum, without rounding."""
    total = Fraction(0)
    for power in np.flatnonzero(sums.any(axis=0)):
        mantissa = (int(sums[0, power]) << _HALF) + int(sums[1, power])
        total += Fraction(mantissa) * Fraction(2) ** (int(power) - 1075)
    return total
