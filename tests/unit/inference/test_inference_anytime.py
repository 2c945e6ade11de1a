"""Confidence sequences: the boundary's definition, and what a hundred looks cost."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from truelift.errors import ConfigError, DataError
from truelift.inference.anytime import (
    AnytimeOptions,
    boundary,
    confidence_sequence,
    mixture_scale,
    one_sided_boundary,
)

OPTIONS = AnytimeOptions(confidence=0.95, tightest_at=5000, first_look=100)


def growing_experiments(repetitions, looks, per_look, draw, seed):
    """Running cluster counts, means and standard errors of experiments without an effect."""
    random = np.random.default_rng(seed)
    sums = np.zeros((2, repetitions))
    rows = []
    for look in range(1, looks + 1):
        values = draw(random, (repetitions, per_look))
        sums += values.sum(axis=1), np.square(values).sum(axis=1)
        t = look * per_look
        mean = sums[0] / t
        rows.append((mean, np.sqrt((sums[1] / t - mean**2) / (t - 1))))
    clusters = np.arange(1, looks + 1) * per_look
    return clusters, *(np.stack(part, axis=1) for part in zip(*rows, strict=True))


def test_boundary_is_the_formula_of_the_paper():
    t, rho, alpha, sigma = 700.0, 0.05, 0.1, 3.0
    x = t * rho**2
    expected = sigma * np.sqrt(2 * (x + 1) / (t**2 * rho**2) * np.log(np.sqrt(x + 1) / alpha))
    assert boundary(t, rho, 0.9) * sigma / np.sqrt(t) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
def test_rho_makes_the_interval_tightest_where_asked(confidence):
    rho = mixture_scale(confidence, 5000)
    best = optimize.minimize_scalar(
        lambda log_rho: boundary(5000, np.exp(log_rho), confidence),
        bounds=(-12, 2),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert boundary(5000, rho, confidence) == pytest.approx(best.fun, rel=1e-10)
    alpha = 1 - confidence
    # The paper's closed form is an approximation to the same.
    approximate = np.sqrt((-2 * np.log(alpha) + np.log(-2 * np.log(alpha) + 1)) / 5000)
    assert rho == pytest.approx(approximate, rel=0.1)


def test_boundary_is_where_the_mixture_reaches_one_over_alpha():
    t, rho, alpha = 400.0, 0.07, 0.05
    total = boundary(t, rho, 1 - alpha) * np.sqrt(t)

    def mixed(drift):
        return np.exp(drift * total - drift**2 * t / 2) * stats.norm.pdf(drift, scale=rho)

    assert integrate.quad(mixed, -1, 1, epsrel=1e-10)[0] == pytest.approx(1 / alpha, rel=1e-6)


def test_one_sided_boundary_is_just_beyond_the_half_normal_mixture():
    t, rho, alpha = 400.0, 0.07, 0.05
    total = one_sided_boundary(t, rho, 1 - alpha) * np.sqrt(t)

    def mixed(drift):
        return 2 * np.exp(drift * total - drift**2 * t / 2) * stats.norm.pdf(drift, scale=rho)

    reached = integrate.quad(mixed, 0, 1, epsrel=1e-10)[0]
    assert 1 / alpha <= reached < 1.03 / alpha
    assert one_sided_boundary(t, rho, 0.95) < boundary(t, rho, 0.95)


def test_a_hundred_looks_reject_a_true_null_in_at_most_five_of_a_hundred_experiments():
    clusters, means, errors = growing_experiments(
        2000, 100, 100, lambda random, shape: random.standard_normal(shape), seed=1
    )
    limit = boundary(clusters, mixture_scale(0.95, 5000), 0.95)
    always = np.mean(np.any(np.abs(means) > limit * errors, axis=1))
    peeking = np.mean(np.any(np.abs(means) > 1.96 * errors, axis=1))
    assert 0.01 < always <= 0.05
    assert peeking > 0.3


def test_skewed_clusters_keep_the_promise_once_the_first_look_is_late_enough():
    clusters, means, errors = growing_experiments(
        1500, 100, 100, lambda random, shape: random.exponential(size=shape) - 1, seed=2
    )
    limit = boundary(clusters, mixture_scale(0.95, 5000), 0.95)
    late = clusters >= 500
    wrong = np.any((np.abs(means) > limit * errors)[:, late], axis=1)
    assert 0.005 < wrong.mean() <= 0.05


def test_one_sided_bound_is_crossed_by_at_most_five_of_a_hundred_experiments():
    clusters, means, errors = growing_experiments(
        2000, 100, 100, lambda random, shape: random.standard_normal(shape), seed=3
    )
    limit = one_sided_boundary(clusters, mixture_scale(0.9, 5000), 0.95)
    wrong = np.mean(np.any(means > limit * errors, axis=1))
    assert 0.01 < wrong <= 0.05


def test_sequence_is_silent_before_the_first_look():
    found = confidence_sequence([50, 100, 200], [9.0, 0.5, 0.4], [0.1, 0.1, 0.1], OPTIONS)
    assert found.lower[0] == -np.inf
    assert found.upper[0] == np.inf
    assert found.p_values[0] == 1
    assert np.all(np.isfinite(found.lower[1:]))
    assert "for all looks" in repr(found)
    assert found.to_pandas()["clusters"].tolist() == [50, 100, 200]


def test_p_value_is_the_level_at_which_the_interval_just_reaches_zero():
    found = confidence_sequence([400], [0.31], [0.1], OPTIONS)
    level = found.p_values[0]
    assert 0 < level < 1
    assert boundary(400, found.rho, 1 - level) * 0.1 == pytest.approx(0.31)


def test_p_values_never_rise_and_agree_with_the_interval_at_the_look_that_decides():
    clusters, means, errors = growing_experiments(
        1, 60, 100, lambda random, shape: random.standard_normal(shape) + 0.06, seed=4
    )
    found = confidence_sequence(clusters, means[0], errors[0], OPTIONS)
    assert np.all(np.diff(found.p_values) <= 0)
    excludes = (found.lower > 0) | (found.upper < 0)
    assert excludes.any()
    np.testing.assert_array_equal(np.maximum.accumulate(excludes), found.p_values < 0.05)


def test_always_valid_costs_about_half_again_at_the_tightest_look():
    assert 1.5 < boundary(5000, mixture_scale(0.95, 5000), 0.95) / 1.96 < 1.6


def test_impossible_looks_and_options_are_refused():
    with pytest.raises(DataError, match="order the looks"):
        confidence_sequence([200, 100], [0, 0], [1, 1], OPTIONS)
    with pytest.raises(DataError, match="one number of clusters"):
        confidence_sequence([200], [0, 0], [1, 1], OPTIONS)
    with pytest.raises(DataError, match="not finite"):
        confidence_sequence([200], [np.nan], [1], OPTIONS)
    with pytest.raises(ConfigError, match="first_look"):
        AnytimeOptions(tightest_at=10, first_look=100)
    with pytest.raises(ConfigError, match="confidence"):
        AnytimeOptions(confidence=1.0)
