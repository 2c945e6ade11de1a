"""With whom an effect is larger, as a look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from truelift.effects.heterogeneity.forecasts import fit_forecasts
from truelift.effects.heterogeneity.several import explored_effects
from truelift.effects.heterogeneity.varying import VaryingEffect
from truelift.effects.look import Look, Passes, Sight, not_made
from truelift.effects.panel.columns import PanelColumns
from truelift.effects.results import EffectsResult
from truelift.settings import EffectOptions

Found = tuple[tuple[VaryingEffect, ...], dict[str, str]]


def _asked(options: EffectOptions, columns: PanelColumns) -> bool:  # noqa: ARG001
    return options.heterogeneity.enabled


def _passes(sight: Sight) -> Passes[Found]:
    sight.progress("three passes: with whom the effect is larger")
    return explored_effects(
        sight.estimation.scoring,
        sight.options,
        lambda scored: fit_forecasts(sight.source, scored, sight.options, sight.progress),
    )


def _result(sight: Sight, found: Found) -> EffectsResult:
    varying, failed = found
    return not_made(replace(sight.result, heterogeneity=varying), failed)


def _metrics(result: EffectsResult) -> Mapping[str, float]:
    """Those of the first outcome and arm: a run's page is no place for all."""
    if not result.heterogeneity:
        return {}
    varying = result.heterogeneity[0]
    return {
        "autoc": varying.autoc.estimate,
        "autoc.standard_error": varying.autoc.standard_error,
        "most_less_least_affected": varying.difference.estimate,
    }


HETEROGENEITY = Look("heterogeneity", _result, _asked, _passes, metrics=_metrics)
