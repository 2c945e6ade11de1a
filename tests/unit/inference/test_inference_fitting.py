"""What fitted linear models add to a variance: their coefficients over independent units."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.inference.fitting_variance import fitting_variance


def test_models_of_p_features_and_an_intercept_add_their_coefficients_over_n():
    found = fitting_variance(np.diag([1.0, 4.0, 9.0]), 0.0, 1000.0, 1.0, 5, 2)
    assert found == pytest.approx(2 * (1 + 3) * 5 / 4 / 1000)


def test_clusters_that_share_their_group_count_as_fewer_units_and_never_as_more():
    one, eight, half = (fitting_variance(np.eye(2), 0.0, 1e4, d, 5, 1) for d in (1.0, 8.0, 0.5))
    assert eight == pytest.approx(8 * one)
    assert half == one


def test_ridge_counts_as_the_trace_of_its_smoother_whatever_the_features_units():
    x = np.random.default_rng(1).normal(size=(50, 3)) @ [[1, 0.5, 0], [0, 1, 0.9], [0, 0, 0.2]]
    c = np.corrcoef(x.T)
    expected = 1 + np.trace(c @ np.linalg.inv(c + 0.3 * np.eye(3)))
    for scaled in (x, x * [1.0, 10.0, 1e-3]):
        found = fitting_variance(np.cov(scaled.T), 0.3, 100.0, 1.0, 2, 1)
        assert found == pytest.approx(expected * 2 / 100)
