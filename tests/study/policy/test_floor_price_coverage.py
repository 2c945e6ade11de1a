"""What floors and caps take from the gain of a budget: intervals along the path, and their band."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.policy.budget.comparing import price_of_limits
from truelift.policy.budget.limits import Limits
from truelift.policy.budget.path import Offers, budget_path
from truelift.policy.values import figures

pytestmark = pytest.mark.study

UNITS, REPETITIONS, WITH_BAND = 2_000, 200, 50


def draw(units: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Groups, effects (lower in the second one), and costs that go with the effects."""
    group = (rng.random(units) < 0.4).astype(int)
    effect = rng.normal(0.25, 1, (units, 2)) - 0.5 * group[:, None]
    return group, effect, np.exp(0.4 * rng.normal(size=(units, 2)) + 0.3 * effect)


@pytest.mark.parametrize(("floor", "cap"), [(0.75, 1.0), (0.0, 0.3)])
def test_intervals_of_what_limits_take_hold_along_the_path(floor: float, cap: float) -> None:
    # A floor on the group that gains less, or a cap on the one that gains more; pairs of units share noise.
    rng = np.random.default_rng(1)

    def limits(group: np.ndarray) -> Limits:
        return Limits(group, np.array([0.0, floor]), np.array([cap, 1.0]))

    group, effect, cost = draw(200_000, rng)
    large = budget_path(Offers(effect, effect, cost))
    budgets = np.array([0.3, 0.5, 0.7, 0.9]) * large.whole
    truth = price_of_limits(large, limits(group), budgets)[1].estimates  # type: ignore[union-attr]
    alone, together = [], []
    for number in range(REPETITIONS):
        group, effect, cost = draw(UNITS, rng)
        shared = np.repeat(rng.normal(size=(UNITS // 2, 2)), 2, axis=0)
        score = effect + shared + rng.normal(size=(UNITS, 2))
        path = budget_path(Offers(effect, score, cost, np.repeat(np.arange(UNITS // 2), 2)))
        found = price_of_limits(path, limits(group), budgets)[1]
        assert found is not None
        apart = np.abs(found.estimates - truth) / np.sqrt(np.diag(found.covariance))
        alone.append(apart < 1.96)
        if number < WITH_BAND:  # which takes draws of its own
            told = figures(found, [""] * len(budgets), 0.95)
            inside = [f.band_lower <= t <= f.band_upper for f, t in zip(told, truth, strict=True)]
            together.append(all(inside))
    # 200 repetitions of .95 have a standard error of .015.
    assert (np.abs(np.mean(alone, axis=0) - 0.95) < 0.045).all(), np.mean(alone, axis=0)
    # 50 of them, .031.
    assert np.mean(together) > 0.95 - 3 * 0.031, np.mean(together)
