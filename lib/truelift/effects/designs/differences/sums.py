"""One pass over a panel of units and periods: sums of differences by cohort and period.

The effect on cohort g in period t compares how its outcome moved since a base period with how that of units
moved that were not treated by then (Callaway & Sant'Anna 2021). A cluster lies in one bucket with all rows of
its units, so a bucket's task knows every difference; what leaves it are sums by cell and their cross-products.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import hash_repeated
from truelift.effects.panel.columns import number_column
from truelift.effects.panel.source import State
from truelift.inference.clusters import ClusterSums, Summands, bucket_sketch


@dataclass(frozen=True)
class Cell:
    """A cohort in a period, compared with a base period; all are positions among periods."""

    cohort: int
    period: int
    base: int

    @property
    def before(self) -> bool:
        """Whether the treatment had not begun."""
        return self.period < self.cohort


@dataclass(frozen=True, eq=False)
class Timeline:
    """Periods, cohorts and what is compared.

    Parameters
    ----------
    periods : ndarray
        Ascending.
    cohorts : tuple of int
        Positions of the periods in which treatments begin, after the first.
    never : bool
        Whether only units that are never treated are compared with, not those that are not treated yet.
    anticipation : int
        Periods before the treatment in which it may act already.
    """

    periods: np.ndarray
    cohorts: tuple[int, ...]
    never: bool
    anticipation: int = 0

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All cells: after the treatment against the last period before it, before it against the last one."""
        found = []
        for cohort in self.cohorts:
            last = cohort - 1 - self.anticipation
            for period in range(len(self.periods)):
                if period > last >= 0:
                    found.append(Cell(cohort, period, last))
                elif 0 < period <= last:
                    found.append(Cell(cohort, period, period - 1))
        return tuple(found)

    def codes(self, begins: np.ndarray) -> np.ndarray:
        """The cohort of each row as a position among periods; beyond the last for never.

        Units whose treatment begins after the last period, but so soon that it may act within them, are the
        position after the last; units that nothing acts on are ``anticipation`` further.
        """
        soon = self.anticipation * np.diff(self.periods).max()
        never = ~np.isfinite(begins) | (begins <= 0) | (begins > self.periods[-1] + soon)
        found = np.searchsorted(self.periods, np.where(never, 0.0, begins))
        return np.where(never, len(self.periods) + self.anticipation, found)

    def controls(self, cell: Cell, cohort: np.ndarray) -> np.ndarray:
        """Which units a cell is compared with."""
        until = max(cell.period, cell.base) + self.anticipation
        untreated = cohort >= len(self.periods) if self.never else cohort != cell.cohort
        return untreated & (cohort > until)

    def place(self, cell: int, outcome: int = 0) -> int:
        """The first of a cell's four lines of sums."""
        return len(self.cohorts) + 4 * (len(self.cells) * outcome + cell)

    def afterwards(self) -> list[int]:
        """The cells after a treatment began."""
        return [i for i, cell in enumerate(self.cells) if not cell.before]


@dataclass(frozen=True, eq=False)
class DifferenceColumns:
    """Columns of a panel by the part they play."""

    unit: str
    time: str
    begins: str
    outcomes: tuple[str, ...]
    cluster: str

    def names(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(
            dict.fromkeys([self.unit, self.time, self.begins, *self.outcomes, self.cluster])
        )


@dataclass(frozen=True, eq=False)
class DifferenceSumsKernel:
    """``total`` and ``cross`` of units by cohort, then by outcome and cell of four lines.

    The lines of a cell are units of the cohort and the sum of their differences, and the same of the units
    that they are compared with; ``held`` is in how many clusters a line is not zero, ``sides`` how many have units
    that are treated, and units that these are compared with. ``units`` are all that count, those without some
    period, rows that repeat a unit and period, units whose cohort or cluster changes, and units that are left
    out, for they are treated from the first period on.
    """

    columns: DifferenceColumns
    timeline: Timeline

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        """The state of one bucket."""
        columns, line = self.columns, self.timeline
        parts: list[tuple[np.ndarray, ...]] = []
        for batch in batches:

            def of(name: str, batch: pa.RecordBatch = batch) -> pa.Array:
                return batch.column(batch.schema.get_field_index(name))

            period = np.searchsorted(line.periods, number_column(batch, columns.time))
            cohort = line.codes(number_column(batch, columns.begins))
            values = np.array([number_column(batch, name) for name in columns.outcomes])
            keys = hash_repeated(of(columns.unit)), hash_repeated(of(columns.cluster))
            parts.append((*keys, period, cohort, values.T))
        lines = len(line.cohorts) + 4 * len(line.cells) * len(columns.outcomes)
        sums = ClusterSums(lines)
        counts, units = np.zeros(5), np.zeros(0, np.uint64)
        if parts:
            joined = [np.concatenate(part) for part in zip(*parts, strict=True)]
            units = np.unique(joined[0])
            counts = self._add(sums, *joined)
        found, by_cluster = sums.finish()
        there = by_cluster != 0
        treated = np.array([line.place(i) for i in line.afterwards()], dtype=int)
        sides = [there[lines].any(axis=0).sum() for lines in (treated, treated + 2)]
        return {
            "total": by_cluster.sum(axis=1),
            "cross": by_cluster @ by_cluster.T,
            "clusters": np.array([float(len(found))]),
            "held": there.sum(axis=1).astype(float),
            "sides": np.array(sides, dtype=float),
            "units": counts,
            "max_sketch": bucket_sketch(found, bucket),
            "max_units": bucket_sketch(units, bucket),
        }

    def _add(
        self, sums: ClusterSums, units: np.ndarray, clusters: np.ndarray, period: np.ndarray,
        cohort: np.ndarray, values: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        line = self.timeline
        _, first, place = np.unique(units, return_index=True, return_inverse=True)
        periods, n = len(line.periods), len(first)
        filled = np.full((values.shape[1], periods, n), np.nan)
        filled[:, period, place] = values.T
        seen = np.bincount(place * periods + period, minlength=n * periods)
        unit_cohort, unit_cluster = cohort[first], clusters[first]
        changing = np.zeros(n, bool)
        changing[place[(cohort != unit_cohort[place]) | (clusters != unit_cluster[place])]] = True
        repeated = np.sum(seen[seen > 1] - 1)
        # Treated from the first period on, a unit has no period before it and says nothing.
        kept = unit_cohort > 0
        sums.add_summands(unit_cluster[kept], self._summands(filled[:, :, kept], unit_cohort[kept]))
        holes = np.count_nonzero((seen.reshape(n, periods)[kept] == 0).any(axis=1))
        counts = [kept.sum(), holes, repeated, np.sum(changing), np.sum(~kept)]
        return np.array(counts, dtype=float)

    def _summands(self, filled: np.ndarray, cohort: np.ndarray) -> Iterator[Summands]:
        line = self.timeline
        for i, begins in enumerate(line.cohorts):
            yield Summands((cohort == begins)[None].astype(float), np.array([[i]]))
        start = len(line.cohorts)
        for j in range(len(self.columns.outcomes)):
            for cell in line.cells:
                change = filled[j, cell.period] - filled[j, cell.base]
                there = np.isfinite(change)
                change = np.where(there, change, 0.0)
                treated = (there & (cohort == cell.cohort)).astype(float)
                control = (there & line.controls(cell, cohort)).astype(float)
                values = np.array([treated, treated * change, control, control * change])
                yield Summands(values, np.arange(start, start + 4)[None])
                start += 4
