"""Credibility checks of an estimation speak of its own estimates."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from truelift.effects.credibility.benchmarks import features_of
from truelift.effects.estimate import estimate_panel
from truelift.effects.look import check_columns, look_further
from truelift.effects.results import EffectsResult
from truelift.effects.scores.rows import ScoreRowsKernel
from truelift.errors import ConfigError, TableError
from truelift.settings import EffectOptions
from truelift.typed import from_plain, to_plain

KEYS = {
    "start_rows": 500, "credibility": True, "placebos": 20, "leave_out": "campaign",
    "small_samples": "cr1",
}  # fmt: skip
OPTIONS = EffectOptions(**KEYS, benchmark_covariates=("x_0", "x_3"))


@pytest.fixture(scope="module")
def panel() -> pa.Table:
    return simulate_panel(seed=6)


@pytest.fixture(scope="module")
def estimation(panel):
    return estimate_panel(in_buckets(panel), OPTIONS)


@pytest.fixture(scope="module")
def result(panel, estimation) -> EffectsResult:
    return look_further(in_buckets(panel), estimation, OPTIONS).result


def find(result, estimand, outcome="y_spend"):
    return next(e for e in result.estimates if (e.estimand, e.outcome) == (estimand, outcome))


def test_bounds_start_from_the_estimates_and_their_clustered_errors(result):
    bounds = result.credibility.omitted_variables
    assert {(b.estimand, b.outcome) for b in bounds} == {
        (estimand, outcome) for estimand in ("ATE", "ATT") for outcome in ("y_spend", "y_visits")
    }
    for b in bounds:
        e = find(result, b.estimand, b.outcome)
        assert b.estimate == pytest.approx(e.estimate, rel=1e-10)
        assert b.standard_error == pytest.approx(e.standard_error, rel=1e-10)


def scores_of(estimation, panel) -> np.ndarray:
    kernel = ScoreRowsKernel(estimation.scoring)
    tables = in_buckets(panel).buckets
    rows = pa.concat_tables([kernel(b, {"panel": t}) for b, t in tables.items()]).to_pandas()
    rows = rows[rows.outcome == "y_spend"].pivot(index="unit_id", columns="arm", values="score")
    return rows["1"] - rows["0"]


def test_leaving_a_campaign_out_is_the_mean_of_the_others_scores(panel, estimation, result):
    scores = scores_of(estimation, panel)
    campaign = panel.select(["unit_id", "campaign"]).to_pandas().set_index("unit_id")["campaign"]
    (found,) = [
        g
        for g in result.credibility.groups
        if (g.estimand, g.outcome, g.group) == ("ATE", "y_spend", "campaign")
    ]
    assert found.levels == ("c0", "c1", "c2")
    for level, value in zip(found.levels, found.estimates, strict=True):
        assert value == pytest.approx(scores[campaign[scores.index] != level].mean(), rel=1e-9)


def test_rows_without_a_level_are_left_out_together(panel):
    names = panel["campaign"].to_pylist()
    holes = with_column(panel, "campaign", [None if n == "c1" else n for n in names])
    options = EffectOptions(**KEYS)
    source = in_buckets(holes)
    found = look_further(source, estimate_panel(source, options), options).result
    assert found.credibility.groups[0].levels == ("c0", "c2", "none")


@pytest.mark.parametrize("covariate", ["x_0", "x_3"])
def test_a_benchmark_is_the_change_that_fitting_without_the_covariate_makes(
    panel, result, covariate
):
    rest = tuple(f"x_{j}" for j in range(4) if f"x_{j}" != covariate)
    options = EffectOptions(start_rows=500, covariates=rest)
    short = find(estimate_panel(in_buckets(panel), options).result, "ATE")
    ate = find(result, "ATE")
    (benchmark,) = [
        b for b in result.credibility.benchmarks[:2] if b.covariates == covariate
    ]  # of the first outcome
    change = short.estimate - ate.estimate
    assert abs(benchmark.change - change) < 1e-3 * ate.standard_error
    assert benchmark.cf_d > 0


def test_features_of_a_covariate_are_found_by_name():
    names = ("x_1", "x_10", "x_1 is missing", "shop=1", "x_1^2", "x_1 x x_10", "x_10 x x_2")
    assert features_of("x_1", names).tolist() == [0, 2, 4, 5]
    assert features_of("shop", names).tolist() == [3]


def test_a_benchmark_that_is_no_covariate_is_refused(panel, estimation):
    options = EffectOptions(**KEYS, benchmark_covariates=("x_9",))
    with pytest.raises(ConfigError, match="found 'x_9'"):
        look_further(in_buckets(panel), estimation, options)


def test_benchmarks_of_other_learners_are_refused_before_anything_is_read():
    with pytest.raises(ConfigError, match=r"unless effects\.nuisances\.learner is 'linear'"):
        EffectOptions(learner="boosting", benchmark_covariates=("x_0",))


def test_a_negative_control_that_shows_an_effect_is_called_out(panel):
    options = EffectOptions(**KEYS, negative_controls=("y_visits",))
    source = in_buckets(panel)
    found = look_further(source, estimate_panel(source, options), options).result
    (control,) = found.credibility.negative_controls
    assert (control.outcome, control.verdict) == ("y_visits", "effect found")
    assert "shows an effect that cannot be" in found.summary()


def test_a_negative_control_has_to_be_an_outcome():
    with pytest.raises(ConfigError, match=r"effects\.credibility\.negative_controls"):
        EffectOptions(outcomes=("y_spend",), negative_controls=("y_visits",))


def test_checks_survive_being_written_as_json(result):
    again = from_plain(EffectsResult, json.loads(json.dumps(to_plain(result))))
    assert again.credibility == result.credibility


def test_order_of_rows_changes_no_check(panel, estimation, result):
    shuffled = panel.take(pa.array(np.random.default_rng(0).permutation(panel.num_rows)))
    again = look_further(in_buckets(shuffled), estimation, OPTIONS).result.credibility
    for one, two in zip(result.credibility.placebos, again.placebos, strict=True):
        np.testing.assert_allclose(one.estimates, two.estimates, rtol=1e-9, atol=1e-12)


def test_with_weights_the_checks_are_not_made_and_the_reason_is_given(panel):
    weighted = in_buckets(with_column(panel, "w", np.ones(panel.num_rows)))
    options = EffectOptions(**KEYS, weight="w")
    found = look_further(weighted, estimate_panel(weighted, options), options).result
    assert found.credibility is None
    assert "effects.weight is set" in found.not_made["credibility"]


def test_a_column_to_leave_out_that_is_not_there_is_named_before_anything_is_read(panel):
    with pytest.raises(TableError, match=r"no column 'shop' \(effects\.credibility\.leave_out\)"):
        check_columns(panel.schema, EffectOptions(leave_out="shop"), "panel")


def test_nothing_further_is_made_unless_it_is_asked_for(panel):
    source, options = in_buckets(panel), EffectOptions(start_rows=500)
    estimation = estimate_panel(source, options)
    further = look_further(source, estimation, options)
    assert further.result == estimation.result
    assert further.seconds == {}
