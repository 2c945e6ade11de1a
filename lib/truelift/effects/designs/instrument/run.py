"""The design ``instrument:`` from a panel to its result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from truelift.effects.designs.instrument.judged import instrument_cautions, judged
from truelift.effects.designs.instrument.linear import LinearInstruments, linear_instruments
from truelift.effects.designs.instrument.results import InstrumentCheck
from truelift.effects.designs.instrument.scored import ScoredInstruments, scored_instruments
from truelift.effects.designs.ranges import Ranges, ranges_of, refuse_weights
from truelift.effects.designs.results import Named, designed, family
from truelift.effects.panel.parts import covariates_of
from truelift.effects.panel.source import PanelSource
from truelift.effects.results import EffectsResult, Estimate
from truelift.effects.support.cautions import with_cautions
from truelift.errors import DataError
from truelift.inference.weak_instruments import (
    FirstStage,
    ReducedForms,
    anderson_rubin,
    anderson_rubin_set,
    first_stage,
    minimum_distance,
    score_set,
    score_test,
)
from truelift.progress import Tell
from truelift.settings import EffectOptions

MOVED = "those whom the instrument moves"
_METHODS = {
    "TSLS": "two-stage least squares",
    "LIML": "limited-information maximum likelihood",
    "JIVE": "jackknife over clusters",
}


def instrument_effects(
    source: PanelSource, options: EffectOptions, progress: Tell
) -> EffectsResult:
    """Effects of a treatment on those whom one or several instruments move.

    Parameters
    ----------
    source : PanelSource
        The rows that count.
    options : EffectOptions
    progress : callable

    Raises
    ------
    DataError
        For instruments that are constant, or that covariates explain wholly; one cluster; a treatment that
        is constant.
    """
    covariates = covariates_of(source.schema, options)
    keys = {
        options.treatment: "effects.treatment",
        **dict.fromkeys(options.outcomes, "effects.outcomes"),
        **dict.fromkeys(covariates, "effects.covariates"),
        **dict.fromkeys(options.instrument, "effects.instrument"),
        **({options.weight: "effects.weight"} if options.weight else {}),
    }
    may_miss = covariates if options.features.missing == "indicator" else ()
    ranges = ranges_of(source, keys, options.cluster, may_miss)
    _refuse_constants(ranges, options, source.name)
    refuse_weights(ranges, options, source.name)
    wanted = _wanted(source, options)
    linear = linear_instruments(source, options, ranges, progress)
    scored = scored_instruments(source, options, progress) if "LATE" in wanted else None
    stage = first_stage(linear.forms[0].treatment, linear.stage_covariance, linear.products)
    estimates: list[Estimate] = []
    checks: list[InstrumentCheck] = []
    for j, outcome in enumerate(options.outcomes):
        if scored is not None:
            estimates += _late(scored, j, outcome, options, ranges.rows)
            # Scores have no products of instruments; the forms' own precision stands for them.
            own = scored.forms[j].treatment_covariance
            strength = first_stage(scored.forms[j].treatment, own, np.linalg.inv(own))
            checks.append(_check(scored.forms[j], strength, "doubly robust", outcome, options))
        estimates += _linear(linear, j, outcome, options, ranges.rows, wanted)
        checks.append(_check(linear.forms[j], stage, "linear", outcome, options))
    learner = options.nuisances.learner.name if scored is not None else "linear"
    result = designed(
        source, options, estimates, [judged(checks, scored, linear.clusters, options)], "instrument", learner,
        folds=0 if scored is None else options.nuisances.folds, covariates=linear.features - 1, instruments=tuple(checks),
    )  # fmt: skip
    return with_cautions(result, instrument_cautions(checks, scored, options))


def _refuse_constants(ranges: Ranges, options: EffectOptions, table: str) -> None:
    for name in options.instrument:
        if ranges.constant(name):
            raise DataError(
                f"{table}: the instrument {name!r} (effects.instrument) has one value in all {ranges.rows:,} "
                "rows, so it moves nobody. Expected a column that varies: name another."
            )
    if ranges.constant(options.treatment):
        raise DataError(
            f"{table}: the treatment {options.treatment!r} has one value in all {ranges.rows:,} rows, so no "
            "instrument can move it. Check effects.treatment and effects.filter."
        )
    for name in options.outcomes:
        if ranges.constant(name):
            raise DataError(
                f"{table}: the outcome {name!r} (effects.outcomes) has one value in all {ranges.rows:,} rows, so "
                "nothing changes it. Leave it out, or check effects.filter."
            )


def _wanted(source: PanelSource, options: EffectOptions) -> tuple[str, ...]:
    """Estimators: those that the options name, or all that the instruments allow."""
    named = options.design_estimands
    values = source.distinct(options.instrument)
    many = [name for name, found in values.items() if len(found) != 2]
    if "LATE" in named and many:
        raise DataError(
            f"{source.name}: the instrument {many[0]!r} has {len(values[many[0]]):,} values or more; 'LATE' among "
            "effects.estimands compares two. Cut it in two, or ask for TSLS, LIML or JIVE."
        )
    if named:
        return named
    several = ("LIML", "JIVE") if len(options.instrument) > 1 else ()
    return (*(() if many else ("LATE",)), "TSLS", *several)


def _late(
    scored: ScoredInstruments, j: int, outcome: str, options: EffectOptions, rows: int
) -> list[Estimate]:
    found = minimum_distance(scored.forms[j])
    how = "ratio of cross-fitted AIPW effects" if len(scored.forms[j]) == 1 else (
        "cross-fitted AIPW effects of all instruments, by minimum distance"
    )  # fmt: skip
    return _one(
        "LATE", outcome, found.effect, found.standard_error, how, options, rows, scored.clusters
    )


def _linear(
    linear: LinearInstruments, j: int, outcome: str, options: EffectOptions, rows: int,
    wanted: Sequence[str],
) -> list[Estimate]:  # fmt: skip
    made = {"TSLS": linear.two_stage, "LIML": linear.limited_information, "JIVE": linear.jackknifed}
    found: list[Estimate] = []
    for name, how in _METHODS.items():
        if name in wanted:
            value, error = made[name](j)
            found += _one(name, outcome, value, error, how, options, rows, linear.clusters)
    return found


def _one(
    name: str, outcome: str, value: float, error: float, how: str, options: EffectOptions,
    rows: int, clusters: int,
) -> list[Estimate]:  # fmt: skip
    named = [Named(name, outcome, options.treatment, MOVED, how)]
    return family(named, np.array([value]), np.array([[error**2]]), options, rows, clusters)


def _check(
    forms: ReducedForms, strength: FirstStage, basis: str, outcome: str, options: EffectOptions
) -> InstrumentCheck:
    fits = minimum_distance(forms).overidentification
    level = options.inference.confidence
    return InstrumentCheck(
        outcome=outcome,
        treatment=options.treatment,
        instruments=tuple(options.instrument),
        basis=basis,
        effective_f=strength.effective_f,
        critical_f=strength.critical,
        anderson_rubin=anderson_rubin_set(forms, level),
        score=score_set(forms, level),
        p_value=anderson_rubin(forms, 0.0).p_value,
        score_p_value=score_test(forms, 0.0).p_value,
        overidentification=None if fits is None else fits.p_value,
        confidence=level,
    )
