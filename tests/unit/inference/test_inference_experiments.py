"""Experiments from sums: against scipy's t tests, least squares over rows, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from truelift.errors import ConfigError, DataError
from truelift.inference.contrasts import all_pairs
from truelift.inference.experiment_estimates import cuped, difference_in_means
from truelift.inference.experiments import ExperimentCounter, ExperimentSums
from truelift.inference.sample_ratio import sample_ratio
from truelift.inference.small_samples import effective_clusters_difference, pair_moments
from truelift.lake.states import add_states


def counted(cluster, arm, covariates, outcomes, arms=2):
    covariates, outcomes = np.atleast_2d(covariates), np.atleast_2d(outcomes)
    covariates = covariates.reshape(-1, len(arm))
    counter = ExperimentCounter(arms, len(covariates), len(outcomes))
    counter.add(np.asarray(cluster, np.uint64), np.asarray(arm), covariates, outcomes)
    return counter.finish()


def world(clusters, seed, arms=2, by_cluster=True, effect=0.0, size=5):
    """Clusters of unequal size with a shared shock; x is known before the assignment."""
    random = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), random.integers(1, 2 * size, clusters))
    n = len(cluster)
    by = random.integers(0, arms, clusters) if by_cluster else random.integers(0, arms, n)
    arm = by[cluster] if by_cluster else by
    shared = random.standard_normal(clusters)[cluster]
    x = shared + random.standard_normal(n)
    y = 0.8 * x + 0.4 * random.standard_normal(clusters)[cluster] + random.standard_normal(n)
    return cluster, arm, x, y + effect * (arm > 0)


NONE = np.zeros((0, 0))


def test_without_clusters_the_difference_in_means_is_welchs_test():
    random = np.random.default_rng(0)
    control, treated = random.standard_normal(20), 0.4 + 2 * random.standard_normal(35)
    arm = np.repeat([0, 1], [20, 35])
    found = difference_in_means(
        counted(np.arange(55), arm, NONE, np.concatenate([control, treated]))
    ).contrasts[0]
    expected = stats.ttest_ind(treated, control, equal_var=False)
    assert found.estimate == pytest.approx(treated.mean() - control.mean())
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.degrees_of_freedom == pytest.approx(expected.df)
    interval = expected.confidence_interval()
    assert (found.ci_lower, found.ci_upper) == pytest.approx((interval.low, interval.high))
    # n/(n - 1) in each arm is all that is left of the small-sample factor.
    assert found.design_effect == pytest.approx(1.0, abs=0.06)


def test_pairs_of_one_unit_in_each_arm_are_the_paired_t_test():
    random = np.random.default_rng(1)
    control = random.standard_normal(15)
    treated = control + 0.3 + 0.5 * random.standard_normal(15)
    found = difference_in_means(
        counted(np.tile(np.arange(15), 2), np.repeat([0, 1], 15), NONE, np.r_[control, treated])
    ).contrasts[0]
    expected = stats.ttest_rel(treated, control)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.degrees_of_freedom == expected.df


def test_clustered_variance_is_that_of_residual_sums_over_rows():
    cluster, arm, _, y = world(40, seed=2, by_cluster=False)
    found = difference_in_means(counted(cluster, arm, NONE, y)).contrasts[0]
    weight = np.where(arm == 1, 1 / (arm == 1).sum(), -1 / (arm == 0).sum())
    residual = y - np.where(arm == 1, y[arm == 1].mean(), y[arm == 0].mean())
    sums = np.bincount(cluster, weight * residual)
    assert found.standard_error == pytest.approx(np.sqrt(40 / 39 * np.square(sums).sum()))
    assert found.degrees_of_freedom == 39
    expected = effective_clusters_difference(
        pair_moments(np.bincount(cluster[arm == 0], minlength=40), np.bincount(cluster[arm == 1]))
    )
    assert found.effective_clusters == pytest.approx(expected)


def test_cuped_with_theta_from_units_is_the_analysis_of_covariance():
    cluster, arm, x, y = world(60, seed=3)
    second = np.random.default_rng(4).standard_normal(len(x))
    found = cuped(counted(cluster, arm, np.stack([x, second]), y), theta_from="units")
    design = np.column_stack([np.ones(len(x)), arm, x, second])
    expected = np.linalg.lstsq(design, y, rcond=None)[0]
    assert found.contrasts[0].estimate == pytest.approx(expected[1])
    np.testing.assert_allclose(found.theta, expected[2:])


@pytest.mark.parametrize("by_cluster", [True, False])
def test_theta_from_clusters_makes_the_clustered_variance_smallest(by_cluster):
    sums = counted(*world(80, seed=5, by_cluster=by_cluster))
    best = cuped(sums)
    cluster, arm, x, y = world(80, seed=5, by_cluster=by_cluster)
    for shift in (-0.05, 0.05):
        adjusted = y - (best.theta[0] + shift) * x
        other = difference_in_means(counted(cluster, arm, NONE, adjusted)).contrasts[0]
        lost = (80 - 1 - by_cluster) / (80 - 2 - by_cluster)
        assert best.contrasts[0].standard_error < np.sqrt(lost) * other.standard_error
    adjusted = y - best.theta[0] * x
    same = difference_in_means(counted(cluster, arm, NONE, adjusted)).contrasts[0]
    assert best.contrasts[0].standard_error == pytest.approx(np.sqrt(lost) * same.standard_error)
    assert best.contrasts[0].estimate == pytest.approx(same.estimate)
    units = cuped(sums, theta_from="units").contrasts[0].standard_error
    assert best.contrasts[0].standard_error <= units + 1e-12


def test_cuped_narrows_the_interval_by_what_the_covariate_explains():
    sums = counted(*world(4000, seed=6, size=2))
    plain, adjusted = difference_in_means(sums), cuped(sums)
    ratio = adjusted.contrasts[0].standard_error / plain.contrasts[0].standard_error
    assert 0.5 < ratio < 0.8
    assert "CUPED" in repr(adjusted)


@pytest.mark.parametrize("theta_from", ["clusters", "units"])
@pytest.mark.parametrize("value", [1.0, 0.1, 1e6])
def test_a_covariate_that_does_not_vary_leaves_the_difference(theta_from, value):
    cluster, arm, _, y = world(50, seed=7)
    sums = counted(cluster, arm, np.full(len(arm), value), y)
    constant = cuped(sums, theta_from=theta_from)
    plain = difference_in_means(counted(cluster, arm, NONE, y))
    assert constant.theta[0] == 0
    assert constant.contrasts[0].estimate == pytest.approx(plain.contrasts[0].estimate)


def test_the_same_covariate_twice_is_the_covariate():
    cluster, arm, x, y = world(50, seed=7)
    twice = cuped(counted(cluster, arm, np.stack([x, -2 * x]), y))
    once = cuped(counted(cluster, arm, x, y))
    assert twice.contrasts[0].estimate == pytest.approx(once.contrasts[0].estimate)


@pytest.mark.parametrize("by_cluster", [True, False])
@pytest.mark.parametrize("estimator", [difference_in_means, cuped])
def test_interval_covers_no_effect_in_ninety_five_of_a_hundred_experiments(by_cluster, estimator):
    held = 0
    for seed in range(400):
        found = estimator(counted(*world(40, seed, by_cluster=by_cluster))).contrasts[0]
        held += found.ci_lower <= 0 <= found.ci_upper
    assert held / 400 == pytest.approx(0.95, abs=0.033)


def test_three_arms_have_all_pairs_and_a_covariance_for_bands():
    cluster, arm, x, y = world(90, seed=8, arms=3, effect=1.0)
    pairs = all_pairs(["control", "mail", "app"])
    found = cuped(counted(cluster, arm, x, y, arms=3), contrasts=pairs)
    assert [c.name for c in found.contrasts] == list(pairs.names)
    values, covariance = pairs.apply(found.means, found.covariance)
    np.testing.assert_allclose([c.estimate for c in found.contrasts], values)
    errors = [c.standard_error for c in found.contrasts]
    np.testing.assert_allclose(errors, np.sqrt(np.diag(covariance)))
    assert np.isnan(found.contrasts[2].effective_clusters)
    assert found.to_pandas()["name"].tolist() == list(pairs.names)


def test_second_outcome_is_its_own_experiment():
    cluster, arm, x, y = world(50, seed=9)
    both = counted(cluster, arm, x, np.stack([x * 3, y]))
    alone = counted(cluster, arm, x, y)
    found, expected = cuped(both, outcome=1).contrasts[0], cuped(alone).contrasts[0]
    assert found.estimate == pytest.approx(expected.estimate)
    assert found.standard_error == pytest.approx(expected.standard_error)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_sums_of_buckets_in_any_blocks_are_those_of_all_rows(seed, buckets):
    cluster, arm, x, y = world(30, seed)
    whole = counted(cluster, arm, x, y)
    states = []
    for bucket in range(buckets):
        counter = ExperimentCounter(2, 1, 1)
        for rows in np.array_split(np.flatnonzero(cluster % buckets == bucket), 3):
            counter.add(cluster[rows].astype(np.uint64), arm[rows], x[None, rows], y[None, rows])
        states.append(counter.finish())
    joined = ExperimentSums.from_state(add_states(s.to_state() for s in states), covariates=1)
    added = sum(states[1:], start=states[0])
    for name in ("total", "cross", "gram", "clusters", "sizes"):
        np.testing.assert_allclose(
            getattr(joined, name), getattr(whole, name), rtol=1e-9, atol=1e-9
        )
        np.testing.assert_array_equal(getattr(joined, name), getattr(added, name))


def test_sums_name_what_they_hold():
    sums = counted([7, 7, 8, 9], [0, 1, 1, 0], [1.0, 2, 3, 4], [1.0, 2, 3, 4])
    assert sums.cluster_count == 3
    assert sums.clusters_in_several_arms == 1
    assert sums.arm_clusters.tolist() == [2, 2]
    assert sums.units.tolist() == [2, 2]
    assert repr(sums).startswith("ExperimentSums(4 units of 3 clusters in 2 arms")


def test_experiments_that_cannot_be_compared_are_refused():
    with pytest.raises(DataError, match="expected 0 to 1"):
        counted([1, 2], [0, 2], NONE, [1.0, 2])
    with pytest.raises(DataError, match="not finite"):
        counted([1, 2], [0, 1], NONE, [1.0, np.nan])
    lonely = counted([1, 1, 2, 3], [0, 0, 1, 1], NONE, [1.0, 2, 3, 4])
    with pytest.raises(DataError, match="fewer than two clusters"):
        difference_in_means(lonely)
    sums = counted([1, 2, 3, 4], [0, 0, 1, 1], NONE, [1.0, 2, 3, 4])
    with pytest.raises(DataError, match="use difference_in_means"):
        cuped(sums)
    with pytest.raises(DataError, match="Outcome 1"):
        difference_in_means(sums, outcome=1)
    crowded = counted([1, 2, 3, 4], [0, 0, 1, 1], np.eye(4)[:2], [1.0, 2, 3, 4])
    with pytest.raises(DataError, match="more clusters"):
        cuped(crowded)
    with pytest.raises(ConfigError, match="theta_from"):
        cuped(crowded, theta_from="rows")
    with pytest.raises(DataError, match="different arms"):
        sums + crowded


def test_sample_ratio_is_pearsons_chi_square_over_clusters():
    cluster, arm, x, y = world(300, seed=10, arms=3)
    sums = counted(cluster, arm, x, y, arms=3)
    shares = np.array([0.5, 0.3, 0.2])
    expected = stats.chisquare(sums.arm_clusters, shares * 300)
    found = sample_ratio(sums, shares)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.mismatch
    assert not sample_ratio(sums).mismatch


def test_counting_units_in_place_of_clusters_would_reject_far_too_often():
    random = np.random.default_rng(11)
    by_cluster = by_unit = 0
    for _ in range(400):
        sizes = random.geometric(0.05, 200)
        arm = np.repeat(random.integers(0, 2, 200), sizes)
        sums = counted(np.repeat(np.arange(200), sizes), arm, NONE, np.zeros(len(arm)))
        by_cluster += sample_ratio(sums, level=0.05).mismatch
        by_unit += stats.chisquare(sums.units).pvalue < 0.05
    assert by_cluster / 400 == pytest.approx(0.05, abs=0.035)
    assert by_unit / 400 > 0.5


def test_a_cluster_in_two_arms_is_a_mismatch_of_its_own():
    arm = np.r_[np.zeros(50, int), np.ones(51, int)]
    sums = counted(np.r_[np.arange(100), 0], arm, NONE, np.zeros(101))
    found = sample_ratio(sums)
    assert found.p_value > 0.5
    assert found.mismatch
    assert "1 in several arms" in repr(found)


def test_planned_shares_must_be_shares():
    sums = counted([1, 2, 3, 4], [0, 0, 1, 1], NONE, [1.0, 2, 3, 4])
    for shares in ([0.5, 0.6], [1.0, 0.0], [1.0]):
        with pytest.raises(DataError, match="adding up to 1"):
            sample_ratio(sums, np.array(shares))
    assert "the p-value is rough" in repr(sample_ratio(sums))
