"""What a bandit log, a policy or an option cannot be: one message, exit code 2."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
import yaml

import truelift as tl
from truelift.cli import main
from truelift.errors import TrueliftError

COMMAND = "truelift.commands.evaluate_policies"


def log(**changes) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = 400
    table = {
        "user": np.arange(rows) // 2, "action": rng.choice(["a", "b"], rows), "p": 0.5,
        "reward": (rng.random(rows) < 0.3).astype(float), "to": "a", "p_a": 0.3, "p_b": 0.7,
    }  # fmt: skip
    return pd.DataFrame(table | changes)


KEYS = {"action": "action", "rewards": "reward", "propensity": "p", "user": "user"}


def refused(table: pd.DataFrame | str, **options) -> str:
    keys = KEYS | {"policies": {"x": {"action": "to"}}, "estimators": ["IPS"]} | options
    with pytest.raises(TrueliftError) as caught:
        tl.evaluate_policies(table, **keys)
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize("value", [0.0, -0.1, 1.2, np.nan])
def test_propensities_outside_of_zero_to_one_are_counted(value):
    said = refused(log(p=[value] * 3 + [0.5] * 397))
    assert "column 'p'" in said and "3 of 400 rows" in said


def test_chances_of_a_policy_that_do_not_add_up_are_counted():
    policies = {"x": {"chances": {"a": "p_a", "b": "p_b"}}}
    said = refused(log(p_b=0.6), policies=policies)
    assert "policies.x" in said and "do not add up in 400 of 400 rows" in said


def test_propensities_in_a_table_that_do_not_add_up_are_refused(tmp_path):
    path = str(tmp_path / "p.csv")
    pd.DataFrame({"action": ["a", "b"], "propensity": [0.5, 0.4]}).to_csv(path, index=False)
    said = refused(log(), propensity=None, propensity_table={"table": path})
    assert "do not add up to 1 (the first to 0.9)" in said


@pytest.mark.parametrize(
    "policy",
    [{"action": "to"}, {"always": "zebra"}, {"chances": {"a": "p_a", "zebra": "p_b"}}],
)
def test_a_policy_that_names_an_unknown_action_is_refused(policy):
    said = refused(log(to=["zebra"] * 5 + ["a"] * 395), policies={"x": policy})
    assert "policies.x" in said and "'zebra'" in said and "'actions' lists" in said


def test_a_listed_action_that_was_never_logged_is_missing_support_instead():
    found = tl.evaluate_policies(
        log(), **KEYS, policies={"x": {"always": "zebra"}}, actions=["zebra"], estimators=["IPS"]
    )
    assert found.exit_code == 3 and not found.supported


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_missing_rewards_are_counted(value):
    said = refused(log(reward=[value] * 7 + [1.0] * 393))
    assert "column 'reward'" in said and "missing in 7 of 400 rows" in said


@pytest.mark.parametrize("value", [0.0, 1.0, 7.5])
def test_a_reward_of_one_value_is_refused(value):
    assert f"'reward': the reward is {value:g} in every row" in refused(log(reward=value))


@pytest.mark.parametrize("model", ["by action", "additive"])
def test_a_context_that_tells_the_reward_is_refused_where_a_model_would_use_it(model):
    rng = np.random.default_rng(1)
    table = log(age=rng.normal(size=400))
    table["clicked"] = table.reward * 2 + 0.05 * rng.normal(size=400)
    keys = {"context": ["age", "clicked"], "reward_model": model}
    said = refused(table, **keys, estimators=["DR"])
    assert "age, clicked explain 9" in said and "measured after the action" in said
    policies = {"x": {"action": "to"}}
    assert tl.evaluate_policies(table, **KEYS, **keys, policies=policies, estimators=["IPS"])
    table["clicked"] = table.reward + rng.normal(size=400)  # a good forecast
    assert tl.evaluate_policies(table, **KEYS, **keys, policies=policies, estimators=["DR"])


def test_missing_actions_and_users_are_counted():
    assert "no action in 2 of 400 rows" in refused(log(action=[None] * 2 + ["a"] * 398))
    assert "no user in 4 of 400 rows" in refused(log(user=[None] * 4 + ["u"] * 396))
    assert "no action in 1 of 400 rows" in refused(log(to=[None] + ["a"] * 399))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"propensity": "pp"}, "no column 'pp'"),
        ({"policies": {"x": {"action": "too"}}}, "Did you mean 'to'"),
        ({"rewards": "action"}, "expected numbers (rewards)"),
        ({"policies": {"x": {}}}, "expected one of action, always"),
        ({"policies": {"x": {"action": "to", "uniform": True}}}, "action and uniform"),
        ({"policies": {"x": {"acton": "to"}}}, "Did you mean 'policies.x.action'"),
        ({"policies": {}}, "policies: found none"),
        ({"propensity": None}, "0 ways to know"),
        ({"estimators": ["IPX"]}, "'IPX'"),
        ({"select": "DR"}, "which estimators does not have"),
        ({"tuning": {"DRos": [-1.0]}}, "tuning.DRos"),
        ({"tuning": {"IPS": [1.0]}}, "expected some of clipped IPS"),
        ({"margin": -1.0}, "margin"),
        ({"reward_range": [1.0, 0.0]}, "reward_range"),
        ({"buckets": 2}, "at least folds"),
        ({"confidence": 95.0}, "confidence"),
    ],
)
def test_an_option_that_cannot_be_is_named(options, said):
    assert said in refused(log(), **options)


def test_a_log_without_rows_is_refused():
    assert "no action" in refused(log().iloc[:0])


def test_models_too_large_for_the_sums_are_refused_with_a_way_on():
    rows = 3000
    table = log().sample(rows, replace=True, random_state=0).assign(action=np.arange(rows))
    policies = {f"p{i}": {"uniform": True} for i in range(60)}
    said = refused(table, policies=policies, estimators=["MRDR"], context=["user", "to"])
    assert "Leave MRDR" in said


@pytest.fixture
def spec(tmp_path):
    def write(**changes) -> str:
        place = tmp_path / "spec.yaml"
        keys = {**KEYS, "rewards": ["reward"], "policies": {"x": {"action": "to"}}}
        place.write_text(yaml.safe_dump({**keys, **changes}))
        return str(place)

    return write


def test_the_command_names_a_key_that_there_is_not(spec, capsys):
    assert main(["evaluate_policies", "--log", "x", "--spec", spec(polices={})]) == 2
    error = capsys.readouterr().err
    assert "'polices'" in error and error.count("\n") == 1


def test_the_command_ends_with_what_its_result_says(spec, capsys, monkeypatch):
    found = tl.evaluate_policies(
        log(), **KEYS, policies={"x": {"always": "z"}}, actions=["z"], estimators=["IPS"]
    )
    monkeypatch.setattr(f"{COMMAND}.tool_job", lambda *words, **more: nullcontext())
    monkeypatch.setattr("truelift.policy.off_policy.job.evaluate_policies", lambda *words: found)
    assert main(["evaluate_policies", "--log", "x", "--spec", spec()]) == 3
    assert "not supported by the log" in capsys.readouterr().out
