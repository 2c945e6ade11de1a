"""Learners of the nuisances behind one registry, and the weights of their stack."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from truelift.effects.estimate import estimate_panel
from truelift.effects.stack import simplex_weights
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


def test_an_unknown_boosting_option_is_refused_with_the_nearest():
    options = EffectOptions(outcomes=("y_spend",), learner="boosting", boosting={"depht": 3})
    with pytest.raises(ConfigError, match=r"effects\.boosting\.depht.*effects\.boosting\.depth"):
        estimate_panel(in_buckets(simulate_panel(units=300)), options)


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
