"""Experiments beside the learner, relative lift, tests against a margin."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from truelift.effects.estimate import estimate_panel
from truelift.effects.look import check_columns, look_further
from truelift.effects.results import EffectsResult
from truelift.errors import ConfigError, TableError
from truelift.settings import EffectOptions
from truelift.typed import from_plain, to_plain

KEYS = {
    "start_rows": 500, "propensity": {"1": "0.5"}, "pre_outcomes": {"y_spend": "before"},
    "outcomes": ("y_spend", "y_visits"),
}  # fmt: skip


def trial_panel(by_cluster: bool, share: float = 0.5) -> pa.Table:
    """A randomised panel with an earlier outcome; assigned by household or by row."""
    panel = simulate_panel(seed=8, units=3000, clusters=300, effect=0.0, confounding=0.0)
    rng = np.random.default_rng(8)
    cluster = np.array([int(k.split("-")[1]) for k in panel["user_key"].to_pylist()])
    chance = rng.random(300)[cluster] if by_cluster else rng.random(3000)
    treated = (chance < share).astype(np.int32)
    spend = panel["y_spend"].to_numpy()
    before = spend + rng.normal(size=3000)
    panel = with_column(panel, "treated", treated)
    panel = with_column(panel, "before", before)
    return with_column(panel, "y_spend", spend + 1.0 * treated)


def further(panel: pa.Table, **changes) -> EffectsResult:
    options = EffectOptions(**(KEYS | changes))
    source = in_buckets(panel)
    return look_further(source, estimate_panel(source, options), options).result


@pytest.fixture(scope="module")
def assigned() -> pa.Table:
    return trial_panel(by_cluster=True)


@pytest.fixture(scope="module")
def result(assigned) -> EffectsResult:
    return further(assigned)


def estimate_by(result: EffectsResult, method: str, outcome: str = "y_spend"):
    (found,) = [
        e for e in result.experiment.estimates if (e.method, e.outcome) == (method, outcome)
    ]
    return found


def test_the_difference_in_means_is_that_of_the_arms_with_errors_by_cluster(assigned, result):
    found = estimate_by(result, "difference in means")
    frame = assigned.select(["user_key", "treated", "y_spend"]).to_pandas()
    means = frame.groupby("treated").y_spend.mean()
    assert found.estimate == pytest.approx(means[1] - means[0], rel=1e-9)
    variance = 0.0
    for arm, part in frame.groupby("treated"):
        sums = (part.y_spend - means[arm]).groupby(part.user_key).sum()
        variance += len(sums) / (len(sums) - 1) * (sums**2).sum() / len(part) ** 2
    assert found.standard_error == pytest.approx(np.sqrt(variance), rel=1e-9)


LATER = {
    "a copy of the outcome": lambda spend, treated, noise: spend + 0.3 * noise,
    "the treatment": lambda spend, treated, noise: treated.astype(float),
    "missing for one arm": lambda spend, treated, noise: np.where(treated, noise, np.nan),
    "missing more for one arm": lambda spend, treated, noise: np.where(
        treated & (noise > 0), np.nan, noise
    ),
    "infinite for one arm": lambda spend, treated, noise: np.where(treated, noise, np.inf),
}


@pytest.mark.parametrize("form", LATER)
def test_an_earlier_outcome_in_which_the_arms_differ_makes_no_cuped_and_stops(assigned, form):
    spend, treated = (assigned[name].to_numpy() for name in ("y_spend", "treated"))
    noise = np.random.default_rng(1).normal(size=len(spend))
    later = LATER[form](spend + 3 * treated, treated == 1, noise)
    found = further(with_column(assigned, "before", pa.array(later)))
    assert "before the assignment" in found.not_made["CUPED on y_spend"]
    methods = {e.method for e in found.experiment.estimates if e.outcome == "y_spend"}
    assert methods == {"difference in means", "learner-adjusted"}
    (caution,) = [c for c in found.cautions if c.stops]
    assert caution.outcomes == ("y_spend",)
    ate = [e for e in found.estimates if e.estimand == "ATE"]
    assert {e.outcome: found.supports(e) for e in ate} == {"y_spend": False, "y_visits": True}


def test_an_earlier_outcome_of_one_value_is_no_difference_between_the_arms(assigned):
    found = further(with_column(assigned, "before", np.full(assigned.num_rows, 7.0)))
    assert not [c for c in found.cautions if c.stops]
    assert all(found.supports(e) for e in found.estimates if e.estimand == "ATE")


def test_an_earlier_outcome_with_infinite_values_counts_them_as_missing(assigned):
    before = assigned["before"].to_numpy().copy()
    before[:3] = np.inf
    found = further(with_column(assigned, "before", before))
    assert estimate_by(found, "CUPED").ci_lower < 1.0 < estimate_by(found, "CUPED").ci_upper


def test_cuped_takes_the_outcomes_own_column_and_is_sharper(result):
    plain, cuped = (estimate_by(result, m) for m in ("difference in means", "CUPED"))
    assert cuped.standard_error < 0.8 * plain.standard_error
    assert cuped.ci_lower < 1.0 < cuped.ci_upper
    methods = [e.method for e in result.experiment.estimates if e.outcome == "y_visits"]
    assert methods == ["difference in means", "learner-adjusted"]


def test_the_learners_row_is_the_reported_effect(result):
    (ate,) = [e for e in result.estimates if (e.estimand, e.outcome) == ("ATE", "y_spend")]
    found = estimate_by(result, "learner-adjusted")
    assert (found.estimate, found.standard_error) == (ate.estimate, ate.standard_error)


def test_the_detectable_effect_is_found_with_a_chance_of_four_in_five(result):
    found = estimate_by(result, "difference in means")
    shift = found.minimum_detectable_effect / found.standard_error
    critical = stats.t.ppf(0.975, found.degrees_of_freedom)
    chance = stats.nct.sf(critical, found.degrees_of_freedom, shift)
    assert chance == pytest.approx(0.8, abs=1e-3)


def test_assigned_clusters_are_counted_against_the_promised_shares(assigned, result):
    ratio = result.experiment.sample_ratio
    frame = assigned.select(["user_key", "treated"]).to_pandas().drop_duplicates()
    assert list(ratio.observed) == frame.treated.value_counts().sort_index().tolist()
    assert result.experiment.assigned == "clusters"
    assert not ratio.mismatch


def test_arms_of_the_wrong_size_are_a_mismatch():
    found = further(trial_panel(by_cluster=True, share=0.3)).experiment
    assert found.sample_ratio.mismatch
    assert "in doubt" in found.sentence()


def test_where_units_were_assigned_units_are_counted():
    found = further(trial_panel(by_cluster=False)).experiment
    assert found.assigned == "units"
    assert sum(found.sample_ratio.observed) == 3000
    assert not found.sample_ratio.mismatch


def test_missing_earlier_outcomes_do_not_stop_the_experiment(assigned):
    before = assigned["before"].to_pylist()
    before[::7] = [None] * len(before[::7])
    found = further(with_column(assigned, "before", before))
    plain, cuped = (estimate_by(found, m) for m in ("difference in means", "CUPED"))
    assert cuped.standard_error < plain.standard_error


def test_without_known_chances_there_is_no_experiment(assigned):
    assert further(assigned, propensity={}).experiment is None


def test_an_experiment_survives_being_written_as_json(result):
    again = from_plain(EffectsResult, json.loads(json.dumps(to_plain(result))))
    assert again.experiment == result.experiment


def test_an_earlier_outcome_that_is_text_is_refused(assigned):
    options = EffectOptions(pre_outcomes={"y_spend": "campaign"})
    with pytest.raises(
        TableError, match=r"expected a number \(effects\.experiment\.pre_outcomes\.y_spend\)"
    ):
        check_columns(assigned.schema, options, "panel")


def test_the_relative_lift_is_the_ratio_of_means_with_its_delta_method_error():
    result = further(
        trial_panel(True), estimands=("APO", "ATE"), confidence=0.9, small_samples="cr1"
    )
    by = {(e.estimand, e.outcome, e.arm): e for e in result.estimates}
    for outcome in ("y_spend", "y_visits"):
        lift, treated, control = (
            by[key] for key in [
                ("relative lift", outcome, "1"), ("APO", outcome, "1"), ("APO", outcome, "0"),
            ]
        )  # fmt: skip
        ate = by["ATE", outcome, "1"]
        ratio = treated.estimate / control.estimate
        assert lift.estimate == pytest.approx(ratio - 1, rel=1e-10)
        # The covariance of the two means from the three variances.
        between = treated.standard_error**2 + control.standard_error**2 - ate.standard_error**2
        variance = (
            treated.standard_error**2 - ratio * between + ratio**2 * control.standard_error**2
        ) / control.estimate**2
        assert lift.standard_error == pytest.approx(np.sqrt(variance), rel=1e-6)
        assert lift.band_lower < lift.ci_lower < lift.estimate < lift.ci_upper < lift.band_upper
    assert "Relative lift: treated changes the mean" in result.summary()


def test_there_is_no_lift_on_a_mean_that_may_be_zero():
    panel = trial_panel(True)
    spend, treated = panel["y_spend"].to_numpy(), panel["treated"].to_numpy()
    centred = spend - spend[treated == 0].mean()
    result = further(with_column(panel, "y_spend", centred), estimands=("APO", "ATE"))
    lifts = [e.outcome for e in result.estimates if e.estimand == "relative lift"]
    assert lifts == ["y_visits"]


def test_a_margin_gives_a_one_sided_test_of_every_effect_on_its_outcome():
    margins = {"y_spend": 0.5, "y_visits": -0.5}
    result = further(trial_panel(True), non_inferiority_margin=margins)
    spend, visits = result.tests
    (ate,) = [e for e in result.estimates if (e.estimand, e.outcome) == ("ATE", "y_visits")]
    assert spend.test.rejected
    # Of visits less is better: the loss is the estimate itself.
    t = (0.5 - ate.estimate) / ate.standard_error
    assert visits.test.p_value == pytest.approx(stats.t.sf(t, ate.clusters - 1), rel=1e-9)
    assert spend.test.level == pytest.approx(0.025)


def test_a_margin_of_zero_is_refused():
    with pytest.raises(ConfigError, match="margins other than zero"):
        EffectOptions(non_inferiority_margin={"y_spend": 0.0})


@pytest.mark.parametrize("level", [0.0, 40.0, 1e6])
def test_a_missing_pre_period_costs_no_precision_whatever_its_level(level):
    g = np.random.default_rng(3)
    n = 4000
    user = 2 * g.normal(size=n)
    treated = (g.random(n) < 0.5).astype(np.int32)
    spend = 10 + user + 0.3 * treated + g.normal(size=n)
    before = level + 10 + user + g.normal(size=n)
    new = g.random(n) < 0.4
    spend[new] += 3  # new users are of another kind
    panel = pa.table(
        {
            "user_key": np.arange(n), "unit_id": np.arange(n), "treated": treated,
            "y_spend": spend, "x_0": g.normal(size=n), "bucket": (np.arange(n) % 10).astype("i4"),
            "before": pa.array(np.where(new, np.nan, before), from_pandas=True),
        }
    )  # fmt: skip
    found = estimate_by(further(panel, outcomes=("y_spend",)), "CUPED")
    # Least squares with the column's own mean and an indicator.
    known = np.where(new, 0.0, before - before[~new].mean())
    rows = np.column_stack([np.ones(n), treated, known, new])
    slopes = np.linalg.lstsq(rows, spend, rcond=None)[0]
    left = spend - rows @ slopes
    error = np.sqrt(left @ left / (n - 4) * np.linalg.inv(rows.T @ rows)[1, 1])
    assert found.standard_error == pytest.approx(error, rel=0.01)
    assert found.estimate == pytest.approx(slopes[1], abs=0.1 * error)
