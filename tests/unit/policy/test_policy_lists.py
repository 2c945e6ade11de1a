"""Lists in a bandit log: values of whole lists from rows of slots."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

import truelift as tl
from truelift.errors import ConfigError, DataError
from truelift.policy.off_policy.slates import slate_state, slate_values

ITEMS, SLOTS = ["a", "b", "c"], 2
LOGGED = {1: [0.5, 0.3, 0.2], 2: [0.2, 0.4, 0.4]}
WANTED = {1: [0.2, 0.3, 0.5], 2: [0.5, 0.25, 0.25]}
OWN = {1: [0.6, 0.3, 0.1], 2: [0.5, 0.3, 0.2]}


def mean_reward(slot: int, above: int, item: int) -> float:
    """Of a slot; the second one's suffers where the first is of the same item."""
    return OWN[slot][item] * (0.0 if slot == 2 and above == item else 1.0)


def truth(chances: dict[int, list[float]]) -> float:
    return sum(
        chances[1][i] * chances[2][k] * (mean_reward(1, -1, i) + mean_reward(2, i, k))
        for i, k in itertools.product(range(3), range(3))
    )


def log(lists: int = 12_000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    top, low = (rng.choice(3, lists, p=LOGGED[s]) for s in (1, 2))
    parts = []
    for slot, item in ((1, top), (2, low)):
        mean = [mean_reward(slot, a, i) for a, i in zip(top, item, strict=True)]
        parts.append(
            pd.DataFrame(
                {
                    "list": np.arange(lists), "user": np.arange(lists) // 4, "slot": slot,
                    "item": np.array(ITEMS)[item], "p": np.array(LOGGED[slot])[item],
                    "click": (rng.random(lists) < mean) * 1.0,
                    "p_new": np.array(WANTED[slot])[item],
                }
            )
        )  # fmt: skip
    return pd.concat(parts).sample(frac=1, random_state=seed, ignore_index=True)


@pytest.fixture
def wanted(tmp_path):
    rows = [
        {"slot": s, "item": i, "share": p}
        for s in (1, 2)
        for i, p in zip(ITEMS, WANTED[s], strict=True)
    ]
    pd.DataFrame(rows).to_parquet(tmp_path / "wanted.parquet")
    table = {"table": str(tmp_path / "wanted.parquet"), "by": ["slot"], "action": "item"}
    return {"table": table | {"chance": "share"}}


KEYS = {
    "action": "item", "rewards": "click", "user": "user", "propensity": "p", "position": "slot",
    "slate": "list",
}  # fmt: skip


def by_name(result, policy: str = "new") -> dict:
    return {e.estimator: e for e in result.lists if e.policy == policy}


def test_estimators_whose_assumption_holds_find_the_value_of_a_list(wanted):
    result = tl.evaluate_policies(log(), **KEYS, policies={"new": wanted})
    found = by_name(result)
    for name in ("SIPS", "RIPS", "SNSIPS", "SNRIPS", "cascade-DR"):
        assert abs(found[name].estimate - truth(WANTED)) < 3 * found[name].standard_error, name
    assert abs(found["IIPS"].estimate - truth(WANTED)) > 3 * found["IIPS"].standard_error
    gain = truth(WANTED) - truth(LOGGED)
    assert found["cascade-DR"].difference_lower < gain < found["cascade-DR"].difference_upper
    assert found["cascade-DR"].standard_error < found["SIPS"].standard_error


def test_rows_in_any_order_are_put_into_their_lists(wanted):
    rows = log(800)
    result = tl.evaluate_policies(rows, **KEYS, policies={"new": wanted})
    sorted_rows = rows.sort_values(["list", "slot"])
    w = (sorted_rows.p_new / sorted_rows.p).to_numpy().reshape(-1, SLOTS)
    r = sorted_rows.click.to_numpy().reshape(-1, SLOTS)
    users = sorted_rows.user.to_numpy().reshape(-1, SLOTS)[:, 0].astype(np.uint64)
    values = slate_values(slate_state(users, w, r))
    found = by_name(result)
    for name, estimate, error in zip(
        values.names[:-1], values.estimates, values.standard_errors, strict=False
    ):
        assert found[name].estimate == pytest.approx(estimate, rel=1e-12)
        assert found[name].standard_error == pytest.approx(error, rel=1e-9)
    assert result.list_worth[0] == pytest.approx(
        w.prod(axis=1).sum() ** 2 / (w.prod(axis=1) ** 2).sum()
    )


def test_the_logging_policy_earns_what_its_lists_earned():
    result = tl.evaluate_policies(log(500), **KEYS, policies={"now": {"logging": True}})
    for e in result.lists:
        assert e.difference == pytest.approx(0.0, abs=0.05 if e.estimator == "cascade-DR" else 1e-9)
    assert "a whole list" in str(result)


def test_a_policy_known_by_its_logged_chance_has_no_predictions():
    policies = {"new": {"logged_chance": "p_new"}}
    found = by_name(tl.evaluate_policies(log(2000), **KEYS, policies=policies))
    assert "SIPS" in found and "cascade-DR" not in found


def test_without_a_user_each_list_stands_for_itself(wanted):
    keys = {k: v for k, v in KEYS.items() if k != "user"}
    result = tl.evaluate_policies(log(600), **keys, policies={"new": wanted})
    assert result.users == 600


def test_a_shorter_list_counts_what_it_has(wanted):
    rows = log(600)
    short = rows[~((rows.slot == 2) & (rows.list % 3 == 0))]
    full = rows.copy()
    cut = (full.slot == 2) & (full.list % 3 == 0)
    result = tl.evaluate_policies(short, **KEYS, policies={"new": wanted})
    w = np.where(cut, 1.0, full.p_new / full.p)
    r = np.where(cut, 0.0, full.click)
    ordered = full.assign(w=w, r=r).sort_values(["list", "slot"])
    expected = np.mean(
        ordered.w.to_numpy().reshape(-1, 2).prod(axis=1)
        * ordered.r.to_numpy().reshape(-1, 2).sum(axis=1)
    )
    assert by_name(result)["SIPS"].estimate == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda rows: rows.assign(slot=1), DataError, "share it with another row of their list"),
        (lambda rows: rows.assign(slot="top"), DataError, "found 'top', expected the slots"),
        (lambda rows: rows.assign(slot=np.arange(len(rows))), DataError, "expected 1 to 50"),
    ],
)
def test_lists_that_cannot_be_used_are_named(wanted, change, error, said):
    policies = {"new": {"logged_chance": "p_new"}}
    with pytest.raises(error, match=said):
        tl.evaluate_policies(change(log(200)), **KEYS, policies=policies)


def test_lists_need_a_place():
    with pytest.raises(ConfigError, match="slate: found without position"):
        tl.evaluate_policies(
            log(50), **{**KEYS, "position": None}, policies={"x": {"uniform": True}}
        )
