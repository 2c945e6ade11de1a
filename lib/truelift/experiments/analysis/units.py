"""Rows of a bucket as units: one line a unit and arm, whatever the order of the rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.keys import hash_keys, is_nameless
from truelift.arrays.times import MICROSECONDS_PER_DAY
from truelift.effects.panel.arms import Levels
from truelift.errors import DataError
from truelift.experiments.analysis.layout import Layout, quantiles_of, winsorised_of
from truelift.experiments.history import numbers, unit_hashes
from truelift.experiments.metrics import ROWS
from truelift.experiments.spec import ExperimentSpec
from truelift.inference.clusters import ClusterSums, Summands


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a batch whose arm is known.

    Parameters
    ----------
    unit, cluster : ndarray of uint64, n
    arm : ndarray of int, n
    batch : pyarrow.RecordBatch
    """

    unit: np.ndarray
    cluster: np.ndarray
    arm: np.ndarray
    batch: pa.RecordBatch


def rows_of(batch: pa.RecordBatch, spec: ExperimentSpec) -> Rows:
    """Decode a batch; rows without an arm or a unit are left out."""
    code = Levels(spec.arm, spec.labels).codes(batch)
    known = pa.array(code >= 0)
    for name in spec.units_of:
        known = pc.and_not(known, is_nameless(batch[name]))
    kept = batch.filter(known)
    arm = code[known.to_numpy(zero_copy_only=False)]
    unit = unit_hashes(kept, spec)
    cluster = hash_keys(kept[spec.cluster]) if spec.cluster else unit
    return Rows(unit, cluster, arm, kept)


@dataclass(frozen=True, eq=False)
class UnitTable:
    """Units of a bucket.

    Parameters
    ----------
    cluster : ndarray of uint64, U
    rows : ndarray, A x U
        Rows of a unit in each arm.
    sums : ndarray, A x S x U
        What was added up of them.
    """

    cluster: np.ndarray
    rows: np.ndarray
    sums: np.ndarray

    @property
    def several(self) -> np.ndarray:
        """Whether a unit was in more than one arm (U)."""
        return np.count_nonzero(self.rows, axis=0) > 1


class UnitCounter:
    """Adds up rows by unit and arm; holds one line a unit.

    Parameters
    ----------
    spec : ExperimentSpec
    width : int
        Numbers that are added up a row, the first of them 1.
    """

    def __init__(self, spec: ExperimentSpec, width: int):
        self._arms, self._width = len(spec.labels), width
        self._sums = ClusterSums(self._arms * width)
        self._lines = np.arange(self._arms * width).reshape(self._arms, width)
        self._owned: list[np.ndarray] = []
        self._clustered = bool(spec.cluster)

    def add(self, rows: Rows, values: np.ndarray) -> None:
        """Add rows with their numbers (width x n)."""
        self._sums.add_summands(rows.unit, [Summands(values, self._lines, rows.arm)])
        if self._clustered and len(rows.unit):
            _, first = np.unique(rows.unit, return_index=True)
            self._owned.append(np.stack([rows.unit[first], rows.cluster[first]]))

    def finish(self) -> UnitTable:
        """The units.

        Raises
        ------
        DataError
            If a unit lies in two clusters.
        """
        unit, sums = self._sums.finish()
        sums = sums.reshape(self._arms, self._width, len(unit))
        cluster = unit
        if self._clustered and self._owned:
            owned = np.concatenate(self._owned, axis=1)
            cluster = np.empty(len(unit), np.uint64)
            place = np.searchsorted(unit, owned[0])
            cluster[place] = owned[1]
            if np.any(cluster[place] != owned[1]):
                raise DataError(
                    "A unit lies in two clusters; expected clusters that hold whole units. Leave "
                    "cluster out, or cluster by something larger."
                )
        return UnitTable(cluster, sums[:, 0], sums)


