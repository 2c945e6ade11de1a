"""Intervals of a budget path hold its gains: the budget fixes a price that is estimated too."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.policy.budget.path import Offers, budget_path, gains_at

pytestmark = pytest.mark.study


def worlds(repetitions: int, factor: float):
    """t statistics of the gain at three budgets, forecasts ``factor`` times the effects; pairs of units."""
    n = 2000
    rng = np.random.default_rng(1)

    def draw(units: int):
        effect = rng.normal(0.2, 1, (units, 2))
        # Cost goes with the effect, so the budget's own part of the variance matters.
        return effect, np.exp(0.4 * rng.normal(size=(units, 2)) + 0.5 * effect)

    effect, cost = draw(400_000)
    large = budget_path(Offers(factor * effect, effect, cost))
    budgets = np.array([0.15, 0.4, 0.8]) * large.whole
    truth = large.gain_at(budgets)
    inside = []
    for _ in range(repetitions):
        effect, cost = draw(n)
        shared = np.repeat(rng.normal(size=(n // 2, 2)), 2, axis=0)
        score = effect + shared + rng.normal(size=(n, 2))
        path = budget_path(Offers(factor * effect, score, cost, np.repeat(np.arange(n // 2), 2)))
        found = gains_at([path], budgets)
        inside.append((found.estimates - truth) / np.sqrt(np.diag(found.covariance)))
    return np.array(inside)


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_intervals_of_gains_hold_also_where_forecasts_are_not_calibrated(factor: float) -> None:
    found = worlds(1000, factor)
    cover = (np.abs(found) < 1.96).mean(axis=0)
    # 1,000 repetitions of .95 have a standard error of .007.
    assert (np.abs(cover - 0.95) < 0.021).all(), cover
