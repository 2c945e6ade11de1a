"""Robust empirical Bayes: its critical values against linear programming, and what shrinking does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.stats import norm

from truelift.inference.robust_shrinkage import critical_value, most_missed, robust_shrinkage


@pytest.mark.parametrize(
    ("second_moment", "kurtosis", "critical"), [(1.0, 3.0, 3.0), (0.2, 20.0, 2.2), (4.0, 1.5, 4.0)]
)
def test_the_worst_distribution_is_that_of_linear_programming(second_moment, kurtosis, critical):
    t = np.append(np.linspace(0.0, critical + 8.0, 900) ** 2, [1e4, 1e5])
    missed = norm.sf(critical - np.sqrt(t)) + norm.cdf(-critical - np.sqrt(t))
    worst = linprog(
        -missed, A_eq=[np.ones_like(t), t], b_eq=[1.0, second_moment], A_ub=[t**2],
        b_ub=[kurtosis * second_moment**2], method="highs",
    )  # fmt: skip
    assert most_missed(second_moment, kurtosis, critical) == pytest.approx(-worst.fun, rel=1e-3)


def test_without_bias_the_critical_value_is_the_normal_one():
    assert critical_value(1e-9, 3.0, 0.95) == pytest.approx(norm.ppf(0.975), abs=1e-4)


def test_heavier_tails_ask_for_more():
    found = [critical_value(1.0, kurtosis, 0.95) for kurtosis in (1.0, 3.0, 10.0, 1e6)]
    assert found == sorted(found) and found[-1] > found[0] + 0.1


def test_shrinking_does_not_hang_on_units_or_origin():
    rng = np.random.default_rng(2)
    values, errors = rng.normal(size=12), rng.uniform(0.3, 0.8, 12)
    found, other = (
        robust_shrinkage(a + b * values, b * errors, 0.9) for a, b in ((0.0, 1.0), (7.0, 3.0))
    )
    assert other.values == pytest.approx(7.0 + 3.0 * found.values)
    assert other.half == pytest.approx(3.0 * found.half)


def test_what_is_noisy_is_drawn_further():
    errors = np.array([0.1, 0.2, 0.4, 0.8, 1.6, 0.3])
    found = robust_shrinkage(np.array([0.0, 2.0, 1.0, 3.0, -1.0, 0.5]), errors, 0.95)
    order = np.argsort(errors)
    assert (np.diff(found.weights[order]) < 0).all() and (found.weights < 1).all()


def test_what_all_estimates_share_is_neither_spread_nor_shrunken():
    rng = np.random.default_rng(0)
    held, without = [], []
    for _ in range(60):
        effects = rng.normal(size=30)
        # Arms of one size against one control: half of every variance is the control's.
        values = effects + rng.normal(size=30) - rng.normal()
        for common, covered in ((1.0, held), (0.0, without)):
            found = robust_shrinkage(values, np.full(30, np.sqrt(2.0)), 0.95, common)
            covered.append((np.abs(found.values - effects) <= found.half).mean())
    assert np.mean(held) > 0.93 and np.mean(without) < 0.8
