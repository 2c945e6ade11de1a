"""How fragile the effects are, as a look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from truelift.effects.credibility.assessment import Credibility
from truelift.effects.credibility.benchmarks import short_models
from truelift.effects.credibility.checks import checked_effects
from truelift.effects.look import Look, NamedColumn, Passes, Sight
from truelift.effects.panel.arms import Levels
from truelift.effects.panel.columns import PanelColumns
from truelift.effects.panel.source import MOST_VALUES, PanelSource
from truelift.effects.results import EffectsResult
from truelift.errors import DataError
from truelift.settings import EffectOptions


def _asked(options: EffectOptions, columns: PanelColumns) -> bool:  # noqa: ARG001
    return options.credibility.enabled


def _columns(options: EffectOptions) -> Mapping[str, NamedColumn]:
    named = (
        {}
        if options.credibility.leave_out is None
        else {"credibility.leave_out": NamedColumn(options.credibility.leave_out)}
    )
    return named | {
        f"credibility.benchmark_covariates: {name}": NamedColumn(name)
        for name in options.credibility.benchmark_covariates
    }


def _passes(sight: Sight) -> Passes[Credibility]:
    options, estimation = sight.options, sight.estimation
    if options.credibility.benchmark_covariates:
        sight.progress("benchmarks: models without each covariate")
    short = yield from short_models(estimation.moments, estimation.scoring.nuisances, options)
    left_out = _levels(sight.source, options)
    sight.progress("a pass for all credibility checks")
    return (yield from checked_effects(estimation.scoring, options, left_out, short))


def _levels(source: PanelSource, options: EffectOptions) -> Levels | None:
    column = options.credibility.leave_out
    if column is None:
        return None
    values = source.distinct((column,))[column]
    if len(values) > MOST_VALUES:
        raise DataError(
            f"{source.name}: the column {column!r} has more than {MOST_VALUES:,} values, too many "
            "to leave out one by one (effects.credibility.leave_out). Merge levels, or name another column."
        )
    return Levels(column, tuple(values))


def _result(sight: Sight, found: Credibility) -> EffectsResult:
    return replace(sight.result, credibility=found)


def _metrics(result: EffectsResult) -> Mapping[str, float]:
    """Those of the first outcome and arm."""
    found, metrics = result.credibility, dict[str, float]()
    if found is None:
        return metrics
    for bounds in found.omitted_variables[:1]:
        metrics["robustness_value"] = bounds.robustness_value
        metrics["robustness_value_confident"] = bounds.robustness_value_confident
    for placebo in found.placebos[:1]:
        metrics["placebo_rejected_share"] = placebo.rejected_share
    if controls := found.negative_controls:
        wrong = sum(control.verdict == "effect found" for control in controls)
        metrics["negative_controls_with_effect"] = float(wrong)
    return metrics


CREDIBILITY = Look("credibility", _result, _asked, _passes, "the checks", _columns, _metrics)
