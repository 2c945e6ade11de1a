"""Rows of a bucket as units: what each had in every period, its cohort, cluster, weight and covariates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import hash_repeated
from truelift.effects.designs.differences.timeline import Timeline
from truelift.effects.panel.columns import number_column
from truelift.effects.panel.design import Design


@dataclass(frozen=True, eq=False)
class DifferenceColumns:
    """Columns of a panel by the part they play; ``design`` makes features of covariates."""

    unit: str
    time: str
    begins: str
    outcomes: tuple[str, ...]
    cluster: str
    weight: str | None = None
    design: Design | None = None

    def names(self) -> tuple[str, ...]:
        """All of them."""
        own = [self.unit, self.time, self.begins, *self.outcomes, self.cluster]
        own += [self.weight] if self.weight else []
        return tuple(dict.fromkeys([*own, *(self.design.columns() if self.design else ())]))


@dataclass(frozen=True, eq=False)
class PanelUnits:
    """The n units of a bucket, in the order of their hashes.

    Parameters
    ----------
    keys, clusters : ndarray of uint64, n
    cohort : ndarray of int, n
        See :meth:`Timeline.codes`; 0 for units that are treated from the first period on.
    filled : ndarray, J x T x n
        Outcomes by period; nan where a unit has none.
    weight : ndarray, n
    features : ndarray, (1 + p) x n
        Intercept and covariates, as they are in the unit's first period.
    holes, repeated, changing, varying : int
        Units without some period, rows that repeat a unit and period, units whose cohort or cluster changes, and
        units whose weight or covariates do.
    """

    keys: np.ndarray
    clusters: np.ndarray
    cohort: np.ndarray
    filled: np.ndarray
    weight: np.ndarray
    features: np.ndarray
    holes: int
    repeated: int
    changing: int
    varying: int

    def of(self, kept: np.ndarray) -> PanelUnits:
        """Some of them, with the counts of all."""
        return PanelUnits(
            self.keys[kept], self.clusters[kept], self.cohort[kept], self.filled[:, :, kept], self.weight[kept],
            self.features[:, kept], self.holes, self.repeated, self.changing, self.varying,
        )  # fmt: skip


def units_of_bucket(
    batches: Iterator[pa.RecordBatch], columns: DifferenceColumns, line: Timeline
) -> PanelUnits | None:
    """The units of a bucket, which holds all of their rows; None where there are none."""
    parts: list[tuple[np.ndarray, ...]] = []
    for batch in batches:

        def of(name: str, batch: pa.RecordBatch = batch) -> pa.Array:
            return batch.column(batch.schema.get_field_index(name))

        period = np.searchsorted(line.periods, number_column(batch, columns.time))
        cohort = line.codes(number_column(batch, columns.begins))
        values = np.array([number_column(batch, name) for name in columns.outcomes])
        more = [number_column(batch, columns.weight)[None]] if columns.weight else []
        more += [columns.design.block(batch, None)[1:]] if columns.design else []
        beside = np.concatenate(more) if more else np.zeros((0, batch.num_rows))
        keys = hash_repeated(of(columns.unit)), hash_repeated(of(columns.cluster))
        parts.append((*keys, period, cohort, values.T, beside.T))
    if not parts:
        return None
    units, clusters, period, cohort, values, beside = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    found, first, place = np.unique(units, return_index=True, return_inverse=True)
    periods, n = len(line.periods), len(found)
    filled = np.full((values.shape[1], periods, n), np.nan)
    filled[:, period, place] = values.T
    seen = np.bincount(place * periods + period, minlength=n * periods)
    changing = np.zeros(n, bool)
    changing[place[(cohort != cohort[first][place]) | (clusters != clusters[first][place])]] = True
    varying = np.zeros(n, bool)
    if beside.shape[1]:
        earliest = seen.reshape(n, periods).argmax(axis=1)
        first = np.zeros(n, np.intp)
        at = np.flatnonzero(period == earliest[place])
        first[place[at]] = at
        varying[place[(beside != beside[first][place]).any(axis=1)]] = True
    own = beside[first].T
    weighted = 1 if columns.weight else 0
    return PanelUnits(
        keys=found,
        clusters=clusters[first],
        cohort=cohort[first],
        filled=filled,
        weight=own[0] if weighted else np.ones(n),
        features=np.concatenate([np.ones((1, n)), own[weighted:]]),
        holes=int(np.sum((seen.reshape(n, periods) == 0).any(axis=1) & (cohort[first] > 0))),
        repeated=int(np.sum(seen[seen > 1] - 1)),
        changing=int(np.sum(changing)),
        varying=int(np.sum(varying)),
    )
