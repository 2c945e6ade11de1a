"""Explorations of several arms and outcomes share their passes and say what each alone says."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from truelift.effects.estimate import estimate_panel
from truelift.effects.heterogeneity import HeterogeneityOptions, explore
from truelift.effects.heterogeneity.explore import exploration
from truelift.effects.heterogeneity.several import (
    Contrast,
    OneContrast,
    ScoredContrasts,
    explore_together,
    explored_effects,
)
from truelift.effects.look import look_further, made
from truelift.effects.results import EffectsResult
from truelift.effects.support.supported import Support
from truelift.errors import DataError
from truelift.settings import EffectOptions
from truelift.typed import from_plain, to_plain

OPTIONS = EffectOptions(start_rows=500, heterogeneity=True, band_draws=1000)


@pytest.fixture(scope="module")
def source():
    return in_buckets(simulate_panel(seed=5, heterogeneity=1.0))


@pytest.fixture(scope="module")
def estimation(source):
    return estimate_panel(source, OPTIONS)


@pytest.fixture(scope="module")
def result(source, estimation) -> EffectsResult:
    return look_further(source, estimation, OPTIONS).result


def scored_of(estimation, *contrasts) -> ScoredContrasts:
    return ScoredContrasts(estimation.scoring, tuple(Contrast(*c) for c in contrasts))


def runner(source, estimation):
    columns = estimation.scoring.columns
    return lambda kernel: source.sum(kernel, columns.of_scores(), columns.batch_rows())


def test_the_mean_of_the_scores_is_the_average_effect_in_the_outcomes_units(source, estimation):
    scored = scored_of(estimation, (1, 0), (1, 1))
    scores = [[], []]
    for bucket, table in source.buckets.items():
        for batch in table.to_batches():
            for place, block in enumerate(scored(batch, bucket % 5)):
                scores[place].append(block.score)
    for place, outcome in enumerate(("y_spend", "y_visits")):
        (ate,) = [
            e for e in estimation.result.estimates if (e.estimand, e.outcome) == ("ATE", outcome)
        ]
        assert np.concatenate(scores[place]).mean() == pytest.approx(ate.estimate, rel=1e-10)


def test_explored_together_each_contrast_says_what_it_says_alone(source, estimation):
    scored, options = scored_of(estimation, (1, 0), (1, 1)), HeterogeneityOptions()
    together = made(explore_together(scored, options), source, estimation.scoring.columns)
    names = estimation.scoring.design.names
    for place, found in enumerate(together):
        alone = explore(runner(source, estimation), OneContrast(scored, place), 5, names, options)
        assert found.quantile_groups.groups == alone.quantile_groups.groups
        assert found.targeting.rows == alone.targeting.rows
        assert found.classification == alone.classification
        assert found.calibration == alone.calibration


def test_all_contrasts_together_take_three_passes(source, estimation):
    passes = explore_together(scored_of(estimation, (1, 0), (1, 1)), HeterogeneityOptions())
    run, seen = runner(source, estimation), []
    with contextlib.suppress(StopIteration):
        wanted = next(passes)
        while True:
            seen.append(sorted(wanted.kernel.kernels))
            wanted = passes.send(run(wanted.kernel))
    assert seen == [[0, 1]] * 3


def test_an_effect_that_grows_with_a_covariate_is_found_with_who_gains(result):
    spend = result.heterogeneity[0]
    assert (spend.outcome, spend.arm, spend.versus) == ("y_spend", "1", "0")
    assert spend.varies and spend.difference.ci_lower > 0
    largest = max(spend.classification.difference, key=lambda t: abs(t.estimate))
    assert largest.name == "x_3"  # the last covariate carries the difference
    assert "varies with what is known" in spend.sentence()


def test_parts_of_an_average_that_is_not_supported_are_called_a_hint(result):
    assert "a hint where to look" not in result.summary()
    doubtful = replace(result, support=(Support("ATE", "", False, ("thin",)),))
    assert doubtful.summary().count("take this as a hint where to look") == 2


def test_bands_for_all_groups_hold_the_intervals_of_each(result):
    for varying in result.heterogeneity:
        for group, lower, upper in zip(
            varying.groups, varying.band_lower, varying.band_upper, strict=True
        ):
            assert lower <= group.ci_lower and group.ci_upper <= upper


def test_treating_all_gains_nothing_on_average(result):
    last = result.heterogeneity[0].targeting[-1]
    assert last.fraction == 1.0
    assert last.against_average.estimate == pytest.approx(0.0, abs=1e-9)
    assert result.heterogeneity[0].toc_upper[-1] == pytest.approx(0.0, abs=1e-6)


def test_what_was_found_survives_being_written_as_json(result):
    again = from_plain(EffectsResult, json.loads(json.dumps(to_plain(result))))
    assert json.dumps(to_plain(again)) == json.dumps(to_plain(result))
    assert again.heterogeneity[0].groups == result.heterogeneity[0].groups


def test_weights_of_two_count_as_two_units(source):
    """Doubling every weight changes no estimate."""
    panel = simulate_panel(seed=5, heterogeneity=1.0)
    found = []
    for weight in (1.0, 2.0):
        weighted = in_buckets(with_column(panel, "w", np.full(panel.num_rows, weight)))
        options = EffectOptions(start_rows=500, heterogeneity=True, weight="w", band_draws=1000)
        further = look_further(weighted, estimate_panel(weighted, options), options)
        found.append([g.estimate for g in further.result.heterogeneity[0].groups])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9)


def test_without_covariates_it_is_said_that_nothing_could_be_explored(source, estimation):
    scoring = replace(estimation.scoring, design=estimation.scoring.design.keeping(()))
    found, failed = made(explored_effects(scoring, OPTIONS), source, scoring.columns)
    assert found == ()
    assert "no covariate" in failed["heterogeneity"]


def test_of_many_contrasts_the_first_are_explored_and_the_rest_is_counted(
    source, estimation, monkeypatch
):
    monkeypatch.setattr("truelift.effects.heterogeneity.several.MOST_EXPLORED", 1)
    scoring = estimation.scoring
    found, failed = made(explored_effects(scoring, OPTIONS), source, scoring.columns)
    assert [v.outcome for v in found] == ["y_spend"]
    assert list(failed) == ["heterogeneity of 1 more arms and outcomes"]


def test_an_exploration_that_fails_is_named_and_the_others_go_on(source, estimation, monkeypatch):
    def failing(read, *others):
        if read.place == 0:
            raise DataError("too few clusters.")
        return (yield from exploration(read, *others))

    monkeypatch.setattr("truelift.effects.heterogeneity.several.exploration", failing)
    found = look_further(source, estimation, OPTIONS).result
    assert found.not_made == {"heterogeneity of 1 on y_spend": "too few clusters."}
    assert [v.outcome for v in found.heterogeneity] == ["y_visits"]
    assert "Not made, heterogeneity of treated on y_spend: too few clusters." in found.summary()
