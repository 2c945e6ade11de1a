"""Forecasts of effects by trees: they see what lines miss, and nothing of their own fold."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from truelift.effects.estimate import Estimation, estimate_panel
from truelift.effects.heterogeneity.forecasts import ScoreReader, fit_forecasts
from truelift.effects.heterogeneity.scored_contrasts import Contrast, ScoredContrasts
from truelift.effects.look import look_further
from truelift.effects.panel.source import MemoryPanel
from truelift.errors import ConfigError
from truelift.settings import EffectOptions

UNITS = 4000
OPTIONS = EffectOptions(
    outcomes=("y_spend",),
    start_rows=500,
    band_draws=1000,
    heterogeneity=True,
    heterogeneity_learner="boosting",
    boosting={"trees": 60, "depth": 3, "learning_rate": 0.2},
)


def curved_panel(seed: int = 3) -> pa.Table:
    """The effect is the square of a covariate: no line says anything about it."""
    rng = np.random.default_rng(seed)
    table = simulate_panel(seed=seed, units=UNITS, clusters=UNITS, cluster_effect=0)
    z, treated = standard(table), table["treated"].to_numpy()
    table = with_column(table, "y_spend", z + treated * z**2 + rng.normal(size=UNITS))
    table = with_column(table, "user_key", [f"k{i}" for i in range(UNITS)])
    return with_column(table, "bucket", (np.arange(UNITS) % 10).astype(np.int32))


def standard(table: pa.Table) -> np.ndarray:
    return (table["x_1"].to_numpy() - 3) / 10


@pytest.fixture(scope="module")
def source() -> MemoryPanel:
    return in_buckets(curved_panel())


@pytest.fixture(scope="module")
def estimation(source) -> Estimation:
    return estimate_panel(source, OPTIONS)


def scored_of(estimation, *contrasts) -> ScoredContrasts:
    return ScoredContrasts(estimation.scoring, tuple(Contrast(*c) for c in contrasts or ((1, 0),)))


def forecast_by_bucket(source, estimation, forecast) -> dict[int, np.ndarray]:
    """Forecasts of the units of each bucket, by the model of its fold."""
    found = {}
    for bucket, table in source.buckets.items():
        if bucket % 5 >= forecast.first_fold:
            batch = table.combine_chunks().to_batches()[0]
            block = estimation.scoring.design.block(batch, bucket % 5)
            found[bucket] = forecast.model.predict(block[1:], bucket % 5)
    return found


def fitted(source, estimation, sequential, options=OPTIONS) -> dict[int, np.ndarray]:
    (forecast,) = fit_forecasts(source, scored_of(estimation), options, sequential=sequential)
    assert forecast.first_fold == int(sequential)
    return forecast_by_bucket(source, estimation, forecast)


@pytest.fixture(scope="module")
def found_by(source, estimation) -> dict[bool, dict[int, np.ndarray]]:
    """Forecasts by bucket: of models of all other folds, and of the folds before."""
    return {sequential: fitted(source, estimation, sequential) for sequential in (False, True)}


def test_trees_forecast_a_curved_effect_out_of_fold_and_lines_do_not(source, estimation, found_by):
    trees = found_by[False]
    truth = np.concatenate([standard(source.buckets[b]) ** 2 for b in trees])
    found = np.concatenate(list(trees.values()))
    assert np.corrcoef(found, truth)[0, 1] > 0.85
    assert np.mean((found - truth) ** 2) < 0.4 * truth.var()

    straight = replace(OPTIONS, heterogeneity_learner="linear")
    assert fit_forecasts(source, scored_of(estimation), straight) is None
    line, tree = (
        look_further(source, estimation, options).result.heterogeneity[0]
        for options in (straight, OPTIONS)
    )
    assert (line.learner, tree.learner) == ("linear", "boosting")
    assert tree.varies and tree.sequential.p_value < 1e-6
    assert tree.autoc.estimate > 2 * max(line.autoc.estimate, 0.1)
    assert tree.qini.ci_lower > line.qini.ci_upper
    slope = tree.calibration.differential_forecast
    assert slope.ci_lower > 0.6 and slope.ci_upper < 1.4


def changed_outcomes(source: MemoryPanel, fold: int) -> MemoryPanel:
    return MemoryPanel(
        {
            b: t if b % 5 != fold else with_column(t, "y_spend", t["y_spend"].to_numpy() * -9 + 50)
            for b, t in source.buckets.items()
        }
    )


@pytest.mark.parametrize("sequential", [False, True])
def test_a_folds_outcomes_leave_its_own_forecasts_as_they_are_to_the_bit(
    source, estimation, found_by, sequential
):
    """With the nuisances as they are: these have seen the outcomes of other folds, as ever."""
    before = found_by[sequential]
    after = fitted(changed_outcomes(source, 2), estimation, sequential)
    kept = {0, 1, 2} if sequential else {2}
    assert before.keys() == after.keys()
    for bucket, forecasts in before.items():
        same = np.array_equal(forecasts, after[bucket])
        assert same == (bucket % 5 in kept), bucket


def test_every_contrast_has_a_model_of_its_own_in_its_outcomes_units():
    panel = simulate_panel(seed=8, units=3000, clusters=3000, cluster_effect=0, heterogeneity=1.0)
    panel = with_column(panel, "y_visits", panel["y_visits"].to_numpy() * 1000)
    panel = in_buckets(panel)
    options = replace(OPTIONS, outcomes=("y_spend", "y_visits"))
    estimation = estimate_panel(panel, options)
    forecasts = fit_forecasts(panel, scored_of(estimation, (1, 0), (1, 1)), options)
    spend, visits = (
        np.concatenate(list(forecast_by_bucket(panel, estimation, f).values())) for f in forecasts
    )
    average = {e.outcome: e.estimate for e in estimation.result.estimates if e.estimand == "ATE"}
    assert spend.mean() == pytest.approx(average["y_spend"], rel=0.15)
    assert visits.mean() == pytest.approx(average["y_visits"], rel=0.15)
    assert -1000 < average["y_visits"] < -500 and 1 < average["y_spend"] < 2
    assert spend.std() > 1.0


def test_rows_of_several_folds_in_one_batch_are_scored_each_by_its_own_fold(source, estimation):
    reader = ScoreReader(scored_of(estimation))
    tables = [source.buckets[b].slice(0, 30) for b in (1, 2, 1, 4)]
    folds = np.repeat([1, 2, 1, 4], 30)
    order = np.random.default_rng(1).permutation(120)
    batch = pa.concat_tables(tables).take(pa.array(order)).combine_chunks().to_batches()[0]
    block = reader(batch, folds[order])
    assert np.bincount(block.fold).tolist() == [0, 60, 30, 0, 30]
    for k in (1, 2, 4):
        alone = reader(batch.take(pa.array(np.flatnonzero(folds[order] == k))), k)
        mine = block.fold == k
        np.testing.assert_allclose(block.outcome[:, mine], alone.outcome, rtol=1e-12)
        np.testing.assert_array_equal(block.covariates[:, mine], alone.covariates)
        np.testing.assert_array_equal(block.cluster[mine], alone.cluster)


def test_readers_and_forecasts_travel_to_tasks(source, estimation):
    scored = scored_of(estimation)
    (forecast,) = fit_forecasts(source, scored, OPTIONS)
    again = pickle.loads(pickle.dumps(forecast))
    batch = source.buckets[3].to_batches()[0]
    x = estimation.scoring.design.block(batch, 3)[1:]
    np.testing.assert_array_equal(again.model.predict(x, 3), forecast.model.predict(x, 3))
    read = pickle.loads(pickle.dumps(ScoreReader(scored)))
    assert read.outcome_count == 1 and read.arms == 1


def test_monotone_outcomes_do_not_make_monotone_effects(source, estimation, found_by):
    bound = replace(OPTIONS, boosting=OPTIONS.boosting | {"monotone": [["x_1", 1]]})
    kept = fitted(source, estimation, False, bound)
    np.testing.assert_array_equal(found_by[False][3], kept[3])


def test_an_unknown_learner_of_forecasts_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match=r"heterogeneity\.learner.*linear, boosting, neural"):
        EffectOptions(heterogeneity_learner="forest")
