"""Which numbers of a unit are added up, and where each metric finds its own among them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from truelift.errors import TableError
from truelift.experiments.metrics import ROWS, Metric
from truelift.experiments.spec import ExperimentSpec
from truelift.inference.experiment_estimates import Ratio

#: A dimension with more values than this is refused.
MOST_LEVELS = 20


@dataclass(frozen=True)
class Places:
    """A metric's numbers among those of a unit: positions in ``z = (1, numbers)``.

    Parameters
    ----------
    ratio : (int, int)
        The metric itself.
    before : tuple of (int, int)
        What is known of it from before the assignment.
    """

    ratio: Ratio
    before: tuple[Ratio, ...] = ()


@dataclass(frozen=True, eq=False)
class Layout:
    """Numbers of a unit.

    Parameters
    ----------
    columns : tuple of str
        Columns whose sums over a unit's rows are made, ``''`` for the count of rows.
    given : tuple of str
        Columns of which is counted in how many rows they are given.
    places : dict of str to Places
        By metric.
    count : int
        Numbers of a unit, without the leading 1.
    """

    columns: tuple[str, ...]
    given: tuple[str, ...]
    places: dict[str, Places] = field(default_factory=dict)
    count: int = 0


def layout_of(spec: ExperimentSpec) -> Layout:
    """The numbers that a specification needs.

    Of a mean or proportion: the total, and from before the mean over rows and whether it is missing.
    Of a ratio: both totals, and both means from before. Of a quantile: rows at most at it, and rows. Of an
    answer: rows that have one, and rows.
    """
    columns: list[str] = [""]
    given: list[str] = []
    places: dict[str, Places] = {}
    count = 0
    for name in spec.metrics:
        metric = spec.metric(name)
        if metric.kind == "answer":
            places[name] = Places((count + 1, count + 2))
            given.append(metric.column)
            count += 2
            continue
        if metric.kind == "quantile":
            places[name] = Places((count + 1, count + 2))
            count += 2
            continue
        columns.append(metric.column)
        before: tuple[Ratio, ...] = ()
        if metric.kind == "ratio":
            columns += [metric.per] if metric.per != ROWS else []
            ratio = (count + 1, count + 2)
            count += 2
        else:
            ratio = (count + 1, 0)
            count += 1
        if metric.before:
            names = [metric.before]
            if metric.kind == "ratio" and metric.before_per != ROWS:
                names.append(metric.before_per)
            columns += names
            given += names
            # Beside whether it is missing, what stands for a missing value is of no consequence.
            if metric.kind == "ratio":
                before = ((count + 1, count + 2),)
            else:
                before = ((count + 1, 0), (count + 2, 0))
            count += 2
        places[name] = Places(ratio, before)
    return Layout(
        tuple(dict.fromkeys(columns)), tuple(dict.fromkeys(given)), places, count
    )  # fmt: skip


def columns_of(spec: ExperimentSpec) -> tuple[str, ...]:
    """Columns of the table that an analysis reads."""
    layout = layout_of(spec)
    names = [*spec.units_of, spec.cluster, spec.arm, *layout.columns, *quantile_columns(spec)]
    regressed = {**surveys_of(spec), **adjusted_of(spec)}
    names += [n for metric in regressed.values() for n in (metric.column, *metric.known)]
    names += [*spec.dimensions, spec.time, spec.exposed]
    return tuple(dict.fromkeys(name for name in names if name))


def quantile_columns(spec: ExperimentSpec) -> tuple[str, ...]:
    """Columns of which quantiles are wanted, metric by metric."""
    return tuple(metric.column for metric in quantiles_of(spec).values())


def quantiles_of(spec: ExperimentSpec) -> dict[str, Metric]:
    """Metrics that are quantiles, by name."""
    found = {name: spec.metric(name) for name in spec.metrics}
    return {name: metric for name, metric in found.items() if metric.kind == "quantile"}


def surveys_of(spec: ExperimentSpec) -> dict[str, Metric]:
    """Metrics that are answers of some of the units, by name."""
    found = {name: spec.metric(name) for name in spec.metrics}
    return {name: metric for name, metric in found.items() if metric.kind == "answer"}


def adjusted_of(spec: ExperimentSpec) -> dict[str, Metric]:
    """Means and proportions whose effects a learner adjusts, by name."""
    found = {name: spec.metric(name) for name in spec.metrics}
    return {name: metric for name, metric in found.items() if metric.adjusted}


def winsorised_of(spec: ExperimentSpec) -> dict[str, Metric]:
    """Metrics whose unit totals are capped, by name."""
    found = {name: spec.metric(name) for name in spec.metrics}
    return {name: metric for name, metric in found.items() if metric.winsorise < 1}


def check_table(schema: pa.Schema, table: str, spec: ExperimentSpec) -> None:
    """Refuse a table that lacks a column, or has a text where a number is measured.

    Raises
    ------
    TableError
    """
    missing = [name for name in columns_of(spec) if name not in schema.names]
    if missing:
        raise TableError(
            f"{table} has no column {', '.join(map(repr, missing))}, which the experiment {spec.name} "
            f"names; its columns are {', '.join(schema.names)}."
        )
    answers = {metric.column for metric in surveys_of(spec).values()}
    for name in {*layout_of(spec).columns, *quantile_columns(spec), *answers} - {""}:
        kind = schema.field(name).type
        if not is_numeric(kind):
            raise TableError(f"{table}, column {name!r}: found type {kind}, expected a number.")


def is_numeric(kind: pa.DataType) -> bool:
    """Whether values of a type are measured: numbers and truth values."""
    known = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    return any(is_kind(kind) for is_kind in known)


@dataclass(frozen=True, eq=False)
class Scaling:
    """Centre and scale of a unit's numbers, so that their squares keep their digits.

    A mean is centred. Of a ratio the upper number has the lower one times the ratio taken away, which
    moves all arms' ratios alike, and both are scaled.

    Parameters
    ----------
    centre, scale : ndarray, Q
    tied : ndarray of int, Q
        Place among the Q numbers of the lower one that goes with it, -1 for none.
    """

    centre: np.ndarray
    scale: np.ndarray
    tied: np.ndarray

    def apply(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers of units (Q, U) in their scale."""
        lower = np.where((self.tied >= 0)[:, None], numbers[self.tied], 1.0)
        return (numbers - self.centre[:, None] * lower) / self.scale[:, None]

    def ratio(self, places: Ratio) -> tuple[float, float]:
        """What a ratio of scaled sums is multiplied by, and then moved by."""
        upper, lower = places
        below = self.scale[lower - 1] if lower else 1.0
        return float(self.scale[upper - 1] / below), float(self.centre[upper - 1])


def scaling_of(layout: Layout, total: np.ndarray, square: np.ndarray, units: float) -> Scaling:
    """From sums over units of the numbers and of their squares (Q each)."""
    tied = np.full(layout.count, -1)
    for place in layout.places.values():
        for upper, lower in (place.ratio, *place.before):
            if lower:
                tied[upper - 1] = lower - 1
    mean, raw = total / max(units, 1.0), np.sqrt(square / max(units, 1.0))
    lower_mean = np.where(tied >= 0, mean[tied], 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = np.where(lower_mean != 0, mean / lower_mean, 0.0)
    is_lower = np.isin(np.arange(layout.count), tied[tied >= 0])
    centre = np.where(is_lower, 0.0, centre)
    spread = np.sqrt(np.maximum(raw**2 - mean**2, 0.0))
    # Where the level hides the spread altogether, the level is the next measure.
    scale = np.where(spread > 1e-7 * raw, spread, raw)
    return Scaling(centre, np.where(scale > 0, scale, 1.0), tied)
