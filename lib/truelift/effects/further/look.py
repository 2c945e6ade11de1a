"""Looks beyond the estimates, as far as the options ask: each is a pass or a few over the panel."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from truelift.effects.arms import Levels
from truelift.effects.assignment_check import IN_DOUBT, sample_ratio_caution
from truelift.effects.cautions import with_cautions
from truelift.effects.credibility.assessment import Credibility
from truelift.effects.estimate import Estimation
from truelift.effects.further.benchmarks import short_models
from truelift.effects.further.checks import checked_effects
from truelift.effects.further.exploration import explored_effects
from truelift.effects.further.forecasts import fit_forecasts
from truelift.effects.further.lift import relative_lifts
from truelift.effects.further.results import OutcomeTest
from truelift.effects.further.trial import before_scale, is_randomised, run_experiment
from truelift.effects.results import EffectsResult
from truelift.effects.source import MOST_VALUES, PanelSource, State, SumKernel
from truelift.errors import DataError
from truelift.inference.hypotheses import non_inferiority_test
from truelift.settings import EffectOptions

Progress = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Further:
    """A result with what further looks found, and the seconds that each took."""

    result: EffectsResult
    seconds: dict[str, float]


def look_further(
    source: PanelSource,
    estimation: Estimation,
    options: EffectOptions,
    progress: Progress = lambda text: None,
) -> Further:
    """Relative lifts, tests, the experiment's own estimates, heterogeneity and credibility.

    Parameters
    ----------
    source : PanelSource
        The panel of the estimation.
    estimation : Estimation
    options : EffectOptions
        ``non_inferiority_margin``, ``propensity``, ``pre_outcomes``, ``heterogeneity``,
        ``credibility`` and their keys.
    progress : callable, optional
        Told what is being done.

    Returns
    -------
    Further
        What was asked for and could not be made is named in ``result.not_made``.
    """
    source, options = estimation.rows_of(source), estimation.options_for(options)
    scoring, columns = estimation.scoring, estimation.scoring.columns
    result = _with_lifts(estimation, options)
    result = replace(result, tests=_tests(result, options))
    seconds: dict[str, float] = {}
    not_made = dict(result.not_made)

    def running(extra: tuple[str, ...] = ()) -> Callable[[SumKernel], State]:
        names = tuple(dict.fromkeys([*columns.of_scores(), *extra]))
        return lambda kernel: source.sum(kernel, names, columns.batch_rows())

    if is_randomised(columns):
        started = time.perf_counter()
        if columns.weight is not None:
            not_made["experiment"] = _weighted("its sums")
        else:
            progress("a pass for the experiment's own estimates")
            before = before_scale(scoring.outcomes, options).names
            experiment, failed, unlike = run_experiment(
                running(before), columns, scoring.outcomes, result.estimates, options
            )
            not_made |= failed
            result = with_cautions(replace(result, experiment=experiment), unlike)
            doubted = any(c.text.startswith(IN_DOUBT) for c in result.cautions)
            if experiment.sample_ratio.p_value < experiment.sample_ratio.level and not doubted:
                result = with_cautions(result, [sample_ratio_caution(experiment.sentence())])
        seconds["experiment"] = time.perf_counter() - started
    if options.heterogeneity:
        started = time.perf_counter()
        progress("three passes: with whom the effect is larger")
        varying, failed = explored_effects(
            running(),
            scoring,
            options,
            lambda scored: fit_forecasts(source, scored, options, progress),
        )
        not_made |= failed
        result = replace(result, heterogeneity=varying)
        seconds["heterogeneity"] = time.perf_counter() - started
    if options.credibility:
        started = time.perf_counter()
        if columns.weight is not None:
            not_made["credibility"] = _weighted("the checks")
        else:
            result = replace(
                result, credibility=_credibility(source, estimation, options, running, progress)
            )
        seconds["credibility"] = time.perf_counter() - started
    if columns.second_cluster is not None and seconds:
        not_made["clusters in two ways"] = (
            f"{', '.join(seconds)}: their errors are clustered by {columns.cluster!r} alone."
        )
    return Further(replace(result, not_made=not_made), seconds)


def _with_lifts(estimation: Estimation, options: EffectOptions) -> EffectsResult:
    """Relative lifts beside the means that they are made of."""
    result, scoring = estimation.result, estimation.scoring
    if not {"APO", "ATE"} <= set(options.estimands):
        return result
    lifts = relative_lifts(
        estimation.cluster_moments, scoring.layout, scoring.columns, scoring.outcomes, options,
        result.learner,
    )  # fmt: skip
    return replace(result, estimates=(*result.estimates, *lifts))


def _credibility(
    source: PanelSource, estimation: Estimation, options: EffectOptions,
    running: Callable[..., Callable[[SumKernel], State]], progress: Progress,
) -> Credibility:  # fmt: skip
    if options.benchmark_covariates:
        progress("benchmarks: models without each covariate")
    short = short_models(running(), estimation.moments, estimation.scoring.nuisances, options)
    left_out = _levels(source, options)
    progress("a pass for all credibility checks")
    extra = () if left_out is None else (left_out.column,)
    return checked_effects(running(extra), estimation.scoring, options, left_out, short)


def _weighted(what: str) -> str:
    return f"{what} count every unit once, and effects.weight is set."


def _levels(source: PanelSource, options: EffectOptions) -> Levels | None:
    column = options.leave_out
    if column is None:
        return None
    values = source.distinct((column,))[column]
    if len(values) > MOST_VALUES:
        raise DataError(
            f"{source.name}: the column {column!r} has more than {MOST_VALUES:,} values, too many "
            "to leave out one by one (effects.leave_out). Merge levels, or name another column."
        )
    return Levels(column, tuple(values))


def _tests(result: EffectsResult, options: EffectOptions) -> tuple[OutcomeTest, ...]:
    """Non-inferiority of every ATE whose outcome has a margin."""
    return tuple(
        OutcomeTest(
            e.estimand,
            e.outcome,
            e.arm,
            e.versus,
            non_inferiority_test(
                e.estimate,
                e.standard_error,
                e.degrees_of_freedom or float(max(e.clusters - 1, 1)),
                abs(margin),
                higher_is_better=margin > 0,
                level=(1.0 - options.confidence) / 2,
            ),
        )
        for e in result.estimates
        if e.estimand == "ATE" and (margin := options.non_inferiority_margin.get(e.outcome))
    )
