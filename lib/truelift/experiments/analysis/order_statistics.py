"""Exact quantiles of any number of values, from counts: four passes by sixteen bits each.

The bits of a float, with the sign turned, are in the order of the floats. So counts of their first
sixteen bits tell in which of 65,536 parts a quantile lies, those of the next sixteen where in that
part, and the fourth pass names the value. Counts add up over partitions, and the result does not
depend on these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.errors import DataError
from truelift.experiments.analysis.kernels import State, kept
from truelift.experiments.analysis.layout import Layout, quantiles_of
from truelift.experiments.analysis.units import is_given, read_units, rows_of, unit_totals
from truelift.experiments.history import numbers
from truelift.experiments.spec import ExperimentSpec

_BITS = 16
_PARTS = 1 << _BITS
_STEPS = 64 // _BITS
_SIGN = np.uint64(1) << np.uint64(63)


@dataclass(frozen=True)
class Target:
    """A quantile that is looked for.

    Parameters
    ----------
    metric : str
        A quantile, whose rows' values are meant, or a winsorised mean, whose units' totals are.
    arm : int
        -1 for all arms together.
    quantile : float
        The value that so large a share is not above: the smallest one (no interpolation).
    """

    metric: str
    arm: int
    quantile: float


@dataclass(frozen=True, eq=False)
class CountsKernel:
    """Counts of the next bits of the values that share a target's first ones.

    Parameters
    ----------
    spec : ExperimentSpec
    layout : Layout
    targets : tuple of Target
    step : int
        0 to 3.
    prefixes : ndarray of uint64
        Of each target the bits that are known.
    """

    spec: ExperimentSpec
    layout: Layout
    targets: tuple[Target, ...]
    step: int
    prefixes: np.ndarray

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        counts = np.zeros((len(self.targets), _PARTS), np.int64)
        quantiles = quantiles_of(self.spec)
        held = []
        for batch in batches:
            held.append(batch) if any(t.metric not in quantiles for t in self.targets) else None
            rows = rows_of(batch, self.spec)
            for name, metric in quantiles.items():
                if all(t.metric != name for t in self.targets):
                    continue
                given = is_given(rows.batch, metric.column)
                bits = ordered_bits(numbers(rows.batch, metric.column))
                for i, target in enumerate(self.targets):
                    if target.metric == name:
                        of_arm = given & ((rows.arm == target.arm) | (target.arm < 0))
                        self._count(counts[i], bits[of_arm], i)
        if held:
            cuts = np.full((len(quantiles), len(self.spec.labels)), np.nan)
            units = kept(read_units(iter(held), self.spec, self.layout, cuts), self.spec)
            totals = unit_totals(units, self.spec, self.layout)
            for i, target in enumerate(self.targets):
                if target.metric in totals:
                    self._count(counts[i], ordered_bits(totals[target.metric]), i)
        return {"counts": counts}

    def _count(self, out: np.ndarray, bits: np.ndarray, target: int) -> None:
        if self.step:
            known = np.uint64(64 - _BITS * self.step)
            bits = bits[(bits >> known) == self.prefixes[target]]
        shift = np.uint64(64 - _BITS * (self.step + 1))
        part = (bits >> shift) & np.uint64(_PARTS - 1)
        out += np.bincount(part.astype(np.int64), minlength=_PARTS)


def ordered_bits(values: np.ndarray) -> np.ndarray:
    """Floats as whole numbers in their order."""
    bits = (values + 0.0).view(np.uint64)  # one zero
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def order_statistics(
    read: Callable[[CountsKernel], State],
    spec: ExperimentSpec,
    layout: Layout,
    targets: tuple[Target, ...],
) -> np.ndarray:
    """The values that are looked for, one a target.

    Raises
    ------
    DataError
        If a target has no values.
    """
    if not targets:
        return np.zeros(0)
    prefixes = np.zeros(len(targets), np.uint64)
    ranks: np.ndarray | None = None
    for step in range(_STEPS):
        counts = read(CountsKernel(spec, layout, targets, step, prefixes))["counts"]
        below = counts.cumsum(axis=1)
        if ranks is None:
            total = below[:, -1]
            if not total.all():
                empty = targets[int(np.argmin(total))]
                raise DataError(f"{empty.metric}: an arm has no values, and so no quantile.")
            shares = np.array([t.quantile for t in targets])
            # The rank from 1 on; what rounding adds to an exact product is taken away.
            ranks = np.clip(np.ceil(shares * total - 1e-9 * total).astype(np.int64), 1, total)
        part = (below < ranks[:, None]).sum(axis=1)
        each = np.arange(len(targets))
        ranks = ranks - np.where(part > 0, below[each, np.maximum(part - 1, 0)], 0)
        prefixes = (prefixes << np.uint64(_BITS)) | part.astype(np.uint64)
    bits = np.where(prefixes & _SIGN, prefixes & ~_SIGN, ~prefixes)
    return bits.view(np.float64)
