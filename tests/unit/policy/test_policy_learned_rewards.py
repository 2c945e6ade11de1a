from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import truelift as tl
from truelift.errors import ConfigError, DataError
from truelift.policy.off_policy.learned_rewards import PredictedColumns

ITEMS = np.array(["a", "b", "c"])


def step_log(users: int, rows: int = 3, seed: int = 0) -> tuple[pd.DataFrame, float]:
    """Rewards that are steps and products of the context, which no line follows, and the new policy's value."""
    rng = np.random.default_rng(seed)
    n = users * rows
    first, second = np.repeat(rng.normal(size=users), rows), rng.normal(size=n)
    odds = np.exp(np.column_stack([0 * first, 0.5 * first, -0.5 * first]))
    chances = odds / odds.sum(axis=1, keepdims=True)
    action = (rng.random(n)[:, None] > chances.cumsum(axis=1)).sum(axis=1)
    means = 2.0 * (first > 0)[:, None] * np.arange(3) - 2 * np.abs(second)[:, None]
    proposed = 2 * (first > 0)
    here = np.arange(n)
    frame = {
        "user": np.repeat(np.arange(users), rows), "x": first, "z": second, "item": ITEMS[action],
        "p": chances[here, action], "proposed": ITEMS[proposed],
        "side": np.where(second > 0, "up", "down"),
        "gain": means[here, action] + 0.3 * rng.normal(size=n),
    }  # fmt: skip
    return pd.DataFrame(frame), float(means[here, proposed].mean())


def evaluated(frame, **keys):
    return tl.evaluate_policies(
        frame, **{"action": "item", "rewards": "gain", "propensity": "p", "user": "user", "context": ["x", "z", "side"],
        "policies": {"new": {"action": "proposed"}, "random": {"uniform": True}},
        "estimators": ["DM", "DR"]} | keys,
    )  # fmt: skip


def estimates(result, policy="new"):
    return {e.estimator: (e.estimate, e.standard_error) for e in result.estimates if e.policy == policy}  # fmt: skip


def test_trees_predict_what_ridge_cannot_and_make_the_doubly_robust_interval_shorter():
    frame, truth = step_log(800)
    trees = {"name": "boosting", "trees": 30, "learning_rate": 0.3}
    ridge, boosted = evaluated(frame), evaluated(frame, reward_model=trees, folds=2)
    assert boosted.reward_model.startswith("boosting")
    assert estimates(boosted)["DR"][1] < 0.85 * estimates(ridge)["DR"][1]
    assert abs(estimates(boosted)["DM"][0] - truth) < 0.15 < abs(estimates(ridge)["DM"][0] - truth)
    estimate, error = estimates(boosted)["DR"]
    assert abs(estimate - truth) < 3 * error


def test_the_linear_learner_is_the_regression_of_each_action_without_the_users_own_fold():
    frame, _ = step_log(300)
    found = evaluated(frame, reward_model="linear", context=["x"], buckets=4, folds=2)
    fold = bucket_of_users(frame, 4) % 2
    design = np.column_stack([np.ones(len(frame)), frame["x"]])
    means = np.zeros(len(frame))
    for k in range(2):
        for item in ITEMS:
            other = (fold != k) & (frame["item"] == item)
            beta = np.linalg.lstsq(design[other], frame["gain"][other], rcond=None)[0]
            own = (fold == k) & (frame["proposed"] == item)
            means[own] = design[own] @ beta
    assert estimates(found)["DM"][0] == pytest.approx(means.mean(), abs=0.02)


def bucket_of_users(frame, buckets):
    import pyarrow as pa

    from truelift.lake.buckets import buckets_of

    return buckets_of(pa.chunked_array([pa.array(frame["user"])]), buckets)


def test_mixtures_of_predicted_columns_are_means_of_single_actions():
    rng = np.random.default_rng(1)
    features, shares = rng.normal(size=(40, 6)), np.array([[0.5, 0.0, 0.5], [0.2, 0.3, 0.5]])
    second, cells = PredictedColumns(3, 3), np.arange(40) % 2
    cell, action = np.nonzero(shares)
    found = second.of_mixtures(features, cells, (cell, action, shares[cell, action]), 2)
    single = np.column_stack([second.of_one(features, a) for a in range(3)])
    np.testing.assert_allclose(found, (single * shares[cells]).sum(axis=1))
    np.testing.assert_allclose(second.of_actions(features, np.full(40, -1)), 0.0)


@pytest.mark.parametrize(
    ("keys", "error", "said"),
    [
        ({"reward_model": "forest"}, ConfigError, "expected one of auto, additive, by action, linear"),
        ({"reward_model": "boosting", "user": None}, ConfigError, "'boosting' without user"),
        ({"reward_model": "boosting", "context": []}, ConfigError, "no covariate that varies"),
        ({"reward_model": {"name": "auto", "depth": 3}}, ConfigError, "depth beside 'auto'"),
        ({"reward_model": {"name": "boosting", "leafs": 3}}, ConfigError, "leafs"),
    ],
)  # fmt: skip
def test_what_a_learner_cannot_take_is_one_message(keys, error, said):
    frame, _ = step_log(40)
    with pytest.raises(error, match=said):
        evaluated(frame, **keys)


def test_more_actions_than_a_learner_takes_are_one_message():
    frame, _ = step_log(60)
    frame["item"] = [f"item {i % 30}" for i in range(len(frame))]
    with pytest.raises(DataError, match="has 30 actions, and 'linear' fits a model of each"):
        evaluated(frame, reward_model="linear", policies={"random": {"uniform": True}})


def test_an_action_of_a_handful_of_rows_has_no_model_of_its_own():
    frame, _ = step_log(60)
    frame.loc[[0, 60, 120], "item"] = "rare"
    with pytest.raises(DataError, match="too few rows of the action 'rare'"):
        evaluated(frame, reward_model="linear", policies={"random": {"uniform": True}})
