"""PAS-IF: splits of a log of which one part looks as if the policy had written it."""

from __future__ import annotations

import numpy as np
import pytest

import truelift as tl
from tests.unit.policy.plain_values import plain_estimate
from tests.unit.policy.test_policy_values import KEYS, bandit_log
from truelift.errors import ConfigError
from truelift.policy.off_policy.estimators import ESTIMATORS, FIXED_LINES, Candidate, Layout
from truelift.policy.off_policy.pseudo import SHARE, constants_of, pseudo_errors, row_lines
from truelift.policy.off_policy.support import BIN_LOWEST, BIN_STEPS, weight_state

POLICIES = {"best": {"always": "b"}, "random": {"uniform": True}}


@pytest.fixture(scope="module")
def result():
    return tl.evaluate_policies(bandit_log(1000), **KEYS, policies=POLICIES, context=["segment"], select="pas-if")  # fmt: skip


def test_every_estimate_has_its_error_on_splits_and_the_least_is_marked(result):
    for policy in POLICIES:
        own = [e for e in result.estimates if e.policy == policy]
        assert all(e.pseudo_error is not None and e.pseudo_error >= 0 for e in own)
        (marked,) = [e for e in own if e.selected]
        assert marked.pseudo_error == min(e.pseudo_error for e in own)
    assert "on splits" in str(result)


def test_another_rule_leaves_splits_alone():
    found = tl.evaluate_policies(bandit_log(400), **KEYS, policies=POLICIES, estimators=["IPS"])
    assert all(e.pseudo_error is None for e in found.estimates)
    assert "on splits" not in str(found)


def test_constants_give_the_first_part_a_fifth_of_the_rows():
    w = np.random.default_rng(0).lognormal(-0.5, 1, (5000, 2))
    bins = weight_state(w, np.full(5000, 0.5), np.zeros(2))["weight_bins"]
    found = constants_of(bins, 5000.0)
    chances = found * w / (1 + found * w)
    np.testing.assert_allclose(chances.mean(axis=0), SHARE, rtol=0.02)


@pytest.mark.parametrize("name", [n for n, e in ESTIMATORS.items() if e.group is None and n not in ("SNIPS", "SNDR")])  # fmt: skip
def test_lines_of_rows_make_the_published_estimates(name):
    rng = np.random.default_rng(1)
    w, r, q = rng.lognormal(size=50), rng.random(50), rng.random(50)
    layout = Layout(1, (name,), {})
    for candidate in layout.candidates():
        lines = row_lines(w, r, q, q, layout).mean(axis=1)
        whole = np.concatenate([lines, np.zeros(2)])
        whole[-1] = 1.0
        found = sum(whole[up] / whole[down] for up, down in layout.terms(candidate))
        # Mean predictions come from the other part.
        assert found == pytest.approx(plain_estimate(name, candidate.tuning, w, r, q, np.zeros(50)))


def test_an_estimator_that_gives_the_truth_of_every_split_has_no_error():
    layout = Layout(1, ("IPS", "DM"), {})
    splits, width = 10, FIXED_LINES
    state = {
        "sizes": np.full((1, splits, 2), 10.0),
        "first": np.tile([4.0, 3.0, 0.0], (1, 1, splits, 1)),
        "second": np.tile([10.0, 4.0, 0, 0, 0, 0], (1, 1, splits, 1))[..., :width],
    }
    found = pseudo_errors(state, layout, 0, (Candidate(0, "IPS"), Candidate(0, "DM")))
    assert found == pytest.approx([0.0, 0.01])


def test_self_normalised_weights_err_less_on_splits_where_rewards_are_far_from_zero():
    log = bandit_log(1000, seed=3).assign(reward=lambda f: f.reward + 5)
    found = tl.evaluate_policies(
        log, **KEYS, policies={"best": {"always": "b"}}, estimators=["IPS", "SNIPS"],
        select="pas-if",
    )  # fmt: skip
    errors = {e.estimator: e.pseudo_error for e in found.estimates}
    assert errors["SNIPS"] < errors["IPS"]


def test_splits_are_not_weighted_by_logger():
    log = bandit_log(200).assign(
        round=lambda f: np.where(f.index % 2, "a", "b"), second=lambda f: f.p
    )
    keys = {k: v for k, v in KEYS.items() if k != "propensity"}
    loggers = {"column": "round", "propensities": {"a": "p", "b": "second"}, "weights": "weighted"}
    with pytest.raises(ConfigError, match="splits of a log"):
        tl.evaluate_policies(log, **keys, policies=POLICIES, loggers=loggers, select="pas-if")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rows", [1000, 10_000])
def test_the_best_clip_of_a_split_is_a_step_below_that_of_the_log(seed, rows):
    """Squared errors without chance: 50 contexts, 10 actions, chances softmax of normal logits."""
    rng = np.random.default_rng(seed)
    logged, wanted = (
        c / c.sum(axis=1, keepdims=True) for c in np.exp(rng.normal(0, 1.2, (2, 50, 10)))
    )
    means = np.clip(0.2 * (1 + 0.3 * rng.normal(size=(50, 10))), 0.01, 0.6)
    chance, w = logged / 50, wanted / logged
    bins = np.zeros(
        (1, weight_state(np.ones((1, 1)), np.ones(1), np.zeros(1))["weight_bins"].shape[1])
    )
    place = np.floor((np.log2(w) - BIN_LOWEST) * BIN_STEPS).astype(int).ravel()
    np.add.at(bins[0], place, chance.ravel())
    c = float(constants_of(bins, 1.0)[0])
    first = c * w / (1 + c * w)
    share = float((chance * first).sum())
    assert share == pytest.approx(SHARE, rel=0.1)

    def best(chances: np.ndarray, weights: np.ndarray, truth: float, count: float) -> float:
        grid = np.geomspace(0.5, 200, 400)
        shrunk = np.minimum(weights[None], grid[:, None, None])
        mean = (chances * shrunk * means).sum(axis=(1, 2))
        variance = (chances * shrunk**2 * means).sum(axis=(1, 2)) - mean**2
        return float(grid[np.argmin((mean - truth) ** 2 + variance / count)])

    of_log = best(chance, w, float((chance * w * means).sum()), rows)
    of_split = best(
        chance * (1 - first) / (1 - share), c * (1 - share) / share * w,
        float((chance * first * means).sum() / share), (1 - share) * rows,
    )  # fmt: skip
    assert 0.4 < of_split / of_log < 0.9
