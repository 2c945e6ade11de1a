"""Tests that a specification asks for: that an effect is no worse than a margin."""

from __future__ import annotations

from dataclasses import replace

from truelift.effects.experiment.results import OutcomeTest
from truelift.effects.look import Look, Sight
from truelift.effects.panel.columns import PanelColumns
from truelift.effects.results import EffectsResult
from truelift.inference.hypotheses import non_inferiority_test
from truelift.settings import EffectOptions


def _asked(options: EffectOptions, columns: PanelColumns) -> bool:  # noqa: ARG001
    return bool(options.experiment.non_inferiority_margin)


def _result(sight: Sight, found: None) -> EffectsResult:  # noqa: ARG001
    """Non-inferiority of every ATE whose outcome has a margin."""
    options = sight.options
    tests = tuple(
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
                level=(1.0 - options.inference.confidence) / 2,
            ),
        )
        for e in sight.result.estimates
        if e.estimand == "ATE"
        and (margin := options.experiment.non_inferiority_margin.get(e.outcome))
    )
    return replace(sight.result, tests=tests)


TESTS = Look("tests", _result, _asked)
