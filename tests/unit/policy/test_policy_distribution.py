"""Quantiles of the rewards under a policy, and the mean of the lowest, from the log of another."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special

import truelift as tl
from truelift.errors import ConfigError

CHANCES = np.array([0.6, 0.4])
NEW = np.array([0.2, 0.8])
ASKED = {"quantiles": [0.1, 0.5, 0.9], "cvar": [0.1, 0.25]}


def log(rows: int = 4000, seed: int = 0, per_user: int = 1) -> pd.DataFrame:
    """Rewards of the second action are higher and vary more."""
    rng = np.random.default_rng(seed)
    action = (rng.random(rows) > CHANCES[0]).astype(int)
    own = np.repeat(rng.normal(size=rows // per_user), per_user)
    noise = np.sqrt(0.5) * own + np.sqrt(0.5) * rng.normal(size=rows)
    return pd.DataFrame(
        {
            "action": action, "p": CHANCES[action], "reward": 1.0 + action + (1.0 + action) * noise,
            "new0": NEW[0], "new1": NEW[1], "user": np.arange(rows) // per_user,
        }
    )  # fmt: skip


def evaluated(rows: pd.DataFrame, asked=ASKED, **more):
    given = {
        "action": "action", "rewards": "reward", "propensity": "p", "user": "user",
        "policies": {"new": {"chances": {"0": "new0", "1": "new1"}}, "now": {"logging": True}},
        "estimators": ["SNIPS"], "distribution": asked, "buckets": 5,
    } | more  # fmt: skip
    return tl.evaluate_policies(rows, **given)


def of(result, quantity: str, share: float, policy: str = "new"):
    return next(
        e for e in result.distribution
        if (e.policy, e.quantity, e.share) == (policy, quantity, share)
    )  # fmt: skip


def plain(rows: pd.DataFrame, share: float) -> tuple[float, float]:
    """The weighted quantile and the mean of the rewards up to it, by sorting."""
    w = (NEW[rows.action] / rows.p).to_numpy()
    order = np.argsort(rows.reward.to_numpy(), kind="stable")
    reward, weight = rows.reward.to_numpy()[order], w[order]
    level = share * weight.sum()
    q = reward[np.searchsorted(weight.cumsum(), level * (1 - 1e-12))]
    below = reward < q
    # What is missing of the share lies at the quantile.
    rest = level - weight[below].sum()
    return float(q), float(((weight * reward)[below].sum() + rest * q) / level)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
def test_quantiles_are_those_of_the_sorted_weighted_rewards(share):
    rows = log()
    found = of(evaluated(rows, {"quantiles": [share], "cvar": []}), "quantile", share)
    assert found.estimate == plain(rows, share)[0]
    assert found.ci_lower <= found.estimate <= found.ci_upper


@pytest.mark.parametrize("share", [0.1, 0.25])
def test_the_mean_of_the_lowest_is_that_of_the_sorted_weighted_rewards(share):
    rows = log()
    found = of(evaluated(rows), "CVaR", share)
    assert found.estimate == pytest.approx(plain(rows, share)[1], rel=1e-10)


def test_its_error_is_that_of_the_influence_function_by_user():
    rows = log(per_user=4)
    q, mean = plain(rows, 0.1)
    w = NEW[rows.action] / rows.p
    psi = w * (q + np.minimum(rows.reward - q, 0) / 0.1 - mean) / w.mean()
    by_user = psi.groupby(rows.user).sum().to_numpy()
    users = len(by_user)
    expected = np.sqrt((by_user**2).sum() / len(rows) ** 2 * users / (users - 1))
    assert of(evaluated(rows), "CVaR", 0.1).standard_error == pytest.approx(expected, rel=1e-6)


def test_the_present_policy_is_told_first_and_is_that_of_the_log():
    rows = log()
    result = evaluated(rows)
    present = result.distribution[0]
    assert (present.policy, present.quantity) == ("the present policy", "quantile")
    assert present.estimate == np.quantile(rows.reward, 0.1, method="inverted_cdf")
    same = of(result, "CVaR", 0.1, "now")
    assert same.difference == pytest.approx(0.0, abs=1e-12)
    assert same.difference_upper - same.difference_lower < 1e-6


def test_a_difference_of_quantiles_has_the_error_of_paired_influence_functions_by_user():
    rows = log(per_user=4)
    found = of(evaluated(rows), "quantile", 0.5)
    present = next(
        e for e in evaluated(rows).distribution if (e.quantity, e.share) == ("quantile", 0.5)
    )
    w = NEW[rows.action] / rows.p
    psi = []
    for e, weight in ((found, w), (present, w * 0 + 1)):
        off = weight * ((rows.reward <= e.estimate) - 0.5) / weight.sum()
        by_user = off.groupby(rows.user).sum()
        slope = (e.ci_upper - e.ci_lower) / (2 * np.sqrt((by_user**2).sum()))  # times the same t
        psi.append(slope * by_user)
    expected = np.sqrt(((psi[0] - psi[1]) ** 2).sum())
    assert found.difference == found.estimate - present.estimate
    half = (found.difference_upper - found.difference_lower) / 2
    assert half == pytest.approx(expected, rel=5e-3)
    # Apart, as if the two came from different users, it would be wider.
    assert half < np.hypot(found.ci_upper - found.ci_lower, present.ci_upper - present.ci_lower) / 2


def test_quantiles_of_the_same_policy_do_not_differ():
    same = of(evaluated(log()), "quantile", 0.5, "now")
    assert (same.difference, same.difference_lower, same.difference_upper) == pytest.approx(
        (0, 0, 0), abs=1e-6
    )


def test_a_difference_of_quantiles_holds_the_truth_in_most_logs():
    # Rewards of the actions are 1 + N(0, 1) and 2 + 2 N(0, 1): the medians of their mixtures, on a grid.
    at = np.linspace(0, 3, 30_001)
    first, second = special.ndtr(at - 1), special.ndtr((at - 2) / 2)
    medians = [at[np.searchsorted(p[0] * first + p[1] * second, 0.5)] for p in (NEW, CHANCES)]
    truth = medians[0] - medians[1]
    asked = {"quantiles": [0.5], "cvar": []}
    found = [of(evaluated(log(600, seed), asked), "quantile", 0.5) for seed in range(20)]
    held = sum(e.difference_lower < truth < e.difference_upper for e in found)
    assert held >= 17  # of 95%: fewer by chance in 2 of 100 draws of 20


def test_bands_are_wider_than_intervals_and_both_are_said():
    result = evaluated(log())
    for e in result.distribution:
        assert e.band_lower <= e.ci_lower <= e.estimate <= e.ci_upper <= e.band_upper
    text = result.summary()
    assert "quantile 0.5:" in text and "mean of the lowest 10%:" in text


def test_the_number_of_buckets_changes_nothing():
    rows = log(2000)
    one, other = (evaluated(rows, buckets=b).distribution for b in (5, 40))
    for first, second in zip(one, other, strict=True):
        assert first.estimate == pytest.approx(second.estimate, rel=1e-12)
        assert first.ci_lower == pytest.approx(second.ci_lower, rel=1e-9)


def test_a_quantile_at_a_step_of_the_distribution_has_both_values_in_its_interval():
    # Nine of ten rewards are 0: whether the .9 quantile is 0 or 1, chance decides.
    rng = np.random.default_rng(3)
    rows = log(2000).assign(reward=(rng.random(2000) < 0.1) * 1.0)
    found = of(evaluated(rows), "quantile", 0.9)
    assert (found.ci_lower, found.ci_upper) == (0.0, 1.0)
    assert of(evaluated(rows), "quantile", 0.5).ci_upper == 0.0


def test_where_the_share_reaches_beyond_the_rewards_there_is_no_bound():
    found = of(evaluated(log(60), {"quantiles": [0.02], "cvar": []}, limits={"effective_rows": 10}),
               "quantile", 0.02)  # fmt: skip
    assert found.ci_lower is None and found.ci_upper is not None


def test_a_policy_without_support_has_no_distribution():
    rows = log().assign(action=0, p=1.0)
    result = evaluated(rows, actions=["0", "1"])
    assert {e.policy for e in result.distribution} == {"the present policy", "now"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"quantiles": [0.0]}, "distribution.quantiles: found"), ({"cvar": [0.1, 0.1]}, "different")],
)
def test_shares_that_are_none_are_named(asked, said):
    with pytest.raises(ConfigError, match=said):
        evaluated(log(50), asked)
