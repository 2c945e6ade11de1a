"""Weights of groups of actions: right where actions act through their group, alone or beside a model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import truelift as tl
from truelift.errors import ConfigError, DataError, TableError

ACTIONS, GROUPS = 200, 5
ITEMS = [f"i{k:03d}" for k in range(ACTIONS)]
OF_ITEM = np.arange(ACTIONS) % GROUPS
MEANS = np.array([0.1, 0.2, 0.3, 0.5, 0.8])


def chances(seed: int, by_group: np.ndarray) -> np.ndarray:
    """Chances of the items: the group's share, dealt out unevenly within it."""
    within = np.random.default_rng(seed).gamma(0.5, 1.0, ACTIONS) + 1e-2
    within *= np.where(np.arange(ACTIONS) < ACTIONS / 2, seed**2, 1.0)
    whole = np.bincount(OF_ITEM, within, GROUPS)
    return by_group[OF_ITEM] * within / whole[OF_ITEM]


LOGGED = chances(1, np.array([0.3, 0.25, 0.2, 0.15, 0.1]))
TARGET = chances(2, np.array([0.1, 0.1, 0.2, 0.3, 0.3]))
TRUTH = float(np.array([0.1, 0.1, 0.2, 0.3, 0.3]) @ MEANS)


@pytest.fixture
def tables(tmp_path):
    pd.DataFrame({"item": ITEMS, "kind": [f"g{g}" for g in OF_ITEM]}).to_parquet(
        tmp_path / "items.parquet"
    )
    for name, share in (("logged", LOGGED), ("target", TARGET)):
        pd.DataFrame({"item": ITEMS, "share": share}).to_parquet(tmp_path / f"{name}.parquet")
    return tmp_path


