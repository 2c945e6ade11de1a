from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import truelift as tl
from tests.unit.policy.plain_values import plain_estimate

SEGMENTS, ACTIONS = 6, ("a", "b", "c", "d")


def chances(seed: int, spread: float) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(0, spread, (SEGMENTS, len(ACTIONS)))
    found = np.exp(logits)
    return found / found.sum(axis=1, keepdims=True)


LOGGED, WANTED = chances(1, 0.7), chances(2, 1.0)
MEANS = 0.1 + 0.6 * np.random.default_rng(3).random((SEGMENTS, len(ACTIONS)))


def bandit_log(rows: int, seed: int = 0, per_user: int = 4) -> pd.DataFrame:
    """Decisions in six segments by a softmax policy, beside what another one would do."""
    rng = np.random.default_rng(seed)
    segment = rng.integers(0, SEGMENTS, rows)
    draw = rng.random(rows)
    action = np.minimum((draw[:, None] > LOGGED[segment].cumsum(axis=1)).sum(axis=1), 3)
    reward = (rng.random(rows) < MEANS[segment, action]).astype(float)
    table = pd.DataFrame(
        {
            "user": np.arange(rows) // per_user,
            "segment": [f"s{s}" for s in segment],
            "action": [ACTIONS[a] for a in action],
            "p": LOGGED[segment, action],
            "reward": reward,
            "best": [ACTIONS[a] for a in MEANS[segment].argmax(axis=1)],
            "worst": [ACTIONS[a] for a in MEANS[segment].argmin(axis=1)],
        }
    )
    for code, name in enumerate(ACTIONS):
        table[f"p_{name}"] = WANTED[segment, code]
    table["p_logged"] = WANTED[segment, action]
    return table


def written(by: np.ndarray, folder, name: str) -> str:
    rows = [
        {"segment": f"s{s}", "action": a, "propensity": by[s, code]}
        for s in range(SEGMENTS)
        for code, a in enumerate(ACTIONS)
    ]
    path = str(folder / name)
    pd.DataFrame(rows).to_parquet(path)
    return path


COLUMNS = {name: f"p_{name}" for name in ACTIONS}
POLICIES = {"wanted": {"chances": COLUMNS}, "best": {"action": "best"}, "b": {"always": "b"}}
KEYS = {"action": "action", "rewards": "reward", "propensity": "p", "user": "user"}
TRUTH = {
    "wanted": (WANTED * MEANS).sum(axis=1).mean(),
    "best": MEANS.max(axis=1).mean(),
    "b": MEANS[:, 1].mean(),
    "worst": MEANS.min(axis=1).mean(),
    "uniform": MEANS.mean(),
}


@pytest.fixture(scope="module")
def result():
    others = {"worst": {"action": "worst"}, "uniform": {"uniform": True}, "now": {"logging": True}}
    return tl.evaluate_policies(
        bandit_log(12_000), **KEYS, policies=POLICIES | others, context=["segment"]
    )


@pytest.mark.parametrize("policy", TRUTH)
@pytest.mark.parametrize("estimator", ["IPS", "SNIPS", "DR", "SNDR", "MRDR"])
def test_estimates_lie_near_the_true_value(result, policy, estimator):
    row = next(e for e in result.estimates if (e.policy, e.estimator) == (policy, estimator))
    assert abs(row.estimate - TRUTH[policy]) < 3.5 * row.standard_error
    assert row.ci_lower < row.estimate < row.ci_upper


def test_a_reward_model_makes_the_interval_shorter(result):
    errors = {e.estimator: e.standard_error for e in result.estimates if e.policy == "best"}
    assert errors["DR"] < 0.8 * errors["IPS"]


def test_the_present_policy_is_worth_the_mean_reward(result):
    now = result.value("now", "reward")
    assert now.value == pytest.approx(bandit_log(12_000)["reward"].mean())
    assert now.difference == 0.0 and not now.ships


def test_the_best_policy_ships_and_a_worse_one_does_not(result):
    assert result.value("best", "reward").ships
    assert result.value("best", "reward").band_lower > 0
    worst = result.value("worst", "reward")
    assert not worst.ships and worst.ci_upper < 0


def test_a_margin_that_is_not_reached_keeps_a_policy_back():
    found = tl.evaluate_policies(bandit_log(4_000), **KEYS, policies=POLICIES, margin=0.5)
    value = found.value("best", "reward")
    assert not value.ships and "does not exceed the margin of 0.5" in value.reason


def test_bounds_are_in_the_order_of_what_they_promise(result):
    for value in result.values:
        if value.policy == "now":
            continue
        assert value.anytime_lower < value.band_lower < value.difference
        assert value.bernstein_lower < value.value
    for e in result.estimates:
        if e.band_lower is not None:
            assert e.band_upper - e.band_lower > 2 * 1.96 * e.standard_error


def test_one_way_to_name_a_policy_gives_the_numbers_of_another(tmp_path):
    log = bandit_log(3_000)
    table = {"table": written(WANTED, tmp_path, "wanted.parquet"), "by": ["segment"]}
    ways = {"columns": {"chances": COLUMNS}, "table": {"table": table}}
    found = tl.evaluate_policies(log, **KEYS, policies=ways, context=["segment"]).to_pandas()
    one, other = (found[found.policy == name] for name in ways)
    np.testing.assert_allclose(one["estimate"], other["estimate"], rtol=1e-10)
    np.testing.assert_allclose(one["standard_error"], other["standard_error"], rtol=1e-7)


