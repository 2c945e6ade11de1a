"""Intervals of a budget path hold its gains where costs, too, are effects known by their scores alone."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.policy.budget.estimated_costs import forecast_costs, ratios_of_effects
from truelift.policy.budget.path import Offers, budget_path, gains_at

pytestmark = pytest.mark.study


def draw(rng: np.random.Generator, units: int) -> tuple[np.ndarray, np.ndarray]:
    effect = rng.normal(0.3, 1, (units, 2))
    return effect, np.exp(0.4 * rng.normal(size=(units, 2)) + 0.3 * effect)


def test_gains_at_budgets_and_ratios_of_effects_are_held_where_costs_are_estimated() -> None:
    n, repetitions = 2000, 250
    rng = np.random.default_rng(2)
    effect, cost = draw(rng, 400_000)
    large = Offers(2 * effect, effect, cost)
    path = budget_path(large)
    budgets = np.array([0.15, 0.4, 0.8]) * path.whole
    truth = np.concatenate([path.gain_at(budgets), ratios_of_effects(large).estimates])
    inside, spent = [], []
    for _ in range(repetitions):
        effect, cost = draw(rng, n)
        shared = np.repeat(rng.normal(size=(n // 2, 2)), 2, axis=0)
        score = effect + shared + rng.normal(size=(n, 2))
        paid = cost + 0.5 * shared + 0.7 * rng.normal(size=(n, 2))
        kept = forecast_costs(cost, paid, np.ones(n), ("none", "a", "b"), "paid")
        offers = Offers(2 * effect, score, kept, np.repeat(np.arange(n // 2), 2), scored_cost=paid)
        own = budget_path(offers)
        found, ratios = gains_at([own], budgets), ratios_of_effects(offers)
        estimates = np.concatenate([found.estimates, ratios.estimates])
        errors = np.sqrt(np.concatenate([np.diag(found.covariance), np.diag(ratios.covariance)]))
        inside.append((estimates - truth) / errors)
        arm = own.arms_at(budgets[1])
        rows = np.flatnonzero(arm >= 0)
        spent.append(cost[rows, arm[rows]].sum() / n / budgets[1])
    cover = (np.abs(np.array(inside)) < 1.96).mean(axis=0)
    # 250 repetitions of .95 have a standard error of .014.
    assert (np.abs(cover - 0.95) < 0.042).all(), cover
    # What is really spent is the budget, on average: a budget is met in expectation.
    assert abs(np.mean(spent) - 1) < 4 * np.std(spent) / np.sqrt(repetitions) + 0.002