def read_units(
    batches: Iterator[pa.RecordBatch], spec: ExperimentSpec, layout: Layout, cuts: np.ndarray
) -> UnitTable:
    """Units with the sums of the layout's columns, counts of given ones, and rows at most at cuts.

    Parameters
    ----------
    batches : iterator of pyarrow.RecordBatch
    spec : ExperimentSpec
    layout : Layout
    cuts : ndarray, quantiles x A
        The arms' quantiles; NaN while they are not known.
    """
    quantiles = quantiles_of(spec)
    named = layout.columns[1:]
    width = 1 + len(named) + len(layout.given) + 2 * len(quantiles)
    counter = UnitCounter(spec, width)
    for batch in batches:
        rows = rows_of(batch, spec)
        values = np.ones((width, len(rows.unit)))
        for i, name in enumerate(named, start=1):
            values[i] = numbers(rows.batch, name)
        at = 1 + len(named)
        for name in layout.given:
            values[at] = is_given(rows.batch, name)
            at += 1
        for metric, cut in zip(quantiles.values(), cuts, strict=True):
            given = is_given(rows.batch, metric.column)
            values[at] = given & (numbers(rows.batch, metric.column) <= cut[rows.arm])
            values[at + 1] = given
            at += 2
        counter.add(rows, values)
    return counter.finish()


def is_given(batch: pa.RecordBatch, name: str) -> np.ndarray:
    """Whether a value is there (n)."""
    return np.asarray(pc.is_valid(batch[name]).to_numpy(zero_copy_only=False))


def unit_numbers(
    units: UnitTable, spec: ExperimentSpec, layout: Layout, caps: dict[str, float]
) -> np.ndarray:
    """The layout's numbers of every unit (A x Q x U), of units with a row in the arm.

    Parameters
    ----------
    units : UnitTable
    spec : ExperimentSpec
    layout : Layout
    caps : dict of str to float
        Where totals of winsorised metrics are capped.
    """
    arms, _, count = units.sums.shape
    found = np.zeros((arms, layout.count, count))
    rows = np.maximum(units.rows, 1.0)
    at = {name: i for i, name in enumerate(layout.columns)}
    given_at = {name: len(layout.columns) + i for i, name in enumerate(layout.given)}

    def total(name: str) -> np.ndarray:
        return units.sums[:, at[name]]

    def earlier(name: str) -> tuple[np.ndarray, np.ndarray]:
        count_given = units.sums[:, given_at[name]]
        return total(name) / np.maximum(count_given, 1.0), count_given == 0

    quantile_at = len(layout.columns) + len(layout.given)
    for name, place in layout.places.items():
        metric = spec.metric(name)
        upper, lower = place.ratio
        if metric.kind == "quantile":
            found[:, upper - 1] = units.sums[:, quantile_at]
            found[:, lower - 1] = units.sums[:, quantile_at + 1]
            quantile_at += 2
            continue
        if metric.kind == "answer":
            found[:, upper - 1] = units.sums[:, given_at[metric.column]]
            found[:, lower - 1] = units.rows
            continue
        value = total(metric.column)
        if metric.kind == "proportion":
            value = (value > 0).astype(float)
        elif name in caps:
            value = np.minimum(value, caps[name])
        found[:, upper - 1] = value
        if lower:
            found[:, lower - 1] = units.rows if metric.per == ROWS else total(metric.per)
        if not place.before:
            continue
        value, missing = earlier(metric.before)
        if metric.kind == "ratio":
            per = np.ones_like(rows) if metric.before_per == ROWS else earlier(metric.before_per)[0]
            found[:, place.before[0][0] - 1], found[:, place.before[0][1] - 1] = value, per
        else:
            found[:, place.before[0][0] - 1], found[:, place.before[1][0] - 1] = value, missing
    return found * (units.rows > 0)[:, None]


def unit_totals(units: UnitTable, spec: ExperimentSpec, layout: Layout) -> dict[str, np.ndarray]:
    """Totals of the metrics that are winsorised, of all units in all arms."""
    here = units.rows > 0
    return {
        name: units.sums[:, layout.columns.index(metric.column)][here]
        for name, metric in winsorised_of(spec).items()
    }


def days(batch: pa.RecordBatch, name: str) -> np.ndarray:
    """A column of days, instants or numbers as days (n), NaN where it is missing."""
    column = batch[name]
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            found = column.cast(pa.float64())
        else:
            instants = column.cast(pa.timestamp("us", getattr(column.type, "tz", None)), safe=False)
            found = pc.divide(instants.cast(pa.int64()).cast(pa.float64()), MICROSECONDS_PER_DAY)
    except pa.ArrowInvalid as error:
        raise DataError(f"Column {name!r} is no time: {error}.") from None
    return np.asarray(pc.fill_null(found, float("nan")).to_numpy(zero_copy_only=False))
