"""One pass over a panel of units and periods: sums of differences by cohort and period.

The effect on cohort g in period t compares how its outcome moved since a base period with how that of units
moved that were not treated by then (Callaway & Sant'Anna 2021). A cluster lies in one bucket with all rows of
its units, so a bucket's task knows every difference; what leaves it are sums by cell and their cross-products.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.effects.designs.differences.adjusted import Adjustment
from truelift.effects.designs.differences.timeline import Timeline
from truelift.effects.designs.differences.units import (
    DifferenceColumns,
    PanelUnits,
    units_of_bucket,
)
from truelift.effects.panel.source import State
from truelift.inference.clusters import ClusterSums, Summands, bucket_sketch


@dataclass(frozen=True, eq=False)
class DifferenceSumsKernel:
    """``total`` and ``cross`` of units by cohort, then by outcome and cell of four lines, all weighted.

    The lines of a cell are units of the cohort and the sum of their differences, and the same of the units
    that they are compared with. With an adjustment, differences are less what covariates foresee, and units that
    are compared with count by their odds of being in the cohort (Sant'Anna & Zhao 2020). ``held`` is in how many
    clusters a line is not zero, ``sides`` how many have units
    that are treated, and units that these are compared with. ``units`` are all that count, those without some
    period, rows that repeat a unit and period, units whose cohort or cluster changes, and units that are left
    out, for they are treated from the first period on; ``varying`` those whose weight or covariates change.
    ``beyond`` are treated units, once a cell after the treatment, and those whose chance of being treated is cut.
    """

    columns: DifferenceColumns
    timeline: Timeline
    adjusted: Adjustment | None = None

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        """The state of one bucket."""
        columns, line = self.columns, self.timeline
        sums = ClusterSums(len(line.cohorts) + 4 * len(line.cells) * len(columns.outcomes))
        units = units_of_bucket(batches, columns, line)
        counts, keys, beyond, varying = np.zeros(5), np.zeros(0, np.uint64), np.zeros(2), 0
        if units is not None:
            keys, varying = units.keys, units.varying
            # Treated from the first period on, a unit has no period before it and says nothing.
            kept = units.cohort > 0
            counts = np.array(
                [kept.sum(), units.holes, units.repeated, units.changing, np.sum(~kept)], float
            )
            chosen = units.of(kept)
            sums.add_summands(chosen.clusters, self._summands(chosen, bucket, beyond))
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
            "varying": np.array([float(varying)]),
            "beyond": beyond,
            "max_sketch": bucket_sketch(found, bucket),
            "max_units": bucket_sketch(keys, bucket),
        }

    def _summands(self, units: PanelUnits, bucket: int, beyond: np.ndarray) -> Iterator[Summands]:
        line, cohort, filled = self.timeline, units.cohort, units.filled
        for i, begins in enumerate(line.cohorts):
            yield Summands((units.weight * (cohort == begins))[None], np.array([[i]]))
        start = len(line.cohorts)
        fitted = None if self.adjusted is None else self.adjusted.of(units, bucket)
        for j in range(len(self.columns.outcomes)):
            for i, cell in enumerate(line.cells):
                change = filled[j, cell.period] - filled[j, cell.base]
                there = np.isfinite(change)
                change = np.where(there, change, 0.0)
                treated = np.where(there & (cohort == cell.cohort), units.weight, 0.0)
                control = np.where(there & line.controls(cell, cohort), units.weight, 0.0)
                if fitted is not None:
                    odds, cut = fitted.odds(cell)
                    if not (j or cell.before):
                        beyond += np.count_nonzero(treated), np.count_nonzero(treated * cut)
                    control, change = control * odds, change - fitted.foreseen(j, i)
                values = np.array([treated, treated * change, control, control * change])
                yield Summands(values, np.arange(start, start + 4)[None])
                start += 4
