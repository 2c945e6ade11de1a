"""A randomised experiment's own estimates, as a look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from truelift.effects.experiment.results import Experiment
from truelift.effects.experiment.trial import run_experiment
from truelift.effects.look import Look, NamedColumn, Passes, Sight, not_made
from truelift.effects.panel.columns import PanelColumns, is_randomised
from truelift.effects.results import Caution, EffectsResult
from truelift.effects.support.assignment_check import IN_DOUBT, sample_ratio_caution
from truelift.effects.support.cautions import with_cautions
from truelift.settings import EffectOptions

Found = tuple[Experiment, dict[str, str], list[Caution]]


def _asked(options: EffectOptions, columns: PanelColumns) -> bool:  # noqa: ARG001
    return is_randomised(columns)


def _columns(options: EffectOptions) -> Mapping[str, NamedColumn]:
    return {
        f"experiment.pre_outcomes.{k}": NamedColumn(v, True)
        for k, v in options.experiment.pre_outcomes.items()
    }


def _passes(sight: Sight) -> Passes[Found]:
    sight.progress("a pass for the experiment's own estimates")
    scoring = sight.estimation.scoring
    return run_experiment(scoring.columns, scoring.outcomes, sight.result.estimates, sight.options)


def _result(sight: Sight, found: Found) -> EffectsResult:
    experiment, failed, unlike = found
    result = not_made(replace(sight.result, experiment=experiment), failed)
    result = with_cautions(result, unlike)
    doubted = any(c.text.startswith(IN_DOUBT) for c in result.cautions)
    if experiment.sample_ratio.p_value < experiment.sample_ratio.level and not doubted:
        result = with_cautions(result, [sample_ratio_caution(experiment.sentence())])
    return result


def _metrics(result: EffectsResult) -> Mapping[str, float]:
    if result.experiment is None:
        return {}
    return {"sample_ratio_p_value": result.experiment.sample_ratio.p_value}


EXPERIMENT = Look("experiment", _result, _asked, _passes, "its sums", _columns, _metrics)
