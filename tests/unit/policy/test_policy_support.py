from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import truelift as tl
from truelift.policy.off_policy.support import exploration_plan, tail_index, weight_state


def evaluated(log: pd.DataFrame, **policies):
    return tl.evaluate_policies(
        log, action="action", rewards="reward", propensity="p", policies=policies, estimators=["IPS", "SNIPS"]
    )  # fmt: skip


def even(rows: int = 4000, actions: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = {"action": rng.integers(0, actions, rows), "p": 1 / actions}
    return pd.DataFrame(table).assign(reward=rng.random(rows), to=0)


def test_a_log_at_random_supports_everything():
    found = evaluated(even(), x={"action": "to"}, u={"uniform": True})
    assert {s.verdict for s in found.support} == {"supported"} and found.exit_code == 0
    assert found.verdict("x").effective_rows == pytest.approx((even().action == 0).sum())
    assert found.verdict("x").largest_weight == 4.0


def test_a_deterministic_log_cannot_be_evaluated_and_says_what_to_log():
    log = even().assign(p=1.0, action=lambda t: t.index % 4)
    found = evaluated(log, x={"action": "to"})
    said = found.verdict("x").reason
    assert found.exit_code == 3 and "cannot be evaluated" in said and "75.0% of the rounds" in said
    (plan,) = found.plans
    assert plan.rounds > 0 and plan.price > 0
    assert not found.value("x", "reward").ships
    assert str(plan) in str(found)


def test_a_deterministic_log_supports_what_it_did():
    log = even().assign(p=1.0, action=0)
    assert evaluated(log, x={"action": "to"}).verdict("x").verdict == "supported"


def test_mass_that_the_log_never_has_is_measured():
    log = even().assign(to=lambda t: np.where(t.index % 5 == 0, 9, 0), action=lambda t: t.action)
    log.loc[0, "action"], log.loc[0, "p"] = 9, 1.0
    found = evaluated(log, x={"action": "to"}).verdict("x")
    assert found.verdict == "not supported"
    assert found.missing_mass == pytest.approx(0.2, abs=3 * found.missing_mass_error + 0.01)


def test_few_effective_rows_are_no_support():
    log = even(rows=4000, actions=100)
    found = evaluated(log, x={"action": "to"}).verdict("x")
    assert found.verdict == "not supported" and "worth" in found.reason


def test_wrong_propensities_show_in_the_mean_weight():
    found = evaluated(even().assign(p=0.2), x={"action": "to"}).verdict("x")
    assert found.verdict == "weak" and "not those of the log" in found.reason


def test_the_tail_of_the_weights_is_hills_index():
    rng = np.random.default_rng(0)
    for index in (0.3, 0.5, 0.9):
        w = rng.pareto(1 / index, (200_000, 1)) + 1
        state = weight_state(w, np.full(len(w), 0.5), np.zeros(1))
        ordered = np.sort(w[:, 0])[::-1][:2001]
        hill = np.log(ordered[:-1] / ordered[-1]).mean()
        assert tail_index(state["weight_bins"][0]) == pytest.approx(hill, rel=0.05)
        assert hill == pytest.approx(index, rel=0.1)


def test_equal_weights_have_no_tail():
    state = weight_state(np.full((5000, 1), 3.0), np.full(5000, 0.5), np.zeros(1))
    assert tail_index(state["weight_bins"][0]) < 0.05


def test_an_exploration_plan_reaches_its_width():
    # Rewards of zero and one, followed one time in twenty: simulated, the interval is as wide as said.
    plan = exploration_plan("x", 0.3, 0.3, 0.0, 0.03, 1.96)
    rng = np.random.default_rng(1)
    estimates = []
    for _ in range(300):
        taken = rng.random(plan.rounds) < plan.share
        estimates.append(np.sum((rng.random(plan.rounds) < 0.3)[taken]) / plan.share / plan.rounds)
    assert 1.96 * np.std(estimates) == pytest.approx(0.03, rel=0.15)
    assert plan.price == pytest.approx(0.05 * plan.rounds * 0.3)
