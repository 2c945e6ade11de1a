"""Power and planning, against published tables and simulated experiments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from truelift.errors import ConfigError, DataError
from truelift.inference.power import (
    minimum_detectable_effect,
    planned_variance_per_cluster,
    power,
    required_clusters,
)


@pytest.mark.parametrize(("effect", "each"), [(0.2, 393.4057), (0.5, 63.76561), (0.8, 25.52458)])
def test_units_without_clusters_are_as_many_as_rs_power_t_test_says(effect, each):
    # R's power.t.test with power 0.8 at two-sided 5%: units in each of two equal arms.
    total = required_clusters(effect, planned_variance_per_cluster(1.0, 1.0))
    assert total == np.ceil(2 * each)


@settings(max_examples=40, deadline=None)
@example(0.5, 2, 0.57, True)
@example(0.02, 2, 0.925, True)
@example(3.0, 5, 0.96, True)
@given(st.floats(0.01, 10), st.integers(2, 2000), st.floats(0.1, 0.99), st.booleans())
def test_minimum_detectable_effect_has_the_wanted_power(error, df, target, two_sided):
    effect = minimum_detectable_effect(error, df, target, two_sided=two_sided)
    assert power(effect, error, df, two_sided=two_sided) == pytest.approx(target, abs=1e-6)


def test_minimum_detectable_effect_is_close_to_blooms_multiple():
    multiple = stats.t.ppf(0.975, 60) + stats.t.ppf(0.8, 60)
    assert minimum_detectable_effect(2.0, 60) == pytest.approx(2 * multiple, rel=0.01)
    assert minimum_detectable_effect(1.0, np.inf) == pytest.approx(1.959964 + 0.841621, rel=1e-5)


def test_power_without_an_effect_is_the_level_and_does_not_jump_where_the_normal_takes_over():
    assert power(0.0, 1.0, 20, level=0.1) == pytest.approx(0.1)
    assert power(2.5, 1.0, 9999) == pytest.approx(power(2.5, 1.0, 10_001), abs=1e-4)


def test_power_is_a_number_however_large_the_effect():
    # SciPy's noncentral t gives none for some of these.
    quantiles = (np.arange(20_000) + 0.5) / 20_000
    for degrees in (1, 2, 3, 5, 10, 30, 1000):
        shifts = np.linspace(0, 60, 601)
        found = np.array([power(shift, 1.0, degrees) for shift in shifts])
        assert (np.diff(found) > -1e-9).all()
        # T > c where Z + shift > c sqrt(chi2 / degrees); the other tail likewise.
        limits = stats.t.ppf(0.975, degrees) * np.sqrt(stats.chi2.ppf(quantiles, degrees) / degrees)
        for shift, each in zip(shifts[::50], found[::50], strict=True):
            expected = stats.norm.sf(limits - shift).mean() + stats.norm.cdf(-limits - shift).mean()
            assert each == pytest.approx(expected, abs=1e-4)


@given(st.floats(0.05, 2), st.floats(0.5, 40))
@settings(max_examples=40, deadline=None)
def test_required_clusters_are_the_fewest_that_do(effect, variance):
    found = required_clusters(effect, variance)
    assert power(effect, np.sqrt(variance / found), found - 2) >= 0.8
    if found > 3:
        assert power(effect, np.sqrt(variance / (found - 1)), found - 3) < 0.8


def test_planned_power_is_what_simulated_cluster_experiments_show():
    size, correlation, effect = 8, 0.3, 0.45
    variance = planned_variance_per_cluster(1.0, size, correlation=correlation)
    clusters = required_clusters(effect, variance) // 2 * 2
    random = np.random.default_rng(1)
    shape = (4000, clusters)
    shared = np.sqrt(correlation) * random.standard_normal(shape)
    means = shared + np.sqrt((1 - correlation) / size) * random.standard_normal(shape)
    means[:, ::2] += effect
    found = stats.ttest_ind(means[:, ::2], means[:, 1::2], axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.03)


def test_unequal_sizes_and_shares_cost_clusters():
    equal = planned_variance_per_cluster(1.0, 10, correlation=0.1)
    assert equal == pytest.approx(1.9 / 10 / 0.25)
    assert planned_variance_per_cluster(1.0, 10, 1.0, 0.1) == pytest.approx(2.9 / 10 / 0.25)
    assert planned_variance_per_cluster(1.0, 10, 0, 0.1, 0.1) == pytest.approx(1.9 / 10 / 0.09)


def test_impossible_plans_are_refused():
    with pytest.raises(ConfigError, match="above the level"):
        minimum_detectable_effect(1.0, 10, target=0.04)
    with pytest.raises(DataError, match="other than zero"):
        required_clusters(0.0, 1.0)
    with pytest.raises(DataError, match="takes more than"):
        required_clusters(1e-9, 1.0)
    with pytest.raises(DataError, match="standard_error"):
        power(1.0, 0.0, 10)
    with pytest.raises(ConfigError, match="correlation"):
        planned_variance_per_cluster(1.0, 10, correlation=-0.1)
