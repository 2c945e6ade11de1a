"""Estimates and standard errors against a plain reference, and what must not change them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from tests.unit.effects.reference import aipw
from truelift.effects.estimate import estimate_panel
from truelift.effects.results import EffectsResult
from truelift.effects.scores.rows import ScoreRowsKernel
from truelift.settings import EffectOptions

EXACT = EffectOptions(folds=5, ridge=0.0, tolerance=1e-24, small_samples="cr1")


def numbers(result: EffectsResult) -> np.ndarray:
    return np.array([(e.estimate, e.standard_error) for e in result.estimates])


def find(result: EffectsResult, estimand: str, outcome: str = "y_spend"):
    return next(e for e in result.estimates if (e.estimand, e.outcome) == (estimand, outcome))


def scores_of(estimation, tables) -> np.ndarray:
    """Scores of the contrast on ``y_spend``: those of arm 1 minus those of arm 0."""
    kernel = ScoreRowsKernel(estimation.scoring)
    rows = pa.concat_tables([kernel(b, {"panel": t}) for b, t in tables.items()])
    rows = rows.filter(pa.compute.equal(rows["outcome"], "y_spend"))
    arms = [rows.filter(pa.compute.equal(rows["arm"], arm))["score"].to_numpy() for arm in "01"]
    return arms[1] - arms[0]


def same(result: EffectsResult, other: EffectsResult, relative: float = 1e-12) -> None:
    np.testing.assert_allclose(numbers(result), numbers(other), rtol=relative)


@pytest.fixture(scope="module")
def panel():
    return simulate_panel(seed=3)


@pytest.fixture(scope="module")
def result(panel):
    return estimate_panel(in_buckets(panel), EffectOptions()).result


@pytest.mark.parametrize("outcome", ["y_spend", "y_visits"])
@pytest.mark.parametrize("clip", [0.01, 0.2])
def test_estimates_and_clustered_errors_equal_explicit_refits(panel, outcome, clip):
    options = replace(EXACT, clip=clip)
    found = estimate_panel(in_buckets(panel), options).result
    expected = aipw(panel, outcome, folds=5, clip=clip)
    for estimate in found.estimates:
        if estimate.outcome == outcome:
            value, error = expected[estimate.estimand]
            assert estimate.estimate == pytest.approx(value, rel=1e-8)
            assert estimate.standard_error == pytest.approx(error, rel=1e-8)


def test_the_default_steps_end_within_a_thousandth_of_a_standard_error_of_explicit_refits(panel):
    expected = aipw(panel, "y_spend", folds=5, clip=0.01)
    ate = estimate_panel(in_buckets(panel), EffectOptions(ridge=0.0)).result.estimates[0]
    assert abs(ate.estimate - expected["ATE"][0]) < 1e-3 * ate.standard_error


def test_adjusted_interval_covers_the_truth_and_the_naive_one_does_not(result):
    ate, naive = find(result, "ATE"), find(result, "naive difference")
    assert ate.ci_lower < 1.5 < ate.ci_upper
    assert not naive.ci_lower < 1.5 < naive.ci_upper


def test_order_of_rows_changes_nothing(panel, result):
    shuffled = panel.take(pa.array(np.random.default_rng(0).permutation(panel.num_rows)))
    same(estimate_panel(in_buckets(shuffled), EffectOptions()).result, result)


def test_start_rows_that_are_few_and_any_order_change_nothing(panel):
    options = EffectOptions(start_rows=200)
    shuffled = panel.take(pa.array(np.random.default_rng(0).permutation(panel.num_rows)))
    same(
        estimate_panel(in_buckets(shuffled), options).result,
        estimate_panel(in_buckets(panel), options).result,
    )


def test_few_start_rows_reach_the_same_optimum(panel):
    tight = {"ridge": 1e-6, "tolerance": 1e-24, "max_newton_steps": 20}
    few = estimate_panel(in_buckets(panel), EffectOptions(start_rows=100, **tight)).result
    many = estimate_panel(in_buckets(panel), EffectOptions(start_rows=10**6, **tight)).result
    same(few, many, 1e-9)
    assert few.nuisance["propensity_newton_steps"] > many.nuisance["propensity_newton_steps"]


def test_a_loose_tolerance_needs_two_passes_and_a_strict_one_more(panel):
    loose = estimate_panel(in_buckets(panel), EffectOptions(tolerance=1.0)).result
    strict = estimate_panel(in_buckets(panel), EffectOptions(tolerance=1e-24)).result
    assert loose.nuisance["passes"] == 2
    assert strict.nuisance["passes"] > 2


@pytest.fixture(scope="module")
def few():
    """A small panel and its numbers."""
    table = simulate_panel(seed=5, units=400, clusters=80)
    return table, numbers(estimate_panel(in_buckets(table), EXACT).result)


@settings(max_examples=15, deadline=None)
@given(shift=st.floats(-1e4, 1e4), scale=st.floats(1e-3, 1e3))
def test_units_of_the_outcome_scale_estimates_and_errors(few, shift, scale):
    table, one = few
    moved = with_column(table, "y_spend", table["y_spend"].to_numpy() * scale + shift)
    two = numbers(estimate_panel(in_buckets(moved), EXACT).result)
    np.testing.assert_allclose(two[:4], one[:4] * scale, rtol=1e-7, atol=1e-9 * scale)


def test_units_of_a_covariate_change_nothing(panel):
    table = with_column(panel, "x_1", panel["x_1"].to_numpy() * 1e6 - 4e8)
    one = estimate_panel(in_buckets(panel), EXACT).result
    same(estimate_panel(in_buckets(table), EXACT).result, one, 1e-7)


def test_several_outcomes_give_what_each_gives_alone(panel, result):
    alone = estimate_panel(in_buckets(panel), EffectOptions(outcomes=("y_visits",))).result
    np.testing.assert_allclose(numbers(alone), numbers(result)[4:], rtol=1e-10)


def test_mean_of_the_score_rows_is_the_estimate(panel):
    source = in_buckets(panel)
    estimation = estimate_panel(source, EffectOptions())
    ate = find(estimation.result, "ATE").estimate
    assert np.mean(scores_of(estimation, source.buckets)) == pytest.approx(ate, rel=1e-10)
    kernel = ScoreRowsKernel(estimation.scoring)
    rows = [kernel(b, {"panel": t}).num_rows for b, t in source.buckets.items()]
    assert sum(rows) == 2 * 2 * panel.num_rows  # outcomes x arms


def test_score_rows_carry_outcome_predictions_in_the_outcomes_units(panel):
    source = in_buckets(panel)
    estimation = estimate_panel(source, EffectOptions())
    rows = ScoreRowsKernel(estimation.scoring)(0, {"panel": source.buckets[0]})
    spend = rows.filter(pa.compute.equal(rows["outcome"], "y_spend"))
    observed = source.buckets[0]["y_spend"].to_numpy()
    assert abs(np.mean(spend["outcome_regression"].to_numpy()) - observed.mean()) < 2
    assert spend["arm"].to_pylist() == ["0"] * len(observed) + ["1"] * len(observed)
    assert set(rows["fold"].to_pylist()) == {0}


def test_interval_uses_students_t_over_clusters(panel):
    from scipy import stats

    ate = estimate_panel(in_buckets(panel), EXACT).result.estimates[0]
    half = (ate.ci_upper - ate.ci_lower) / 2
    assert half / ate.standard_error == pytest.approx(stats.t.ppf(0.975, ate.clusters - 1))


def test_one_unit_a_cluster_gives_the_usual_standard_error():
    table = simulate_panel(units=500, clusters=500, cluster_effect=0)
    table = with_column(table, "user_key", [f"k{i}" for i in range(500)])
    table = with_column(table, "bucket", (np.arange(500) % 10).astype(np.int32))
    source = in_buckets(table)
    estimation = estimate_panel(source, replace(EXACT, outcomes=("y_spend",)))
    scores = scores_of(estimation, source.buckets)
    expected = scores.std(ddof=1) / np.sqrt(500)
    assert estimation.result.estimates[0].standard_error == pytest.approx(expected, rel=1e-9)