def test_the_chance_of_the_logged_action_alone_serves_estimators_without_a_model():
    log = bandit_log(3_000)
    policies = {"wanted": {"chances": COLUMNS}, "alone": {"logged_chance": "p_logged"}}
    found = tl.evaluate_policies(log, **KEYS, policies=policies, context=["segment"]).to_pandas()
    alone = found[found.policy == "alone"]
    assert set(alone.estimator) == {"IPS", "clipped IPS", "SNIPS"}
    wanted = found[(found.policy == "wanted") & found.estimator.isin(alone.estimator)]
    np.testing.assert_allclose(alone["estimate"], wanted["estimate"], rtol=1e-12)


def test_exploring_mixes_a_policy_with_the_uniform_one():
    log = bandit_log(3_000)
    policies = {
        "b": {"always": "b"},
        "u": {"uniform": True},
        "mix": {"always": "b", "explore": 0.2},
    }
    found = tl.evaluate_policies(log, **KEYS, policies=policies, context=["segment"])
    for name in ("IPS", "DM", "DR"):
        by = {e.policy: e.estimate for e in found.estimates if e.estimator == name}
        assert by["mix"] == pytest.approx(0.8 * by["b"] + 0.2 * by["u"], rel=1e-10)


def test_propensities_may_stand_in_a_table_or_be_shares_of_counts(tmp_path):
    log = bandit_log(6_000)
    keys = {k: v for k, v in KEYS.items() if k != "propensity"}
    table = {"table": written(LOGGED, tmp_path, "logged.parquet"), "by": ["segment"]}
    logged = tl.evaluate_policies(log, **KEYS, policies=POLICIES, estimators=["IPS"])
    by_table = tl.evaluate_policies(
        log, **keys, policies=POLICIES, estimators=["IPS"], propensity_table=table
    )
    counts = tl.evaluate_policies(
        log, **keys, policies=POLICIES, estimators=["IPS"], propensity_by="segment"
    )
    for one, other, third in zip(
        logged.estimates, by_table.estimates, counts.estimates, strict=True
    ):
        assert other.estimate == pytest.approx(one.estimate, rel=1e-10)
        assert abs(third.estimate - TRUTH[one.policy]) < 0.05


def test_shares_of_counts_are_the_shares(tmp_path):
    log = bandit_log(2_000)
    keys = {k: v for k, v in KEYS.items() if k != "propensity"}
    found = tl.evaluate_policies(
        log, **keys, policies={"b": {"always": "b"}}, estimators=["IPS"], propensity_by="segment"
    )
    share = log.groupby("segment").action.value_counts(normalize=True)
    p = share.loc[list(zip(log.segment, log.action, strict=True))].to_numpy()
    w = (log.action == "b").to_numpy() / p
    expected = plain_estimate("IPS", None, w, log.reward.to_numpy(), None, None)
    assert found.estimates[0].estimate == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("buckets", [5, 17])
def test_estimates_without_a_model_do_not_depend_on_the_number_of_buckets(buckets):
    log = bandit_log(2_000)
    one = tl.evaluate_policies(log, **KEYS, policies=POLICIES, estimators=["SNIPS", "clipped IPS"])
    other = tl.evaluate_policies(
        log.sample(frac=1, random_state=0), **KEYS, policies=POLICIES,
        estimators=["SNIPS", "clipped IPS"], buckets=buckets,
    )  # fmt: skip
    for a, b in zip(one.estimates, other.estimates, strict=True):
        assert b.estimate == pytest.approx(a.estimate, rel=1e-10)
        assert b.standard_error == pytest.approx(a.standard_error, rel=1e-8)


def test_actions_may_be_numbers_truth_values_or_texts():
    log = bandit_log(1_500)
    numbers = {name: code + 3 for code, name in enumerate(ACTIONS)}
    coded = log.assign(action=log.action.map(numbers), best=log.best.map(numbers).astype(float))
    one = tl.evaluate_policies(
        log, **KEYS, policies={"x": {"action": "best"}}, estimators=["SNIPS"]
    )
    other = tl.evaluate_policies(
        coded, **KEYS, policies={"x": {"action": "best"}}, estimators=["SNIPS"]
    )
    assert one.estimates[0].estimate == other.estimates[0].estimate


def test_several_rewards_are_told_apart():
    log = bandit_log(1_500).assign(value=lambda t: 7.0 * t.reward)
    found = tl.evaluate_policies(
        log, **{**KEYS, "rewards": ["reward", "value"]}, policies=POLICIES, context=["segment"]
    )
    by = {(e.reward, e.policy): e.estimate for e in found.estimates if e.estimator == "DR"}
    for policy in POLICIES:
        assert by["value", policy] == pytest.approx(7 * by["reward", policy], rel=1e-9)


def test_ten_thousand_actions_need_nothing_of_rows_by_actions():
    rng = np.random.default_rng(0)
    rows, actions = 20_000, 10_000
    log = pd.DataFrame({"action": rng.integers(0, actions, rows), "p": 1 / actions})
    log["reward"] = (rng.random(rows) < 0.1).astype(float)
    log["x"] = rng.normal(size=rows)
    found = tl.evaluate_policies(
        log, action="action", rewards="reward", propensity="p", context=["x"],
        policies={"u": {"uniform": True}, "seven": {"always": "7"}},
        estimators=["IPS", "SNIPS", "DM", "DR"],
        actions=[str(a) for a in range(actions)],
    )  # fmt: skip
    uniform = next(e for e in found.estimates if (e.policy, e.estimator) == ("u", "DR"))
    assert uniform.estimate == pytest.approx(log.reward.mean(), abs=0.01)
    assert found.actions == actions


def test_the_result_says_who_ships_and_shows_the_sweep(result):
    text = str(result)
    assert "best earns" in text and "Ships: its lower bound" in text
    assert "500: " in text and "sub-Gaussian DR" in text
    frame = result.to_pandas()
    assert len(frame) == 6 * 46 and set(frame.support) == {"supported"}
    assert frame.groupby("policy").selected.sum().eq(1).all()
