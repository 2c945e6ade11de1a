"""A log of several policies: balanced weights have the support of all of them together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import truelift as tl
from truelift.errors import ConfigError, DataError
from truelift.policy.off_policy.estimators import Layout
from truelift.policy.off_policy.judging import intervals_of
from truelift.policy.off_policy.kernel import cluster_products
from truelift.policy.off_policy.loggers import by_logger, together
from truelift.policy.off_policy.support import SupportLimits, weight_state

MEANS = {"a": 0.2, "b": 0.6}
KEYS = {"action": "action", "rewards": "reward", "estimators": ["IPS", "SNIPS"]}
LOGGERS = {"column": "round", "propensities": {"1": "p_first", "2": "p_second"}}


def rounds(rows: int = 12_000) -> pd.DataFrame:
    """A first round that always took a, and a second one that tossed a coin."""
    rng = np.random.default_rng(0)
    first = np.arange(rows) < 0.75 * rows
    action = np.where(first, "a", rng.choice(["a", "b"], rows))
    reward = rng.random(rows) < np.where(action == "a", MEANS["a"], MEANS["b"])
    return pd.DataFrame(
        {
            "round": np.where(first, 1, 2), "action": action, "reward": reward.astype(float),
            "p_first": (action == "a").astype(float), "p_second": 0.5,
            "own": np.where(first, 1.0, 0.5),
        }
    )  # fmt: skip


@pytest.mark.parametrize("action", MEANS)
def test_balanced_weights_find_the_value_that_one_logger_alone_cannot(action):
    policies = {"x": {"always": action}}
    balanced = tl.evaluate_policies(rounds(), **KEYS, policies=policies, loggers=LOGGERS)
    for e in balanced.estimates:
        assert abs(e.estimate - MEANS[action]) < 3.5 * e.standard_error
    assert balanced.verdict("x").verdict == "supported"
    assert "mixture of 2 loggers" in balanced.propensities


def test_each_rows_own_propensity_lacks_what_its_logger_never_did():
    policies = {"x": {"always": "b"}}
    naive = tl.evaluate_policies(rounds(), **KEYS, policies=policies, propensity="own")
    assert naive.verdict("x").verdict == "not supported"
    assert naive.verdict("x").missing_mass == pytest.approx(0.75, abs=0.02)


def test_the_propensity_is_that_of_the_mixture():
    log = rounds()
    mixed = log.assign(p=0.75 * log.p_first + 0.25 * log.p_second)
    policies = {"x": {"uniform": True}}
    one = tl.evaluate_policies(log, **KEYS, policies=policies, loggers=LOGGERS)
    other = tl.evaluate_policies(mixed, **KEYS, policies=policies, propensity="p")
    assert one.estimates[0].estimate == pytest.approx(other.estimates[0].estimate, rel=1e-12)


def test_a_logger_without_chances_is_named():
    log = rounds().assign(round=3)
    with pytest.raises(DataError, match=r"found '3', expected those of loggers.propensities: 1, 2"):
        tl.evaluate_policies(log, **KEYS, policies={"x": {"uniform": True}}, loggers=LOGGERS)


def softmax_rounds(rows: int = 6000, seed: int = 1, seen: int = 3) -> pd.DataFrame:
    """Rounds that softmax policies of different temper wrote: the first is far from the candidate."""
    rng = np.random.default_rng(seed)
    logits = np.array([[2.5, 0.0, -0.5], [0.0, 0.5, 0.5], [0.0, 1.0, 1.5]])[:seen]
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wrote = np.sort(rng.integers(0, seen, rows))
    action = (rng.random(rows)[:, None] > chances[wrote].cumsum(axis=1)).sum(axis=1)
    own = chances[wrote, action]
    columns = {f"p{k}": chances[k, action] for k in range(seen)}
    reward = (rng.random(rows) < np.array([0.2, 0.4, 0.7])[action]) * 1.0
    return pd.DataFrame(
        {"round": wrote, "action": action, "reward": reward, "own": own, **columns}
        | {f"new{k}": np.full(rows, [0.1, 0.3, 0.6][k]) for k in range(3)}
    )


SEVERAL = {"column": "round", "propensities": {str(k): f"p{k}" for k in range(3)}}
CANDIDATE = {"new": {"chances": {str(k): f"new{k}" for k in range(3)}}}
TRUTH = 0.1 * 0.2 + 0.3 * 0.4 + 0.6 * 0.7


def evaluated(rows: pd.DataFrame, weights: str, estimators=("IPS",), **more):
    given = {
        "action": "action", "rewards": "reward", "policies": CANDIDATE,
        "estimators": list(estimators), "loggers": SEVERAL | {"weights": weights},
    } | more  # fmt: skip
    return tl.evaluate_policies(rows, **given)


def test_naive_weights_are_those_of_the_rows_own_logger():
    rows = softmax_rounds()
    naive = evaluated(rows, "naive", ("IPS", "SNIPS", "DR"))
    own = evaluated(rows, "naive", ("IPS", "SNIPS", "DR"), loggers=None, propensity="own")
    for one, other in zip(naive.estimates, own.estimates, strict=True):
        assert one.estimate == pytest.approx(other.estimate, rel=1e-12)
        assert one.standard_error == pytest.approx(other.standard_error, rel=1e-12)
    assert "each row's own (naive)" in naive.propensities


def plain_weighted(rows: pd.DataFrame, values: np.ndarray) -> tuple[float, float]:
    """Estimates of each logger averaged by ``n_k / var_k``, as Agarwal et al. (2017) have them."""
    parts = [values[rows["round"] == k] for k in sorted(rows["round"].unique())]
    precision = np.array([len(p) / p.var() for p in parts])
    share = precision / precision.sum()
    error = np.sqrt(sum(s**2 * p.var() / len(p) for s, p in zip(share, parts, strict=True)))
    return float(sum(s * p.mean() for s, p in zip(share, parts, strict=True))), float(error)


def test_weighted_averages_the_loggers_by_their_precision():
    rows = softmax_rounds()
    new = np.array([0.1, 0.3, 0.6])[rows.action]
    estimate, error = plain_weighted(rows, (new / rows.own * rows.reward).to_numpy())
    found = evaluated(rows, "weighted").estimates[0]
    assert found.estimate == pytest.approx(estimate, rel=1e-10)
    assert found.standard_error == pytest.approx(error, rel=1e-3)


def test_a_models_predictions_are_of_all_rows_and_corrections_by_precision():
    rows = softmax_rounds()
    rows["reward"] += 0.0
    result = evaluated(rows, "weighted", ("DM", "DR"))
    naive = evaluated(rows, "naive", ("DM", "DR"))
    weighted, plain = ({e.estimator: e for e in one.estimates} for one in (result, naive))
    # Without a context DM is one number, whoever wrote the row.
    assert weighted["DM"].estimate == pytest.approx(plain["DM"].estimate, rel=1e-9)
    assert weighted["DR"].standard_error < plain["DR"].standard_error
    assert abs(weighted["DR"].estimate - TRUTH) < 3.5 * weighted["DR"].standard_error


def test_weighting_by_precision_and_balancing_are_shorter_than_naive_weights():
    rows = softmax_rounds()
    errors = {
        how: evaluated(rows, how).estimates[0].standard_error
        for how in ("naive", "weighted", "effective", "balanced")
    }
    assert errors["effective"] < 0.8 * errors["naive"]
    assert errors["weighted"] < 0.8 * errors["naive"]
    assert errors["balanced"] < 0.8 * errors["naive"]


def test_effective_rows_are_those_that_the_weights_of_a_logger_are_worth():
    rows = softmax_rounds()
    w = np.array([0.1, 0.3, 0.6])[rows.action] / rows.own
    worth = w.groupby(rows["round"]).sum() ** 2 / (w**2).groupby(rows["round"]).sum()
    expected = (worth / worth.sum() * (w * rows.reward).groupby(rows["round"]).mean()).sum()
    result = evaluated(rows, "effective")
    assert result.estimates[0].estimate == pytest.approx(expected, rel=1e-10)
    shares = (worth / worth.sum()).tolist()
    assert [s.share for s in result.loggers] == pytest.approx(shares, rel=1e-10)


def test_no_policy_ships_by_loggers_that_count_by_their_precision():
    rows = softmax_rounds()
    assert evaluated(rows, "effective").value("new", "reward").ships
    assert "effective or balanced" in evaluated(rows, "weighted").value("new", "reward").reason


def test_intervals_of_estimates_put_together_cover():
    layout, hits, repeats = Layout(3, ("IPS",), loggers=3), 0, 300
    for seed in range(repeats):
        rows = softmax_rounds(900, seed)
        logger, none = rows["round"].to_numpy(), np.zeros((0, 3))
        w = by_logger(
            (np.array([0.1, 0.3, 0.6])[rows.action] / rows.own.to_numpy())[:, None], logger, 3
        )
        zero, users = np.zeros(len(rows)), np.arange(len(rows), dtype=np.uint64)
        state = cluster_products(
            layout,
            users,
            w,
            rows.reward.to_numpy(),
            zero,
            np.zeros_like(w),
            none,
            none,
            None,
            logger,
        ) | weight_state(w, rows.own.to_numpy(), np.zeros(1))
        values = together(("new",), layout, state, SupportLimits()).values
        lower, upper = intervals_of(values, 0.95, 0.0, np.inf)
        hits += lower[0] <= TRUTH <= upper[0]
    assert abs(hits / repeats - 0.95) < 4 * np.sqrt(0.95 * 0.05 / repeats)


def test_a_logger_that_never_did_what_the_policy_does_counts_nothing():
    result = tl.evaluate_policies(
        rounds(), **KEYS, policies={"x": {"always": "b"}}, loggers=LOGGERS | {"weights": "weighted"}
    )
    first, second = result.loggers
    assert (first.share, second.share) == (0.0, 1.0)
    assert result.verdict("x").verdict == "supported"
    e = result.estimates[0]
    assert abs(e.estimate - MEANS["b"]) < 3.5 * e.standard_error
    assert "1: counts nothing" in result.summary() and "counts 100%" in result.summary()


def test_where_no_logger_serves_alone_balanced_weights_are_named():
    log = (
        rounds()
        .query("round == 1 or action == 'b'")
        .assign(p_second=lambda t: (t.action == "b") * 1.0)
    )
    result = tl.evaluate_policies(
        log, **KEYS, policies={"x": {"uniform": True}}, loggers=LOGGERS | {"weights": "weighted"}
    )
    assert result.exit_code == 3
    assert "loggers.weights: balanced" in result.verdict("x").reason
    balanced = tl.evaluate_policies(log, **KEYS, policies={"x": {"uniform": True}}, loggers=LOGGERS)
    assert balanced.verdict("x").verdict == "supported"


def test_a_persons_rows_in_several_rounds_are_one_cluster():
    # The same people in both rounds, each row three times: as if rows were their own the error is too small.
    rows = softmax_rounds(1500, seen=2).assign(user=lambda t: np.arange(len(t)))
    rows = pd.concat([rows] * 3, ignore_index=True)
    several = {"column": "round", "propensities": {"0": "p0", "1": "p1"}, "weights": "weighted"}
    apart = evaluated(rows, "weighted", loggers=several).estimates[0]
    people = evaluated(rows, "weighted", loggers=several, user="user").estimates[0]
    assert people.estimate == pytest.approx(apart.estimate, rel=1e-3)
    assert people.standard_error == pytest.approx(np.sqrt(3) * apart.standard_error, rel=0.02)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"loggers": SEVERAL | {"weights": "equal"}},
            "found 'equal', expected one of balanced, naive, effective",
        ),
        ({"slate": "l", "position": "k"}, "found 'weighted' beside slate"),
        ({"distribution": {"quantiles": [0.5]}}, "found 'weighted' beside distribution"),
        ({"loggers": {"column": "round", "propensities": {}}}, "propensities: found none"),
    ],
)
def test_weights_that_cannot_be_are_named(more, said):
    with pytest.raises(ConfigError, match=said):
        evaluated(softmax_rounds(100), "weighted", **more)
