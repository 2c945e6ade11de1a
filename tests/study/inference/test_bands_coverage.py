"""Bands cover all estimates at once, step-down keeps its level, and errors are as stated."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.inference.bands import adjusted_p_values, simultaneous_quantile

pytestmark = pytest.mark.study


def test_stated_monte_carlo_error_is_the_spread_over_seeds():
    covariance = 0.3 + 0.7 * np.eye(15)
    runs = [simultaneous_quantile(covariance, 30, draws=1000, seed=s) for s in range(120)]
    spread = np.std([run.value for run in runs])
    stated = np.mean([run.monte_carlo_error for run in runs])
    assert 0.8 < stated / spread < 1.25


def test_bands_cover_all_twenty_estimates_at_once_in_ninety_five_of_a_hundred():
    random = np.random.default_rng(20)
    groups, m, repetitions = 60, 20, 1000
    mixing = np.linalg.cholesky(0.4 + 0.6 * np.eye(m))
    held = pointwise_held = 0
    for _ in range(repetitions):
        influence = random.standard_normal((groups, m)) @ mixing.T
        estimates = influence.mean(axis=0)
        centred = influence - estimates
        covariance = centred.T @ centred / groups / (groups - 1)
        error = np.sqrt(np.diag(covariance))
        quantile = simultaneous_quantile(covariance, groups - 1, draws=300)
        largest = np.max(np.abs(estimates) / error)
        held += largest <= quantile.value
        pointwise_held += largest <= quantile.pointwise
    # Three standard errors of the simulation are 0.02; pointwise intervals fail far below.
    assert held / repetitions == pytest.approx(0.95, abs=0.02)
    assert pointwise_held / repetitions < 0.65


def test_step_down_rejects_a_true_null_in_at_most_five_of_a_hundred_families():
    random = np.random.default_rng(21)
    covariance = 0.5 + 0.5 * np.eye(6)
    truth = np.array([0, 0, 0, 4.0, 4.0, 0])
    wrong = 0
    for _ in range(600):
        estimates = random.multivariate_normal(truth, covariance)
        wrong += np.any(adjusted_p_values(estimates, covariance, np.inf, 500)[truth == 0] < 0.05)
    assert 0.02 < wrong / 600 < 0.075
