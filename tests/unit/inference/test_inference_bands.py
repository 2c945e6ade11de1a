"""Simultaneous quantiles, bands and step-down p-values, against closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from truelift.errors import ConfigError, DataError
from truelift.inference import directions
from truelift.inference.bands import (
    adjusted_p_values,
    simultaneous_bands,
    simultaneous_quantile,
)
from truelift.inference.contrasts import all_pairs, many_to_one


def correlated(m, rank, seed):
    factor = np.random.default_rng(seed).standard_normal((m, rank))
    return factor @ factor.T


def brute_quantile(covariance, df, confidence, draws=200_000, seed=7):
    random = np.random.default_rng(seed)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    normal = random.standard_normal((draws, len(root))) @ root.T / np.sqrt(np.diag(covariance))
    scale = np.sqrt(random.chisquare(df, draws) / df) if np.isfinite(df) else 1.0
    return np.quantile(np.abs(normal).max(axis=1) / scale, confidence)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("df", [3.0, 39.0, np.inf])
def test_one_estimate_or_copies_of_it_have_students_quantile_without_error(confidence, df):
    copies = np.full((5, 5), 2.5) * np.outer([1, -1, 2, 3, 4], [1, -1, 2, 3, 4])
    for covariance in (np.array([[4.0]]), copies):
        found = simultaneous_quantile(covariance, df, confidence)
        assert found.value == pytest.approx(stats.t.ppf(0.5 + confidence / 2, df), rel=1e-9)
        assert found.monte_carlo_error == 0
        assert found.rank == 1


@pytest.mark.parametrize("m", [2, 10, 60])
def test_independent_normal_estimates_have_sidaks_quantile(m):
    found = simultaneous_quantile(np.diag(np.arange(1.0, m + 1)), np.inf)
    exact = stats.norm.ppf(0.5 + 0.95 ** (1 / m) / 2)
    assert abs(found.value - exact) < 4 * found.monte_carlo_error + 1e-9
    assert found.sidak == pytest.approx(exact)


@pytest.mark.parametrize(("arms", "df"), [(3, 12), (6, 40), (10, 200)])
def test_all_pairs_of_equal_arms_have_tukeys_studentized_range(arms, df):
    pairs = all_pairs([f"arm {a}" for a in range(arms)]).matrix
    found = simultaneous_quantile(pairs @ pairs.T, df)
    exact = stats.studentized_range.ppf(0.95, arms, df) / np.sqrt(2)
    assert abs(found.value - exact) < 4 * found.monte_carlo_error
    assert found.monte_carlo_error < 0.01
    assert found.rank == arms - 1


def test_many_to_one_has_dunnetts_published_value():
    # Dunnett (1964): two-sided, 5%, three treatments, 20 degrees of freedom.
    contrasts = many_to_one(["control", "a", "b", "c"]).matrix
    found = simultaneous_quantile(contrasts @ contrasts.T, 20, draws=100_000)
    assert found.value == pytest.approx(2.54, abs=0.006)


def test_single_step_p_values_are_dunnetts_for_independent_groups():
    random = np.random.default_rng(3)
    groups = random.standard_normal((4, 8)) + np.array([0, 0.3, 0.9, 1.4])[:, None]
    expected = stats.dunnett(*groups[1:], control=groups[0], rng=np.random.default_rng(0)).pvalue
    contrasts = many_to_one(["control", "a", "b", "c"])
    variance = groups.var(axis=1, ddof=1).mean() / 8
    values, covariance = contrasts.apply(groups.mean(axis=1), variance * np.eye(4))
    found = adjusted_p_values(values, covariance, 28, draws=100_000, step_down=False)
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize(("m", "rank", "df"), [(6, 3, 15), (25, 40, 60), (12, 2, np.inf)])
def test_quantile_agrees_with_plain_simulation_singular_or_not(m, rank, df):
    covariance = correlated(m, rank, seed=m)
    found = simultaneous_quantile(covariance, df)
    assert found.rank == min(m, rank)
    assert found.value == pytest.approx(brute_quantile(covariance, df, 0.95), abs=0.02)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(2, 8), st.integers(1, 10), st.integers(2, 100), st.floats(0.5, 0.995), st.integers()
)
def test_bands_are_no_wider_than_sidak_and_bonferroni_and_no_narrower_than_pointwise(
    m, rank, df, confidence, seed
):
    covariance = correlated(m, rank, abs(seed))
    found = simultaneous_quantile(covariance, df, confidence, draws=2000)
    bonferroni = stats.t.ppf(1 - (1 - confidence) / (2 * m), df)
    pointwise = stats.t.ppf(0.5 + confidence / 2, df)
    assert pointwise - 1e-9 <= found.value <= found.sidak + 1e-9 <= bonferroni + 2e-9
    # Scheffe's bound comes from the method itself and not from clipping.
    scheffe = np.sqrt(found.rank * stats.f.ppf(confidence, found.rank, df))
    assert found.value <= scheffe + 1e-9


def test_correlated_estimates_lie_strictly_between_pointwise_and_sidak():
    covariance = 0.5 + 0.5 * np.eye(10)
    found = simultaneous_quantile(covariance, 50)
    assert found.pointwise + 0.3 < found.value < found.sidak - 0.05


def test_the_error_is_below_that_of_counting_exceedances():
    covariance = correlated(30, 4, seed=0)
    found = simultaneous_quantile(covariance, 60)
    radius = np.sqrt(0.95 * 0.05 / found.draws)
    low, high = (brute_quantile(covariance, 60, c) for c in (0.945, 0.955))
    counting = radius * (high - low) / 0.01
    assert found.monte_carlo_error < 0.6 * counting


def test_same_seed_same_quantile_whatever_the_chunks(monkeypatch):
    covariance = correlated(20, 20, seed=1)
    whole = simultaneous_quantile(covariance, 30, draws=3000, seed=5)
    monkeypatch.setattr(directions, "_CHUNK", 20 * 37)
    parts = simultaneous_quantile(covariance, 30, draws=3000, seed=5)
    assert parts.value == pytest.approx(whole.value, rel=1e-12)
    assert simultaneous_quantile(covariance, 30, draws=3000, seed=6).value != whole.value


@pytest.mark.parametrize("covariance", [0.5 + 0.5 * np.eye(8), correlated(8, 3, seed=2)])
def test_last_digits_and_units_of_the_covariance_do_not_move_the_quantile(covariance):
    plain = simultaneous_quantile(covariance, 30, draws=2000)
    noise = np.random.default_rng(0).standard_normal((8, 8)) * 1e-15
    units = np.array([1e-6, 1, 1, 1e6, 3, 2, 1e3, 1])
    other = (covariance + noise + noise.T) * np.outer(units, units)
    found = simultaneous_quantile(other, 30, draws=2000)
    assert found.rank == plain.rank
    assert found.value == pytest.approx(plain.value, rel=1e-12)


def test_turning_the_sign_of_an_estimate_moves_the_quantile_by_simulation_error_alone():
    covariance = correlated(8, 8, seed=2)
    signs = np.array([1, -1, 1, 1, -1, -1, 1, 1])
    plain = simultaneous_quantile(covariance, 30)
    turned = simultaneous_quantile(covariance * np.outer(signs, signs), 30)
    assert turned.value == pytest.approx(plain.value, abs=5 * plain.monte_carlo_error)


def test_a_factor_with_few_columns_stands_for_the_large_matrix():
    factor = np.random.default_rng(4).standard_normal((60, 5)) @ np.diag([1, 1, 1, 1, 0])
    factor[7] = 0
    by_factor = simultaneous_quantile(None, 99, factor=factor)
    by_matrix = simultaneous_quantile(factor @ factor.T, 99)
    assert by_factor.rank == by_matrix.rank == 4
    assert by_factor.estimates == by_matrix.estimates == 59
    assert by_factor.value == pytest.approx(by_matrix.value, rel=1e-9)


def test_a_factor_with_more_columns_than_estimates_is_as_good_as_the_matrix():
    factor = np.random.default_rng(6).standard_normal((4, 30))
    by_factor = simultaneous_quantile(None, 99, factor=factor)
    by_matrix = simultaneous_quantile(factor @ factor.T, 99)
    assert by_factor.value == pytest.approx(by_matrix.value, abs=1e-9)
    factor[0, 0] = np.nan
    with pytest.raises(DataError, match="not finite"):
        simultaneous_quantile(None, 99, factor=factor)


def test_two_thousand_estimates_of_few_clusters_need_no_large_matrix():
    factor = np.random.default_rng(5).standard_normal((2000, 12))
    found = simultaneous_quantile(None, 11, factor=factor, draws=2000)
    scheffe = np.sqrt(12 * stats.f.ppf(0.95, 12, 11))
    assert found.pointwise < found.value < scheffe


def test_a_certain_estimate_takes_no_part():
    covariance = np.diag([1.0, 0.0, 2.0, 0.0])
    estimates = np.array([0.1, 5.0, 3.0, 0.0])
    with_certain = simultaneous_bands(estimates, covariance, 20)
    without = simultaneous_bands(estimates[[0, 2]], covariance[np.ix_([0, 2], [0, 2])], 20)
    assert with_certain.quantile.value == without.quantile.value
    assert with_certain.p_values_adjusted[[1, 3]].tolist() == [0.0, 1.0]
    assert with_certain.lower[1] == with_certain.upper[1] == 5.0
    np.testing.assert_array_equal(with_certain.p_values_adjusted[[0, 2]], without.p_values_adjusted)


def test_no_estimate_with_a_variance_is_no_simulation():
    found = simultaneous_bands(np.array([0.0, 1.0]), np.zeros((2, 2)), 9)
    assert found.quantile.estimates == 0
    assert found.p_values_adjusted.tolist() == [1.0, 0.0]


def test_step_down_p_values_agree_with_plain_simulation():
    covariance = correlated(5, 5, seed=9)
    error = np.sqrt(np.diag(covariance))
    statistic = np.array([2.4, -0.3, 3.1, 1.5, -2.1])
    found = adjusted_p_values(statistic * error, covariance, 25)
    random = np.random.default_rng(1)
    draws = random.multivariate_normal(np.zeros(5), covariance, 200_000) / error
    draws = np.abs(draws / np.sqrt(random.chisquare(25, (200_000, 1)) / 25))
    order, largest = np.argsort(-np.abs(statistic)), 0.0
    for place, j in enumerate(order):
        exceeded = draws[:, order[place:]].max(axis=1) >= abs(statistic[j])
        largest = max(largest, exceeded.mean())
        assert found[j] == pytest.approx(largest, abs=0.005)


def test_step_down_is_never_above_single_step_and_never_below_the_plain_p_value():
    covariance = correlated(12, 6, seed=10)
    estimates = np.random.default_rng(11).standard_normal(12) * 2 * np.sqrt(np.diag(covariance))
    bands = simultaneous_bands(estimates, covariance, 30)
    single = adjusted_p_values(estimates, covariance, 30, step_down=False)
    assert np.all(bands.p_values_adjusted <= single + 1e-12)
    assert np.all(bands.p_values_adjusted >= bands.p_values)
    assert np.any(bands.p_values_adjusted < single - 1e-4)


def test_single_step_p_value_and_band_decide_alike():
    covariance = correlated(9, 9, seed=12)
    error = np.sqrt(np.diag(covariance))
    estimates = np.linspace(0, 4, 9) * error
    bands = simultaneous_bands(estimates, covariance, 40)
    single = adjusted_p_values(estimates, covariance, 40, step_down=False)
    np.testing.assert_array_equal(single < 0.05, bands.lower > 0)


def test_tiny_p_values_are_not_cut_off_by_the_number_of_draws():
    found = adjusted_p_values(np.array([12.0, 0.0]), np.eye(2), np.inf, draws=1000)
    assert found[0] == pytest.approx(2 * 2 * stats.norm.sf(12), rel=0.5)


def test_impossible_matrices_are_refused_with_what_to_do():
    impossible = np.array([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])
    with pytest.raises(DataError, match="two_way_covariance"):
        simultaneous_quantile(impossible, 10)
    with pytest.raises(DataError, match="below zero"):
        simultaneous_quantile(np.diag([1.0, -1.0]), 10)
    with pytest.raises(DataError, match="not symmetric"):
        simultaneous_quantile(np.array([[1.0, 0.5], [0.1, 1.0]]), 10)
    with pytest.raises(DataError, match="not finite"):
        simultaneous_quantile(np.array([[1.0, np.nan], [np.nan, 1.0]]), 10)
    with pytest.raises(DataError, match="1 of 2 estimates"):
        simultaneous_bands(np.array([1.0, np.inf]), np.eye(2), 10)
    with pytest.raises(DataError, match="shape"):
        simultaneous_quantile(np.ones((2, 3)), 10)
    with pytest.raises(DataError, match="shape"):
        simultaneous_bands(np.zeros(3), np.eye(2), 10)
    with pytest.raises(DataError, match="degrees of freedom"):
        simultaneous_quantile(np.eye(2), 0)
    with pytest.raises(DataError, match="either"):
        simultaneous_quantile(None, 10)
    with pytest.raises(ConfigError, match="draws"):
        simultaneous_quantile(np.eye(2), 10, draws=3)
    with pytest.raises(ConfigError, match=r"0\.95"):
        simultaneous_quantile(np.eye(2), 10, confidence=95)


def test_the_table_has_one_row_an_estimate():
    bands = simultaneous_bands(np.array([3.0, 0.1]), np.eye(2), 50, names=("first", "second"))
    table = bands.to_pandas()
    assert table["name"].tolist() == ["first", "second"]
    assert (table["lower"] < table["estimates"]).all()
    assert "1 away from zero" in repr(bands)
    assert "pointwise 2.0086" in repr(bands.quantile)


@pytest.mark.parametrize("rank", [2, 4, 6, 8])
@pytest.mark.parametrize("df", [1, 2.5, 30, 4e5])
def test_tails_of_even_rank_are_those_of_fishers_distribution(rank, df):
    reach = np.concatenate([np.linspace(0.01, 1, 300), [1e-20]])
    for t in (1e-3, 1.0, 2.4, 9.0, 60.0):
        found = directions.exceeds(t, reach, rank, df)
        wanted = stats.f.sf(np.square(t / reach) / rank, rank, df)
        assert found == pytest.approx(wanted, rel=1e-9, abs=1e-290)


@pytest.mark.parametrize("rank", [2, 3, 7, 8, 12])
@pytest.mark.parametrize("df", [1.0, 4, 200, np.inf])
def test_a_quantile_is_exceeded_with_the_probability_that_was_asked(rank, df):
    reach = np.random.default_rng(rank).beta(8, 2, 5_000)
    for confidence in (0.5, 0.95, 0.9999):
        t = directions.quantile(reach, rank, df, confidence, 1e-9, 1e6)
        chance = directions.exceeds(t, reach, rank, df).mean()
        assert chance == pytest.approx(1 - confidence, rel=1e-10)
        # Bounds hold where the root lies beyond them.
        assert directions.quantile(reach, rank, df, confidence, 2 * t, 3 * t) == 2 * t
        assert directions.quantile(reach, rank, df, confidence, t / 3, t / 2) == t / 2
