"""Learners of the nuisances behind one registry, and the weights of their stack."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from truelift.effects.estimate import estimate_panel
from truelift.effects.nuisances.calibration import monotone_means
from truelift.effects.nuisances.stack import simplex_weights
from truelift.errors import ConfigError
from truelift.settings import EffectOptions

FEW_TREES = {"trees": 40, "depth": 3, "learning_rate": 0.2}


@pytest.fixture(scope="module")
def curved() -> pa.Table:
    """Treatment and outcome both go with a wave of a covariate; the effect is 1."""
    rng = np.random.default_rng(2)
    table = simulate_panel(seed=9, units=4000, clusters=4000, cluster_effect=0)
    x = (table["x_1"].to_numpy() - 3) / 10
    treated = (rng.random(4000) < 1 / (1 + np.exp(-np.sin(2 * x)))).astype(np.int32)
    table = with_column(table, "treated", treated)
    table = with_column(table, "y_spend", 2 * np.sin(2 * x) + treated + rng.normal(size=4000))
    table = with_column(table, "user_key", [f"k{i}" for i in range(4000)])
    return with_column(table, "bucket", (np.arange(4000) % 10).astype(np.int32))


def estimated(table: pa.Table, learner: str):
    options = EffectOptions(
        outcomes=("y_spend",), estimands=("ATE",), learner=learner, boosting=FEW_TREES
    )
    return estimate_panel(in_buckets(table), options).result


def test_trees_find_what_a_linear_model_misses(curved):
    linear, boosting = (estimated(curved, name) for name in ("linear", "boosting"))
    assert abs(linear.estimates[0].estimate - 1) > 5 * linear.estimates[0].standard_error
    assert abs(boosting.estimates[0].estimate - 1) < 3 * boosting.estimates[0].standard_error
    assert boosting.learner == "boosting" and "boosting" in boosting.estimates[0].method
    assert boosting.nuisance["r2_control.y_spend"] > linear.nuisance["r2_control.y_spend"] + 0.3


def test_the_stack_leans_on_the_better_learner_in_each_world(curved):
    found = estimated(curved, "stack")
    assert found.nuisance["stack_outcome_boosting"] > 0.8
    assert abs(found.estimates[0].estimate - 1) < 3 * found.estimates[0].standard_error
    straight = simulate_panel(seed=4, units=3000, clusters=600)
    plain = estimated(straight, "stack")
    assert plain.nuisance["stack_outcome_linear"] > 0.5
    linear = estimated(straight, "linear").estimates[0]
    assert abs(plain.estimates[0].estimate - linear.estimate) < linear.standard_error


def test_an_unknown_learner_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match="found 'forest', expected one of linear, boosting"):
        estimated(simulate_panel(units=300), "forest")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"learner": "bosting"},
            "effects.nuisances.learner: found 'bosting'.*Did you mean 'boosting'",
        ),
        (
            {"boosting": {"depht": 3}},
            r"effects\.nuisances\.learners\.boosting\.depht.*effects\.nuisances\.learners\.boosting\.depth",
        ),
        (
            {"neural": {"epochs": 0}},
            r"effects\.nuisances\.learners\.neural\.epochs: found 0, expected at least 1",
        ),
        (
            {"learner": "stack", "boosting": {"depth": 0}},
            r"effects\.nuisances\.learners\.boosting\.depth: found 0",
        ),
        (
            {"learners": {"forest": {}}},
            "effects.nuisances.learners: found 'forest', expected one of linear",
        ),
        (
            {"learners": {"stack": {"depth": 2}}},
            "the options of stack stand under effects.nuisances.learners.boosting",
        ),
    ],
)
def test_what_a_learner_cannot_take_is_found_as_the_options_are_made(wrong, said):
    with pytest.raises(ConfigError, match=said):
        EffectOptions(**wrong)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=12, max_size=12))
def test_weights_of_the_stack_are_convex_and_no_others_do_better(numbers):
    errors = np.array(numbers).reshape(3, 4)
    products = errors @ errors.T
    found = simplex_weights(products)
    assert found.min() >= 0 and found.sum() == pytest.approx(1.0)
    grid = [np.array([a, b, 20 - a - b]) / 20 for a in range(21) for b in range(21 - a)]
    best = min(w @ products @ w for w in grid)
    assert found @ products @ found <= best + 1e-6 * (1 + np.trace(products))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0.1, 5), st.floats(-3, 3)), min_size=1, max_size=12))
def test_pooled_means_are_the_monotone_fit_of_least_squares(pairs):
    weight, value = np.array(pairs).T
    found = monotone_means(weight, weight * value)
    assert (np.diff(found) >= 0).all()
    # The max-min formula of isotonic regression (Robertson, Wright & Dykstra 1988).
    n = range(len(value))
    means = [[np.average(value[i : k + 1], weights=weight[i : k + 1]) if k >= i else 0 for k in n]
             for i in n]  # fmt: skip
    expected = [max(min(means[i][k] for k in n if k >= j) for i in range(j + 1)) for j in n]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_bins_without_rows_take_the_nearest_bins_value():
    weight, total = np.array([0, 2.0, 0, 0, 0, 1.0, 0]), np.array([0, 2.0, 0, 0, 0, 5.0, 0])
    assert monotone_means(weight, total).tolist() == [1, 1, 1, 1, 5, 5, 5]


def test_calibration_mends_propensities_that_are_off_in_level():
    # Far too much ridge flattens every model; ranks stay, so a monotone map can mend them.
    table = simulate_panel(seed=6, units=6000, clusters=6000, cluster_effect=0, heterogeneity=0)
    table = with_column(table, "user_key", [f"k{i}" for i in range(6000)])
    table = with_column(table, "bucket", (np.arange(6000) % 10).astype(np.int32))
    common = {"outcomes": ("y_spend",), "estimands": ("ATE",), "ridge": 2.0}
    flat, mended = (
        estimate_panel(in_buckets(table), EffectOptions(calibration=c, **common)).result
        for c in (False, True)
    )
    loss = "propensity_log_loss"
    best = estimate_panel(in_buckets(table), EffectOptions(outcomes=("y_spend",))).result
    assert best.nuisance[loss] < mended.nuisance[loss] < flat.nuisance[loss] - 0.01
    truth = 1.5
    assert abs(mended.estimates[0].estimate - truth) < abs(flat.estimates[0].estimate - truth)
    assert "calibrated linear nuisances" in mended.estimates[0].method
