"""Effects on means and proportions, adjusted by a learner for what is known of units from before.

A unit's outcome less what a regression without its fold foretells of it varies less than the outcome does. The
estimate is the doubly robust one of ``estimate_effects`` with the promised shares as propensities, so it is right
whatever the regression is: by lot the arms differ in nothing else. One column from before and a line through it
is CUPED; here there are several, texts too, and any learner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import special

from truelift.effects.panel.parts import is_number
from truelift.effects.panel.source import PanelSource
from truelift.effects.results import EffectsResult
from truelift.errors import DataError, NotSupportedError, UserError
from truelift.experiments.analysis.effects import estimand_of
from truelift.experiments.analysis.estimated import (
    all_rows,
    estimation,
    with_intervals_of_looks,
)
from truelift.experiments.analysis.layout import adjusted_of
from truelift.experiments.analysis.looks import LookRule
from truelift.experiments.analysis.results import ADJUSTED, MetricEffect
from truelift.experiments.analysis.units import Rows
from truelift.experiments.history import numbers
from truelift.experiments.metrics import Metric
from truelift.experiments.spec import ExperimentSpec
from truelift.progress import Tell

_ARM, _OUTCOME, _CLUSTER = "__arm__", "__outcome__", "__cluster__"
# Levels of a text in which the arms are compared.
_MOST_LEVELS = 20


@dataclass(frozen=True)
class Adjusted:
    """Effects, why some could not be made, and why nothing is concluded of the primary metric."""

    effects: tuple[MetricEffect, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)
    doubt: str = ""


NOT_ADJUSTED = Adjusted()


def adjusted_effects(
    source: PanelSource, spec: ExperimentSpec, columns: Sequence[str], caps: dict[str, float],
    rule: LookRule, progress: Tell,
) -> Adjusted:  # fmt: skip
    """Effects on every mean and proportion that has covariates.

    The columns that the analysis reads come into this process, as for answers. What differs between the arms by
    more than lots do was measured after the assignment: such a metric has no adjusted effect, and where it is the
    primary one nothing is concluded.

    Parameters
    ----------
    source : PanelSource
    spec : ExperimentSpec
    columns : sequence of str
    caps : dict of str to float
        Where totals of winsorised metrics are capped.
    rule : LookRule
    progress : callable

    Raises
    ------
    UserError
        Where the primary metric has too few units, or columns that cannot be used.
    """
    rows = all_rows(source, spec, columns)
    effects: list[MetricEffect] = []
    failed: dict[str, str] = {}
    doubt = ""
    for name, metric in adjusted_of(spec).items():
        progress(f"{ADJUSTED}: {name}")
        cap = caps.get(name)
        units = unit_rows(rows, spec, metric, cap, source.name)
        why, found = _unlike(units, spec, metric), None
        try:
            found = None if why else _found(units, spec, metric, source.name)
        except NotSupportedError as error:
            why = f"{name}, {ADJUSTED}, is not supported: {error}"
        except UserError as error:
            if name == spec.decides:
                raise
            why = str(error)
        if found is not None and not found.supported:
            reasons = [r for s in found.support if not s.supported for r in s.reasons]
            why = f"{name}, {ADJUSTED}, is not supported: {' '.join(dict.fromkeys(reasons))}"
        if why or found is None:
            failed[f"{ADJUSTED} on {name}"] = why
            doubt = why if name == spec.decides else doubt
            continue
        estimand = estimand_of(metric, cap)
        effects += with_intervals_of_looks(spec, name, ADJUSTED, estimand, found, rule)
    return Adjusted(tuple(effects), failed, doubt)


def _found(units: pa.Table, spec: ExperimentSpec, metric: Metric, table: str) -> EffectsResult:
    shares = {arm: repr(share) for arm, share in spec.arms.items()}
    cluster = _CLUSTER if _CLUSTER in units.schema.names else spec.cluster or spec.units_of[0]
    return estimation(
        units, table, _ARM, _OUTCOME, metric.known, cluster, spec.labels, metric.learner, shares
    )


def unit_rows(
    rows: Rows, spec: ExperimentSpec, metric: Metric, cap: float | None, table: str
) -> pa.Table:
    """A row a unit: its arm, the metric's number, its cluster, and what is known of it from before.

    Numbers from before are means over the unit's rows. Units in several arms are left out; where that is not asked
    for the analysis has ended before.

    Raises
    ------
    DataError
        For a text from before that is not the same in all rows of a unit.
    """
    unit, first, of = np.unique(rows.unit, return_index=True, return_inverse=True)
    count = len(unit)
    value = np.bincount(of, numbers(rows.batch, metric.column), count)
    if metric.kind == "proportion":
        value = (value > 0).astype(float)
    elif cap is not None:
        value = np.minimum(value, cap)
    least, most = np.full(count, len(spec.labels)), np.zeros(count, np.int64)
    np.minimum.at(least, of, rows.arm)
    np.maximum.at(most, of, rows.arm)
    place = pa.array(first)
    made: dict[str, pa.Array] = {
        _ARM: pa.array(np.array(spec.labels, dtype=object)[least], pa.string()),
        _OUTCOME: pa.array(value),
    }
    if spec.cluster or len(spec.units_of) == 1:
        name = spec.cluster or spec.units_of[0]
        made[name] = rows.batch[name].take(place)
    else:  # named by several columns
        made[_CLUSTER] = pa.array(unit.astype(str), pa.string())
    for name in metric.known:
        column = rows.batch[name]
        if is_number(column.type):
            given = pc.is_valid(column).to_numpy(zero_copy_only=False)
            counted = np.bincount(of, given, count)
            mean = np.bincount(of, numbers(rows.batch, name), count) / np.maximum(counted, 1)
            made[name] = pa.array(mean, mask=counted == 0)
            continue
        own = column.take(place)
        same = pc.equal(column, own.take(pa.array(of)))
        other = int(pc.sum(pc.invert(pc.fill_null(same, True))).as_py() or 0)
        if other:
            raise DataError(
                f"{table}, column {name!r} (covariates): {other:,} rows have another value than the first of their "
                f"unit; expected what is known of a unit from before the assignment, the same in all of its rows."
            )
        made[name] = own
    return pa.table(made).filter(pa.array(least == most))


def _unlike(units: pa.Table, spec: ExperimentSpec, metric: Metric) -> str:
    """In what the arms differ by more than lots do; empty where in nothing."""
    cluster = _CLUSTER if _CLUSTER in units.schema.names else spec.cluster or spec.units_of[0]
    coded = units[cluster].combine_chunks().dictionary_encode()
    of = coded.indices.to_numpy(zero_copy_only=False)
    arm = pc.index_in(units[_ARM], pa.array(spec.labels)).to_numpy()
    p_values: dict[str, float] = {}
    count = 0
    for name in metric.known:
        for values in _columns_of(units[name]):
            for a in range(1, len(spec.labels)):
                count += 1
                p_values[name] = min(p_values.get(name, 1.0), _p_value(values, arm, a, of))
    worst = min(p_values, key=lambda name: p_values[name])
    if p_values[worst] * count >= spec.decision.sample_ratio_level:
        return ""
    return (
        f"the arms differ in {worst!r}, or in who misses it, which is said to be from before the assignment: either "
        "it was measured after, or the assignment was not by lot."
    )


def _columns_of(column: pa.ChunkedArray) -> list[np.ndarray]:
    """A covariate as numbers that are compared: itself and whether it is missing, or its commonest levels."""
    missing = np.asarray(pc.is_null(column).to_numpy(), float)
    if is_number(column.type):
        value = pc.fill_null(column.cast(pa.float64(), safe=False), np.nan).to_numpy()
        found = [np.where(np.isnan(value), np.nanmean(value), value)] if missing.mean() < 1 else []
    else:
        counted = pc.value_counts(column.drop_null().combine_chunks())
        ranked = sorted(counted.to_pylist(), key=lambda c: (-c["counts"], str(c["values"])))
        found = [
            np.asarray(pc.fill_null(pc.equal(column, c["values"]), False).to_numpy(), float)
            for c in ranked[:_MOST_LEVELS]
        ]
    return [*found, missing] if missing.any() else found


def _p_value(values: np.ndarray, arm: np.ndarray, treated: int, cluster: np.ndarray) -> float:
    """That a mean differs between an arm and the control, clustered."""
    influence, difference = np.zeros(len(values)), 0.0
    for place, sign in ((treated, 1.0), (0, -1.0)):
        own = arm == place
        mean = values[own].mean()
        difference += sign * mean
        influence[own] = sign * (values[own] - mean) / own.sum()
    sums = np.bincount(cluster, influence)
    clusters = len(sums)
    error = float(np.sqrt((sums**2).sum() * clusters / max(clusters - 1, 1)))
    scale = float(np.abs(values).max(initial=0.0))
    if error <= 1e-12 * scale:  # it does not vary within the arms
        return 0.0 if abs(difference) > 1e-9 * scale else 1.0
    return float(2 * special.stdtr(max(clusters - 1, 1), -abs(difference) / error))
