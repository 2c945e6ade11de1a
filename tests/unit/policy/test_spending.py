"""A budget spent on units in memory: limits, lots and capacities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from truelift.errors import ConfigError
from truelift.policy.allocation_options import AllocateOptions
from truelift.policy.budget.path import Offers
from truelift.policy.budget.spending import Held, spend
from truelift.policy.options import RewardOptions
from truelift.report.plots.policy import budget_curve

OPTIONS = AllocateOptions(RewardOptions("sales"), budget=60, points=4)


@pytest.fixture(scope="module")
def held() -> Held:
    rng = np.random.default_rng(3)
    n = 400
    effect = rng.normal(0.3, 1, (n, 2))
    offers = Offers(effect, effect + rng.normal(size=(n, 2)), rng.uniform(0.2, 1, (n, 2)))
    names = pa.array([f"u{i}" for i in range(n)])
    return Held(offers, float(n), names, names, np.zeros(n, int), np.repeat(["a", "b"], n // 2))


def spent(held: Held, options: AllocateOptions):
    return spend(held, ("none", "mail", "call"), options, "orders", "salt")


def test_the_budget_is_kept_and_the_path_ends_where_nothing_gains(held):
    result = spent(held, OPTIONS).result
    assert 59 < result.spend <= 60
    assert result.path[-1].budget == pytest.approx(result.whole)
    assert sum(result.shares.values()) == pytest.approx(1)
    assert result.limits_cost is None
    assert not result.levels


def test_floors_are_met_and_what_they_take_is_told(held):
    found = spent(held, replace(OPTIONS, limit_by="g", floors={"b": 0.45})).result
    assert [level.level for level in found.levels] == ["a", "b"]
    assert found.levels[1].within >= 0.45 > found.levels[1].without
    assert found.limits_cost is not None
    assert found.spend <= 60


def test_an_unknown_level_is_refused(held):
    with pytest.raises(ConfigError, match="no level 'c'"):
        spent(held, replace(OPTIONS, limit_by="g", floors={"c": 0.1}))


def test_lots_are_paid_from_the_budget(held):
    found = spent(held, replace(OPTIONS, exploration=0.2))
    assert found.result.spend <= 60
    assert found.propensity.min() == pytest.approx(0.2 / 3)
    with pytest.raises(ConfigError, match="exploration"):
        spent(held, replace(OPTIONS, budget=5, exploration=0.5))


def test_the_path_is_drawn_and_told(held):
    result = spent(held, OPTIONS).result
    assert budget_curve(result, "narrow").axes
    assert "Targeting gains" in result.summary()
