from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.policy.plain_values import influence, plain_estimate
from truelift.errors import ConfigError, DataError
from truelift.lake.states import add_states, pack_state, unpack_state
from truelift.policy.off_policy.estimators import ESTIMATORS, Layout
from truelift.policy.off_policy.inference import values_of
from truelift.policy.off_policy.kernel import cluster_products

POLICIES, ROWS, USERS = 2, 600, 90


def world(seed: int = 0, users: int = USERS) -> SimpleNamespace:
    rng = np.random.default_rng(seed)
    shape = (ROWS, POLICIES)
    w = rng.gamma(0.7, 1.5, shape) * (rng.random(shape) < 0.8)
    q = rng.random(ROWS)
    return SimpleNamespace(
        keys=rng.integers(0, users, ROWS).astype(np.uint64),
        w=w, r=(rng.random(ROWS) < q).astype(float), q=q, v=rng.random(shape),
        robust_q=rng.random(shape), robust_v=rng.random(shape), grouped=rng.gamma(2.0, 0.5, shape),
    )  # fmt: skip


def state_of(layout: Layout, one: SimpleNamespace, rows=slice(None)):
    arrays = (one.keys, one.w, one.r, one.q, one.v, one.robust_q, one.robust_v, one.grouped)
    return cluster_products(layout, *(a[rows] for a in arrays))


def rows_of(one: SimpleNamespace, candidate) -> tuple:
    p = candidate.policy
    robust = candidate.estimator == "MRDR"
    q = one.robust_q[:, p] if robust else one.q
    v = one.robust_v[:, p] if robust else one.v[:, p]
    w = one.grouped if ESTIMATORS[candidate.estimator].group is not None else one.w
    return candidate.estimator, candidate.tuning, w[:, p], one.r, q, v


LAYOUT = Layout(POLICIES, tuple(ESTIMATORS))


def test_every_estimator_at_every_tuning_value_equals_its_published_formula():
    one = world()
    values = values_of(LAYOUT, state_of(LAYOUT, one))
    expected = [plain_estimate(*rows_of(one, c)) for c in values.candidates]
    assert len(expected) == POLICIES * (8 + 4 * 10)
    np.testing.assert_allclose(values.estimates[:-1], expected, rtol=1e-12)
    assert values.estimates[-1] == pytest.approx(one.r.mean(), rel=1e-12)


def test_the_covariance_is_that_of_influence_functions_added_up_by_user():
    one = world()
    values = values_of(LAYOUT, state_of(LAYOUT, one))
    rows = np.array(
        [influence(*rows_of(one, c)) for c in values.candidates] + [one.r - one.r.mean()]
    )
    by_user = np.array([np.bincount(one.keys.astype(int), line) for line in rows])[
        :, np.unique(one.keys).astype(int)
    ]
    users = by_user.shape[1]
    expected = by_user @ by_user.T / ROWS**2 * users / (users - 1)
    np.testing.assert_allclose(values.covariance, expected, rtol=1e-8, atol=1e-12)
    assert values.clusters == users and values.rows == ROWS


def test_the_sum_of_weights_counts_as_a_random_number():
    # As if the mean weight were known, the interval of SNIPS at high rewards is twice as wide.
    one = world()
    one.r = np.ones(ROWS) - 0.01 * one.q
    one.keys = np.arange(ROWS, dtype=np.uint64)
    layout = Layout(POLICIES, ("SNIPS",))
    error = values_of(layout, state_of(layout, one)).errors[0]
    w = one.w[:, 0]
    as_if_known = np.std(w * one.r / w.mean()) / np.sqrt(ROWS)
    assert error < 0.05 * as_if_known


@settings(max_examples=20, deadline=None)
@given(buckets=st.integers(1, 12), seed=st.integers(0, 5))
def test_any_cut_into_buckets_of_whole_users_gives_the_same_numbers(buckets, seed):
    one = world(seed)
    whole = state_of(LAYOUT, one)
    parts = [state_of(LAYOUT, one, one.keys % np.uint64(buckets) == b) for b in range(buckets)]
    total = add_states(unpack_state(pack_state(part)) for part in parts)
    for key, value in whole.items():
        np.testing.assert_allclose(total[key], value, rtol=1e-10, atol=1e-9)


def test_blocks_of_clusters_add_up_as_one_does(monkeypatch):
    one = world(users=400)
    whole = state_of(LAYOUT, one)
    monkeypatch.setattr("truelift.policy.off_policy.kernel._BLOCK_NUMBERS", 1)
    for key, value in state_of(LAYOUT, one).items():
        np.testing.assert_allclose(value, whole[key], rtol=1e-10, atol=1e-9)


def test_degrees_of_freedom_are_those_of_the_users_that_decide():
    one = world()
    values = values_of(LAYOUT, state_of(LAYOUT, one))
    at = values.candidates.index(next(c for c in values.candidates if c.estimator == "SNIPS"))
    psi = np.bincount(one.keys.astype(int), influence(*rows_of(one, values.candidates[at])))
    expected = (psi**2).sum() ** 3 / (psi**3).sum() ** 2 - 1
    assert values.degrees[at] == pytest.approx(
        min(expected, len(np.unique(one.keys)) - 1), rel=1e-8
    )
    in_effect = (psi**2).sum() ** 2 / (psi**4).sum()
    assert values.effective[at] == pytest.approx(in_effect, rel=1e-8)
    assert np.all(values.degrees >= values.effective - 1 - 1e-9)


def test_a_paired_difference_has_the_covariance_of_the_same_rows():
    one = world()
    values = values_of(LAYOUT, state_of(LAYOUT, one))
    gaps = values.differences([3], values.present)
    psi = influence(*rows_of(one, values.candidates[3])) - (one.r - one.r.mean())
    by_user = np.bincount(one.keys.astype(int), psi)
    users = len(np.unique(one.keys))
    expected = np.sqrt((by_user**2).sum() / ROWS**2 * users / (users - 1))
    assert gaps.errors[0] == pytest.approx(expected, rel=1e-8)


def test_the_present_policy_against_itself_is_exactly_zero():
    one = world()
    one.w[:, 0] = 1.0
    values = values_of(LAYOUT, state_of(LAYOUT, one))
    gaps = values.differences([0], values.present)
    assert gaps.estimates[0] == 0.0 and gaps.errors[0] == 0.0


def test_one_user_has_no_interval():
    one = world(users=1)
    with pytest.raises(DataError, match="at least two"):
        values_of(LAYOUT, state_of(LAYOUT, one))


def test_a_policy_that_never_meets_the_log_has_no_ratio():
    one = world()
    one.w[:, 0] = 0.0
    values = values_of(LAYOUT, state_of(LAYOUT, one))
    by_name = {
        (c.policy, c.estimator): e
        for c, e in zip(values.candidates, values.estimates, strict=False)
    }
    assert np.isnan(by_name[0, "SNIPS"]) and by_name[0, "IPS"] == 0.0
    assert np.isfinite(by_name[1, "SNIPS"])


def test_an_unknown_estimator_is_named():
    with pytest.raises(ConfigError, match="'IPX'"):
        Layout(1, ("IPX",))
