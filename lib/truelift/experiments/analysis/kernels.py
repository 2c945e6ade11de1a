"""Passes over an experiment's rows, one bucket of whole clusters at a time; their states add up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import is_nameless
from truelift.effects.panel.arms import Levels
from truelift.experiments.analysis.layout import Layout, Scaling
from truelift.experiments.analysis.units import (
    Rows,
    UnitTable,
    days,
    read_units,
    rows_of,
    unit_numbers,
)
from truelift.experiments.history import numbers
from truelift.experiments.metrics import ROWS
from truelift.experiments.spec import ExperimentSpec
from truelift.inference.clusters import ClusterSums, Summands
from truelift.inference.experiments import ExperimentCounter

State = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class MomentsKernel:
    """What is to be known before sums can be scaled.

    The state has ``units`` (A), ``several`` (units in two arms), ``kept`` (units that are analysed),
    ``total`` and ``square`` (Q) over these, ``without`` (rows without an arm), ``no_cluster`` (rows with
    an arm and no cluster), and ``max_time`` (latest time, and earliest times -1).

    Parameters
    ----------
    spec : ExperimentSpec
    layout : Layout
    """

    spec: ExperimentSpec
    layout: Layout

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        spec, seen, no_cluster = self.spec, np.zeros(1), np.zeros(1)
        time = np.full(2, -np.inf)

        def watched() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                seen[0] += batch.num_rows
                if spec.cluster:
                    astray = batch.filter(is_nameless(batch[spec.cluster]))
                    no_cluster[0] += len(rows_of(astray, spec).arm) if astray.num_rows else 0
                if spec.time:
                    found = days(batch, spec.time)
                    found = found[~np.isnan(found)]
                    if len(found):
                        np.maximum(time, [found.max(), -found.min()], out=time)
                yield batch

        cuts = np.full((len(self.layout.places), len(spec.labels)), np.nan)[: _quantiles(spec)]
        units = read_units(watched(), spec, self.layout, cuts)
        analysed = kept(units, spec)
        found = unit_numbers(analysed, spec, self.layout, {})
        return {
            "kept": np.array([np.count_nonzero(analysed.rows)]),
            "units": np.count_nonzero(units.rows, axis=1),
            "several": np.array([np.count_nonzero(units.several)]),
            "total": found.sum(axis=(0, 2)),
            "square": np.square(found).sum(axis=(0, 2)),
            "without": np.array([seen[0] - units.rows.sum()]),
            "no_cluster": no_cluster,
            "max_time": time,
        }


@dataclass(frozen=True, eq=False)
class SumsKernel:
    """The experiment's sums by arm and cluster.

    Parameters
    ----------
    spec : ExperimentSpec
    layout : Layout
    scaling : Scaling
    cuts : ndarray, quantiles x A
    caps : dict of str to float
    """

    spec: ExperimentSpec
    layout: Layout
    scaling: Scaling
    cuts: np.ndarray
    caps: dict[str, float] = field(default_factory=dict)

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        units = kept(read_units(batches, self.spec, self.layout, self.cuts), self.spec)
        found = unit_numbers(units, self.spec, self.layout, self.caps)
        scaled = [self.scaling.apply(of_arm) for of_arm in found]
        return _counted(units.cluster, units.rows > 0, scaled, self.layout.count)


@dataclass(frozen=True, eq=False)
class CellsKernel:
    """Sums of the primary metric by values of a column, or by parts of the time.

    A unit counts in every cell in which it has a row; its numbers are those of these rows.

    Parameters
    ----------
    spec : ExperimentSpec
    column : str
    levels : tuple
        Values of the column, as its type has them; empty where parts of the time are meant.
    start, width : float
        In days: where the first part begins, and how long each is.
    parts : int
    since : str
        Column of times from which the time counts, in place of ``start``.
    scale : tuple of float
        Centre and scale of the upper number, scale of the lower one.
    cap : float
        Where a unit's total is capped.
    """

    spec: ExperimentSpec
    column: str
    levels: tuple[Any, ...] = ()
    start: float = 0.0
    width: float = 1.0
    parts: int = 0
    since: str = ""
    scale: tuple[float, float, float] = (0.0, 1.0, 1.0)
    cap: float = np.inf

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return len(self.levels) or self.parts

    def code(self, rows: Rows) -> np.ndarray:
        """The cell of each row (n), -1 for none."""
        if self.levels:
            return Levels(self.column, self.levels).codes(rows.batch)
        time = days(rows.batch, self.column)
        start = days(rows.batch, self.since) if self.since else self.start
        # A day after an exposure is one of 24 hours.
        with np.errstate(invalid="ignore"):
            part = np.floor((time - start) / self.width)
        return np.where((part >= 0) & (part < self.parts), part, -1).astype(np.int64)

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        spec, cells, arms = self.spec, self.cells, len(self.spec.labels)
        metric = spec.metric(spec.decides)
        own = np.arange(arms)[:, None]
        lines = arms + np.arange(3 * arms * cells).reshape(arms * cells, 3)
        sums = ClusterSums(arms + 3 * arms * cells)
        owned: list[np.ndarray] = []
        for batch in batches:
            rows = rows_of(batch, spec)
            if not len(rows.unit):
                continue
            code = self.code(rows)
            values = np.ones((3, len(code)))
            values[1] = numbers(rows.batch, metric.column)
            if metric.kind == "ratio" and metric.per != ROWS:
                values[2] = numbers(rows.batch, metric.per)
            cell = np.where(code < 0, -1, rows.arm * cells + code)
            parts = [Summands(values[:1], own, rows.arm), Summands(values, lines, cell)]
            sums.add_summands(rows.unit, parts)
            _, first = np.unique(rows.unit, return_index=True)
            owned.append(np.stack([rows.unit[first], rows.cluster[first]]))
        unit, found = sums.finish()
        cluster = np.empty(len(unit), np.uint64)
        for keys, clusters in owned:
            cluster[np.searchsorted(unit, keys)] = clusters
        units = kept(
            UnitTable(cluster, found[:arms], found[arms:].reshape(arms, 3 * cells, len(unit))), spec
        )
        by_cell = units.sums.reshape(arms, cells, 3, -1)
        here = by_cell[:, :, 0] > 0
        upper, lower = by_cell[:, :, 1], by_cell[:, :, 2]
        if metric.kind != "ratio":
            lower = here.astype(float)
            upper = (upper > 0) if metric.kind == "proportion" else np.minimum(upper, self.cap)
        centre, scale, below = self.scale
        upper = np.where(here, (upper - centre * lower) / scale, 0.0)
        numbers_of = np.concatenate([upper, np.where(here, lower, 0.0) / below], axis=1)
        return _counted(units.cluster, units.rows > 0, list(numbers_of), 2 * cells)


def kept(units: UnitTable, spec: ExperimentSpec) -> UnitTable:
    """The units that are analysed: without those in two arms, where these are dropped."""
    if spec.several_arms != "drop":
        return units
    alone = ~units.several
    return UnitTable(units.cluster[alone], units.rows[:, alone], units.sums[:, :, alone])


def _counted(
    cluster: np.ndarray, here: np.ndarray, numbers_of: list[np.ndarray], count: int
) -> State:
    """The state of units (numbers Q x U by arm) as one of experiments."""
    counter = ExperimentCounter(len(here), 0, count)
    for arm, (inside, found) in enumerate(zip(here, numbers_of, strict=True)):
        members = np.flatnonzero(inside)
        none = np.zeros((0, len(members)))
        counter.add(cluster[members], np.full(len(members), arm), none, found[:, members])
    return counter.finish().to_state()


def _quantiles(spec: ExperimentSpec) -> int:
    return sum(metric.kind == "quantile" for metric in spec.metrics.values())