def log(rows: int = 20_000, within: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """``within`` is how far rewards differ between the items of a group."""
    rng = np.random.default_rng(seed)
    item = rng.choice(ACTIONS, rows, p=LOGGED)
    mean = MEANS[OF_ITEM[item]] + within * np.where(item < ACTIONS / 2, 0.1, -0.1)
    group = np.bincount(OF_ITEM, LOGGED)[OF_ITEM[item]]
    return pd.DataFrame(
        {
            "item": np.array(ITEMS)[item], "reward": (rng.random(rows) < mean) * 1.0,
            "p": LOGGED[item], "p_group": group, "user": np.arange(rows) % 5000,
        }
    )  # fmt: skip


def groups(tables, **more) -> dict:
    return {"table": str(tables / "items.parquet"), "action": "item", "group": "kind"} | more


def target(tables) -> dict:
    return {"table": {"table": str(tables / "target.parquet"), "action": "item", "chance": "share"}}


def evaluated(tables, rows: pd.DataFrame, **more):
    given = {
        "action": "item", "rewards": "reward", "user": "user", "propensity": "p", "actions": ITEMS,
        "groups": groups(tables, propensity="p_group"), "policies": {"new": target(tables)},
    } | more  # fmt: skip
    return tl.evaluate_policies(rows, **given)


def of(result, name: str, policy: str = "new"):
    return next(e for e in result.estimates if (e.estimator, e.policy) == (name, policy))


def test_groups_find_the_value_with_a_fraction_of_the_variance(tables):
    result = evaluated(tables, log())
    plain, grouped = of(result, "IPS"), of(result, "MIPS")
    assert abs(grouped.estimate - TRUTH) < 3 * grouped.standard_error
    assert grouped.standard_error < plain.standard_error / 2
    assert of(result, "OffCEM").ci_lower < TRUTH < of(result, "OffCEM").ci_upper


def test_the_weight_is_the_policys_chance_of_the_group_by_the_logs(tables):
    rows = log(500)
    result = evaluated(tables, rows)
    of_row = rows.item.str[1:].astype(int).to_numpy() % GROUPS
    w = np.bincount(OF_ITEM, TARGET)[of_row] / rows.p_group
    assert of(result, "MIPS").estimate == pytest.approx(float((w * rows.reward).mean()), rel=1e-12)


def test_chances_of_the_groups_follow_from_those_of_all_actions(tables):
    rows = log(2000)
    table = {"table": str(tables / "logged.parquet"), "action": "item", "chance": "share"}
    from_table = evaluated(
        tables, rows, propensity=None, propensity_table=table, groups=groups(tables)
    )
    assert of(from_table, "MIPS").estimate == pytest.approx(
        of(evaluated(tables, rows), "MIPS").estimate, rel=1e-9
    )


@pytest.mark.parametrize(
    "policy",
    [
        {"always": "i004"}, {"uniform": True}, {"logging": True}, {"action": "proposed"},
        {"chances": {"i003": "p3", "i004": "p4"}}, {"always": "i004", "explore": 0.25},
    ],
)  # fmt: skip
def test_every_way_to_name_a_policy_gives_the_chance_of_its_groups(tables, policy):
    rows = log(3000).assign(proposed="i003", p3=0.4, p4=0.6)
    by_group = {
        "always": np.eye(GROUPS)[4], "uniform": np.full(GROUPS, 0.2), "action": np.eye(GROUPS)[3],
        "logging": np.bincount(OF_ITEM, LOGGED), "chances": np.array([0, 0, 0, 0.4, 0.6]),
    }[next(iter(policy))]  # fmt: skip
    share = policy.get("explore", 0.0)
    by_group = (1 - share) * by_group + share * 0.2
    of_row = rows.item.str[1:].astype(int).to_numpy() % GROUPS
    expected = float((by_group[of_row] / rows.p_group * rows.reward).mean())
    found = of(evaluated(tables, rows, policies={"new": policy}), "MIPS").estimate
    assert found == pytest.approx(expected, rel=1e-12)


def test_a_model_makes_up_for_what_differs_within_groups(tables):
    # Half of each group's items earn .2 more than the others, and the policies deal them out
    # differently: the mean of groups alone is off, the one with a model of the items is not.
    first = np.arange(ACTIONS) < ACTIONS / 2
    truth = float(TARGET @ (MEANS[OF_ITEM] + np.where(first, 0.1, -0.1)))
    result = evaluated(tables, log(60_000, within=1.0))
    alone, modelled = of(result, "MIPS"), of(result, "OffCEM")
    assert abs(alone.estimate - truth) > 3 * alone.standard_error
    assert abs(modelled.estimate - truth) < abs(alone.estimate - truth) / 3


def test_a_policy_known_by_its_logged_chance_alone_has_no_chance_of_a_group(tables):
    rows = log(500).assign(p_new=0.1)
    result = evaluated(tables, rows, policies={"new": {"logged_chance": "p_new"}})
    assert "MIPS" not in {e.estimator for e in result.estimates}


def test_without_groups_nobody_asks_for_them(tables):
    result = evaluated(tables, log(500), groups=None)
    assert not {"MIPS", "OffCEM"} & {e.estimator for e in result.estimates}


@pytest.mark.parametrize(
    ("more", "error", "said"),
    [
        ({"groups": None, "estimators": ["MIPS"]}, ConfigError, "found MIPS without groups"),
        ({"groups": "no column"}, ConfigError, "groups.propensity: found none"),
        ({"groups": "kinds"}, TableError, "has no column 'kinds'"),
        ({"groups": "p"}, None, None),
        ({"groups": "small"}, DataError, "at least that of the action"),
    ],
)
def test_groups_that_cannot_be_used_are_named(tables, more, error, said):
    rows = log(400).assign(small=1e-9)
    kinds = {
        "no column": groups(tables), "kinds": groups(tables, group="kinds", propensity="p_group"),
        "p": groups(tables, propensity="p"), "small": groups(tables, propensity="small"),
    }  # fmt: skip
    given = {k: kinds.get(v, v) if isinstance(v, str) else v for k, v in more.items()}
    if error is None:  # a group of its own for every action is nothing wrong
        assert of(evaluated(tables, rows, **given), "MIPS").estimate > 0
        return
    with pytest.raises(error, match=said):
        evaluated(tables, rows, **given)


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (pd.DataFrame({"item": ITEMS[1:], "kind": "a"}), "has no 'kind' for 'i000'"),
        (pd.DataFrame({"item": [*ITEMS, "i000"], "kind": "a"}), "several rows of one 'item'"),
    ],
)
def test_every_action_has_one_group(tables, items, said):
    items.to_parquet(tables / "items.parquet")
    rows = log(2000).assign(item=lambda t: np.where(t.index == 0, "i000", t.item))
    with pytest.raises(DataError, match=said):
        evaluated(tables, rows)
