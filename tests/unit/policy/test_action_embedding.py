"""Groups from an embedding of items: cells of several columns, clusters of numbers, weights that are learned."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import truelift as tl
from truelift.errors import ConfigError, DataError, TableError
from truelift.policy.off_policy.embedding import clusters_of, groups_of_actions
from truelift.policy.off_policy.spec import GroupTable

ACTIONS = 60
ITEMS = [f"i{k:02d}" for k in range(ACTIONS)]
KIND, PRICE = np.arange(ACTIONS) % 3, np.arange(ACTIONS) // 3 % 2
CELL = KIND * 2 + PRICE


@pytest.fixture
def items(tmp_path):
    rng = np.random.default_rng(5)
    centres = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    numbers = centres[KIND] + rng.normal(size=(ACTIONS, 2))
    frame = pd.DataFrame(
        {"item": ITEMS, "kind": [f"k{k}" for k in KIND], "price": PRICE, "u": numbers[:, 0], "v": 100 * numbers[:, 1]}
    )  # fmt: skip
    frame.sample(frac=1, random_state=2).to_parquet(tmp_path / "items.parquet")
    return str(tmp_path / "items.parquet")


def softmax(scores: np.ndarray) -> np.ndarray:
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def world(rows: int, seed: int = 0, rate: float = 0.05):
    """Rewards by context and cell alone; both policies' chances of all items, by row.

    Within a cell the rate is linear in the context and weights are not.
    """
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, rows)
    fixed = np.random.default_rng(1).normal(size=(3, ACTIONS))
    logged = softmax(0.7 * fixed[0] + 0.5 * np.outer(x, fixed[2]))
    new = softmax(0.7 * fixed[0] + 1.2 * fixed[1] - 0.5 * np.outer(x, fixed[2]) + 0.6 * CELL)
    means = rate * (1 + 0.3 * CELL[None, :] + 0.6 * x[:, None] * (CELL[None, :] - 2.5) / 2.5)
    item = (logged.cumsum(axis=1) < rng.random(rows)[:, None]).sum(axis=1).clip(max=ACTIONS - 1)
    at = np.arange(rows)
    frame = pd.DataFrame(
        {
            "item": np.array(ITEMS)[item], "x": x, "p": logged[at, item], "p_new": new[at, item],
            "r": (rng.random(rows) < means[at, item]) * 1.0, "user": at // 4,
        }
    )  # fmt: skip
    return frame, logged, new, (new * means).sum(axis=1)


def evaluated(frame, **more):
    given = {
        "action": "item", "rewards": "r", "user": "user", "propensity": "p", "actions": ITEMS,
        "context": "x", "estimators": ["IPS", "MIPS"], "policies": {"new": {"logged_chance": "p_new"}},
    } | more  # fmt: skip
    return tl.evaluate_policies(frame, **given)


def of(result, name: str):
    return next(e for e in result.estimates if e.estimator == name)


def test_a_group_is_a_combination_of_values(items):
    found = groups_of_actions(GroupTable(items, "item", ("kind", "price")), pa.array(ITEMS))
    assert len(set(found)) == 6
    assert len(set(zip(found, CELL, strict=True))) == 6  # the same parts, whatever their numbers


def test_clusters_are_those_of_the_numbers_whatever_their_units_and_order(items):
    found = groups_of_actions(GroupTable(items, "item", ("u", "v"), 3), pa.array(ITEMS))
    assert len(set(zip(found, KIND, strict=True))) == 3


def test_clusters_have_the_least_distances_that_any_assignment_has():
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(9, 2))
    scaled = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)

    def within(of: np.ndarray) -> float:
        return sum(
            ((scaled[of == g] - scaled[of == g].mean(axis=0)) ** 2).sum() for g in set(of.tolist())
        )

    best = min(within(np.array([int(b) for b in f"{code:09b}"])) for code in range(1, 2**8))
    assert within(clusters_of(numbers, 2, "items")) == pytest.approx(best)


def test_weights_of_cells_are_the_chances_of_their_items_added_up(items, tmp_path):
    # The chances of an embedding given an item are 0 and 1, and the formula is that of Saito & Joachims:
    # sum_a pi_e(a|x) p(e|a) / sum_a pi_b(a|x) p(e|a).
    shares = {
        name: np.random.default_rng(seed).dirichlet(np.ones(ACTIONS))
        for name, seed in (("log", 1), ("new", 2))
    }
    for name, share in shares.items():
        pd.DataFrame({"item": ITEMS, "share": share}).to_parquet(tmp_path / f"{name}.parquet")
    rng = np.random.default_rng(3)
    item = rng.choice(ACTIONS, 2000, p=shares["log"])
    frame = pd.DataFrame(
        {"item": np.array(ITEMS)[item], "r": rng.random(2000) < 0.2 + 0.1 * CELL[item]}
    )
    tables = {
        n: {"table": str(tmp_path / f"{n}.parquet"), "action": "item", "chance": "share"} for n in shares
    }  # fmt: skip
    result = evaluated(
        frame, propensity=None, propensity_table=tables["log"], user=None, context=[],
        policies={"new": {"table": tables["new"]}},
        groups={"table": items, "action": "item", "group": ["kind", "price"]},
    )  # fmt: skip
    given = (np.arange(6)[:, None] == CELL[None, :]) * 1.0
    w = (given @ shares["new"] / (given @ shares["log"]))[CELL[item]]
    assert of(result, "MIPS").estimate == pytest.approx(float((w * frame.r).mean()), rel=1e-12)
    assert result.groups == "6 groups by kind, price"


def learned(items) -> dict:
    return {"table": items, "action": "item", "group": ["kind", "price"], "weights": "learned"}


def test_learned_weights_find_the_value_with_less_variance_from_the_logged_chance_alone(items):
    frame, _, _, worth = world(20_000)
    result = evaluated(frame, groups=learned(items))
    plain, grouped = of(result, "IPS"), of(result, "MIPS")
    assert abs(grouped.estimate - worth.mean()) < 3 * grouped.standard_error
    assert grouped.standard_error < 0.75 * plain.standard_error
    assert "learned" in str(result)


def test_a_learned_estimate_is_its_formula_refitted_by_fold(items):
    frame, *_ = world(4000, seed=4)
    whole = frame.assign(one=1.0)
    result = evaluated(whole, user=None, context=["one"], groups=learned(items), buckets=5)
    # A constant context: regressions are means of cells, shrunk by 20 rows towards the mean of all.
    cell, w, r = CELL[frame.item.str[1:].astype(int)], (frame.p_new / frame.p).to_numpy(), frame.r
    fold, found = np.arange(4000) % 5, np.zeros(4000)
    for k in range(5):
        m, g = fold != k, fold == k
        foretold = []
        for target in (w, r.to_numpy()):
            cells = np.array([target[m & (cell == c)].mean() for c in range(6)])
            foretold.append(cells[cell[g]])
        found[g] = foretold[1] * w[g] + foretold[0] * (r[g] - foretold[1])
    assert of(result, "MIPS").estimate == pytest.approx(found.mean(), rel=2e-3)


def test_offcem_with_learned_weights_holds_the_value(items):
    frame, _, new, worth = world(8000, seed=7, rate=0.15)
    chances = {f"q{k:02d}": new[:, k] for k in range(ACTIONS)}
    frame = pd.concat([frame, pd.DataFrame(chances)], axis=1)
    policy = {"chances": {item: f"q{k:02d}" for k, item in enumerate(ITEMS)}}
    result = evaluated(
        frame, groups=learned(items), policies={"new": policy}, estimators=["IPS", "DR", "OffCEM"]
    )
    found = of(result, "OffCEM")
    assert abs(found.estimate - worth.mean()) < 3 * found.standard_error
    assert found.standard_error < of(result, "DR").standard_error


def test_the_logs_own_policy_has_weights_of_one(items):
    frame, *_ = world(1000)
    result = evaluated(frame, groups=learned(items), policies={"now": {"logging": True}})
    assert of(result, "MIPS").estimate == pytest.approx(frame.r.mean(), rel=1e-12)


@pytest.mark.parametrize(
    ("groups", "error", "said"),
    [
        ({"group": []}, ConfigError, r"groups\.group: found none"),
        ({"clusters": 1}, ConfigError, r"groups\.clusters: found 1"),
        ({"weights": "guessed"}, ConfigError, r"groups\.weights: found 'guessed'"),
        ({"propensity": "p"}, ConfigError, "found learned though"),
        ({"weights": "known"}, ConfigError, "or weights: learned"),
        ({"group": ["kind", "size"]}, TableError, "no column 'size'"),
        ({"group": ["kind"], "clusters": 2}, TableError, "expected numbers"),
        ({"group": ["price"], "clusters": 3}, DataError, "2 different actions"),
    ],
)
def test_groups_that_cannot_be_made_are_one_message(items, groups, error, said):
    frame, *_ = world(200)
    with pytest.raises(error, match=said):
        evaluated(frame, groups=learned(items) | groups)


def test_an_embedding_with_a_number_that_is_none_is_named():
    with pytest.raises(DataError, match="1 actions whose numbers are none"):
        clusters_of(np.array([[0.0], [1.0], [np.nan]]), 2, "items")
