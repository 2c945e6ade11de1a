"""The design ``did`` from a panel to its result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from truelift.effects.designs.covariates import plain_design
from truelift.effects.designs.differences.adjusted import adjustment_of
from truelift.effects.designs.differences.aggregates import (
    FEWEST,
    Average,
    Averages,
    averaged,
    averages_of,
    cell_effects,
)
from truelift.effects.designs.differences.judged import (
    FEW,
    NO_PERIODS,
    NOTHING_VARIES,
    judged,
    panel_cautions,
    trend_cautions,
)
from truelift.effects.designs.differences.results import TrendCheck
from truelift.effects.designs.differences.sums import DifferenceSumsKernel
from truelift.effects.designs.differences.timeline import Timeline
from truelift.effects.designs.differences.units import DifferenceColumns
from truelift.effects.designs.instrument.linear import refuse_few_clusters
from truelift.effects.designs.ranges import BATCH_ROWS, ranges_of, refuse_weights
from truelift.effects.designs.results import Named, designed, family
from truelift.effects.panel.arms import label_of
from truelift.effects.panel.parts import covariates_of
from truelift.effects.panel.source import PanelSource, State
from truelift.effects.results import Caution, EffectsResult, Estimate
from truelift.effects.support.refusals import refuse_cut_clusters
from truelift.errors import DataError
from truelift.inference.clusters import clusters_in_two_buckets
from truelift.inference.parallel_trends import breakdown, pre_trend, relative_magnitude_interval
from truelift.progress import Tell
from truelift.settings import EffectOptions

# Each bucket's task makes a square of them: 8 MB.
_MOST_LINES = 1000
_METHOD = "difference in differences by cohort and period"
_ADJUSTED = "cross-fitted doubly robust difference in differences by cohort and period"
_NOT_CONVERGED = (
    "The model of who is treated when, given the covariates, did not converge, as happens where covariates tell the "
    "cohorts apart."
)


def difference_effects(
    source: PanelSource, options: EffectOptions, progress: Tell
) -> EffectsResult:
    """Effects of a treatment that begins at different periods, from one pass over the panel.

    Parameters
    ----------
    source : PanelSource
        The rows that count: one a unit and period.
    options : EffectOptions
        ``treatment`` is the column of the period in which a unit's treatment begins; null, zero or a period
        after the last for units that are never treated.
    progress : callable

    Raises
    ------
    DataError
        For too few periods, no cohort or nobody to compare with, repeated rows, units whose cohort changes.
    """
    time = str(options.differences.time)
    covariates = covariates_of(source.schema, options)
    keys = {
        time: "effects.differences.time",
        **dict.fromkeys(options.outcomes, "effects.outcomes"),
        **dict.fromkeys(covariates, "effects.covariates"),
        **({options.weight: "effects.weight"} if options.weight else {}),
    }
    may_miss = covariates if options.features.missing == "indicator" else ()
    ranges = ranges_of(source, keys, options.cluster, may_miss)
    refuse_weights(ranges, options, source.name)
    line = _timeline(source, options, time)
    design = plain_design(source, covariates, ranges, options)
    columns = DifferenceColumns(
        options.unit, time, options.treatment, options.outcomes, options.cluster, options.weight,
        design if len(design) else None,
    )  # fmt: skip
    adjusted = adjustment_of(source, columns, line, options, progress) if len(design) else None
    progress("a pass for differences by cohort and period")
    sums = source.sum(DifferenceSumsKernel(columns, line, adjusted), columns.names(), BATCH_ROWS)
    _refuse(sums, options, time, source.name)
    units, clusters = int(sums["units"][0]), int(sums["clusters"][0])
    told = [label_of(period) for period in line.periods.tolist()]
    estimates: list[Estimate] = []
    checks: list[TrendCheck] = []
    for j, outcome in enumerate(options.outcomes):
        cells = cell_effects(sums["total"], sums["held"], line, j)
        usable = np.isfinite(cells.values)
        wanted = list(averages_of(line, usable, told))
        if not any(a.name == "overall ATT" for a in wanted):
            raise DataError(
                f"{source.name}: no cohort has a period before its treatment, a period after it and units to compare it "
                f"with, of {FEWEST} clusters or more each (effects.treatment, {time!r}, effects.cluster). Name earlier "
                "periods, units that are not treated, or finer clusters."
            )
        means = averaged(wanted, cells, sums["total"], line)
        families = [(a.name, a.population) for a in wanted]
        estimates += _families(
            families, means, sums, outcome, options, units, clusters, adjusted is not None
        )
        named = [
            ("ATT(g,t)", f"units treated from {told[c.cohort]} on, in {told[c.period]}")
            for i, c in enumerate(line.cells)
            if usable[i]
        ]
        kept = Averages(cells.values[usable], cells.rows[usable])
        estimates += _families(
            named, kept, sums, outcome, options, units, clusters, adjusted is not None
        )
        checks.append(_check(wanted, means, sums, clusters, outcome, options))
    cautions = [
        *panel_cautions(sums, line, told, ranges.rows, options), *trend_cautions(checks)
    ]  # fmt: skip
    if adjusted is not None and not adjusted.converged:
        cautions.append(Caution(_NOT_CONVERGED))
    support = [judged(sums, checks, options)]
    return designed(
        source, options, estimates, support, "did", "" if adjusted is None else "linear", trends=tuple(checks),
        cautions=tuple(cautions), covariates=len(design), folds=options.nuisances.folds if adjusted else 0,
    )  # fmt: skip


def _timeline(source: PanelSource, options: EffectOptions, time: str) -> Timeline:
    found = source.distinct((time, options.treatment))
    periods = np.sort(np.array([float(value) for value in found[time]]))
    if len(periods) < 2:
        raise DataError(
            f"{source.name}: the column {time!r} (effects.differences.time) has {len(periods)} period(s), expected "
            "at least 2: one before a treatment and one after it."
        )
    begins = np.array([float(value) for value in found[options.treatment]])
    _refuse_unclear_never(begins, periods, options, time, source.name)
    begins = np.sort(begins[np.isfinite(begins) & (begins > periods[0]) & (begins <= periods[-1])])
    if not len(begins):
        raise DataError(
            f"{source.name}: no unit's treatment begins after the first period, {label_of(periods[0])}, and by the last, "
            f"{label_of(periods[-1])}. Expected in {options.treatment!r} (effects.treatment) the period in which it "
            "begins, and null or 0 where it never does."
        )
    if absent := [b for b in begins.tolist() if b not in periods]:
        raise DataError(
            f"{source.name}: {options.treatment!r} has {label_of(absent[0])}, which is no period of {time!r}. Expected "
            "the period in which a treatment begins."
        )
    section = options.differences
    line = Timeline(
        periods,
        tuple(np.searchsorted(periods, begins).tolist()),
        section.compared_with == "never_treated",
        section.anticipation,
    )
    lines = len(line.cohorts) + 4 * len(line.cells) * len(options.outcomes)
    if lines > _MOST_LINES:
        raise DataError(
            f"{source.name}: {len(line.cohorts)} cohorts, {len(periods)} periods and {len(options.outcomes)} outcomes "
            f"ask for {lines:,} sums, at most {_MOST_LINES:,} are possible. Use coarser periods, or fewer outcomes."
        )
    return line


def _refuse_unclear_never(
    begins: np.ndarray, periods: np.ndarray, options: EffectOptions, time: str, table: str
) -> None:
    """Refuse 0 or less for never where it is a period too."""
    low = begins[np.isfinite(begins) & (begins <= 0)]
    if periods[0] <= 0 and len(low):
        raise DataError(
            f"{table}: {options.treatment!r} (effects.treatment) has {label_of(float(low[0]))}, which may say that a "
            f"treatment never begins or that it does so in that period, for {time!r} (effects.differences.time) starts "
            f"with {label_of(float(periods[0]))}. Expected null where a treatment never begins, and periods from 1 on "
            "where one begins at 0 or before: add the same number to both columns."
        )


def _refuse(sums: State, options: EffectOptions, time: str, table: str) -> None:
    refuse_cut_clusters(sums, options.cluster, table)
    _, _, repeated, changing, _ = sums["units"].astype(int).tolist()
    changing += clusters_in_two_buckets(sums["max_units"])
    if repeated:
        raise DataError(
            f"{table}: {repeated:,} rows repeat a unit ({options.unit!r}) and period ({time!r}); expected one row each. "
            "Add them up, or name what tells them apart as effects.unit."
        )
    if changing:
        raise DataError(
            f"{table}: the period in which the treatment begins ({options.treatment!r}), or the cluster "
            f"({options.cluster!r}), changes within at least {changing:,} unit(s) of {options.unit!r}; expected one of each "
            "unit in all of its rows."
        )
    refuse_few_clusters(int(sums["clusters"][0]), 1, options.cluster, table)


def _families(
    named: Sequence[tuple[str, str]], found: Averages, sums: State, outcome: str,
    options: EffectOptions, units: int, clusters: int, adjusted: bool,
) -> list[Estimate]:  # fmt: skip
    """Estimates of each name with bands that hold over all of that name."""
    made: list[Estimate] = []
    spread = found.covariance(sums["cross"], clusters)
    for name in dict.fromkeys(name for name, _ in named):
        if options.design_estimands and name not in options.design_estimands:
            continue
        at = [i for i, (own, _) in enumerate(named) if own == name]
        how = _ADJUSTED if adjusted else _METHOD
        told = [Named(name, outcome, "", named[i][1], how) for i in at]
        made += family(
            told, found.values[at], spread[np.ix_(at, at)], options, units, clusters, True
        )
    return made


def _check(
    wanted: Sequence[Average], means: Averages, sums: State, clusters: int, outcome: str,
    options: EffectOptions,
) -> TrendCheck:  # fmt: skip
    events = {a.event: i for i, a in enumerate(wanted) if a.event is not None}
    # From then on the treatment may act already, so no earlier.
    ahead = options.differences.anticipation
    before = [i for event, i in events.items() if event < -ahead]
    event = min(event for event in events if event >= 0)
    # The first effect is of as many moves from one period to the next as lie between it and its base.
    first, moved = events[event], event + 1 + ahead
    at = [first, *before]
    spread = means.covariance(sums["cross"], clusters)[np.ix_(at, at)]
    effect, moves = float(means.values[first]), means.values[before]
    level, degrees = options.inference.confidence, float(clusters - 1)
    if not before:
        why = NO_PERIODS + (" in which it could not act yet" if ahead else "")
        return TrendCheck(outcome, None, effect, -np.inf, np.inf, 0.0, level, why)
    test = pre_trend(moves, spread[1:, 1:], degrees)
    varies = bool(moves.any() or spread[1:, 1:].any())
    low, high = relative_magnitude_interval(effect, moves, spread, degrees, level, float(moved))
    return TrendCheck(
        outcome=outcome,
        pre_trend=test,
        first_effect=effect,
        first_lower=low,
        first_upper=high,
        breakdown=breakdown(effect, moves, spread, degrees, level) / moved,
        confidence=level,
        untested="" if test else (FEW if varies else NOTHING_VARIES),
    )
