"""Exact quantiles of any number of values, from counts: four passes by sixteen bits each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.arrays.float_bits import WIDE, counts_by_part, ordered_bits, values_at
from truelift.errors import DataError
from truelift.experiments.analysis.kernels import State, kept
from truelift.experiments.analysis.layout import Layout, quantiles_of
from truelift.experiments.analysis.units import is_given, read_units, rows_of, unit_totals
from truelift.experiments.history import numbers
from truelift.experiments.spec import ExperimentSpec


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
        counts = np.zeros((len(self.targets), 1 << WIDE), np.int64)
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
        out += counts_by_part(bits, self.step, self.prefixes[target])


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

    def counts(step: int, prefixes: np.ndarray) -> np.ndarray:
        known = prefixes if step else np.zeros(len(targets), np.uint64)
        return read(CountsKernel(spec, layout, targets, step, known))["counts"]

    def ranks(total: np.ndarray) -> np.ndarray:
        if not total.all():
            empty = targets[int(np.argmin(total))]
            raise DataError(f"{empty.metric}: an arm has no values, and so no quantile.")
        shares = np.array([t.quantile for t in targets])
        # The rank from 1 on; what rounding adds to an exact product is taken away.
        return np.clip(np.ceil(shares * total - 1e-9 * total).astype(np.int64), 1, total)

    return values_at(counts, ranks)
