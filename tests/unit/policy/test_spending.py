"""A budget spent on units in memory: limits, lots and capacities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from truelift.errors import ConfigError, NotSupportedError
from truelift.policy.allocation_options import AllocateOptions
from truelift.policy.budget.comparing import price_of_limits
from truelift.policy.budget.estimated_costs import forecast_costs, ratios_of_effects
from truelift.policy.budget.limits import Limits, allocate
from truelift.policy.budget.path import Offers, budget_path, gains_at
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


def test_a_floor_above_the_share_that_may_be_treated_is_refused(held):
    may = np.ones(held.offers.cost.shape, bool)
    may[held.group == "b"] = np.random.default_rng(0).random((200, 1)) < 0.3
    some = replace(held, offers=replace(held.offers, allowed=may))
    with pytest.raises(ConfigError, match=r"floors.b: found 0.45, and [23]\d.\d% of its units may"):
        spent(some, replace(OPTIONS, limit_by="g", floors={"b": 0.45}))
    assert (
        spent(some, replace(OPTIONS, limit_by="g", floors={"b": 0.2})).result.levels[1].within
        >= 0.2
    )


def test_the_price_of_a_floor_is_told_at_every_budget_of_the_path_that_pays_for_it(held):
    limited = replace(OPTIONS, budget=100, points=6, limit_by="g", floors={"b": 0.8})
    found = spent(held, limited).result
    takes = [point.limits_take for point in found.path]
    assert takes[0] is None
    assert "cannot pay for the floors" in found.summary()
    # A floor asks less of a larger budget, and nothing of one that treats all who gain.
    estimates = [take.estimate for take in takes[1:]]
    assert estimates[0] > estimates[1] > estimates[2] > 0
    assert estimates[-1] == pytest.approx(0.0)
    assert takes[1].band_lower < takes[1].ci_lower < takes[1].estimate
    assert found.to_pandas().limits_take[1:].tolist() == pytest.approx(estimates)


def test_the_price_at_a_budget_is_what_two_allocations_of_it_gain_apart(held):
    offers = held.offers
    path = budget_path(offers)
    group = (held.group == "b").astype(np.int64)
    limits = Limits(group, np.array([0.0, 0.5]), np.ones(2))
    budget = 0.3 * path.whole
    payable, less = price_of_limits(path, limits, np.array([1e-6, budget]))
    rows = np.arange(len(group))

    def gain(arm):
        return np.where(arm >= 0, offers.score[rows, np.maximum(arm, 0)], 0.0).mean()

    assert payable.tolist() == [1]
    within = allocate(offers, budget, limits, 1e-4).arm
    assert less.estimates[0] == pytest.approx(gain(path.arms_at(budget)) - gain(within))


def test_a_limit_that_binds_nowhere_has_no_price_and_no_error(held):
    path = budget_path(held.offers)
    group = (held.group == "b").astype(np.int64)
    idle = Limits(group, np.array([0.0, 1e-9]), np.ones(2))
    _, less = price_of_limits(path, idle, np.array([0.4, 0.8]) * path.whole)
    # Prices are halved until the spend is near the budget, so a unit or two may differ.
    gains = np.abs(held.offers.score).mean()
    assert np.abs(less.estimates).max() < 0.02 * gains
    binding = Limits(group, np.array([0.0, 0.9]), np.ones(2))
    _, more = price_of_limits(path, binding, np.array([0.8 * path.whole]))
    assert np.sqrt(less.covariance[1, 1]) < 0.1 * np.sqrt(more.covariance[0, 0])


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


def test_scores_of_costs_that_are_the_costs_change_nothing(held):
    known = held.offers
    estimated = replace(known, scored_cost=known.cost)
    budgets = np.array([0.2, 0.7]) * budget_path(known).whole
    plain, scored = (gains_at([budget_path(o)], budgets) for o in (known, estimated))
    np.testing.assert_allclose(plain.estimates, scored.estimates)
    np.testing.assert_allclose(plain.covariance, scored.covariance)


def test_the_ratio_of_effects_is_gain_by_cost_where_all_get_the_arm():
    offers = Offers(
        np.ones((4, 1)), np.array([[1.0], [3.0], [2.0], [2.0]]), np.ones((4, 1)),
        scored_cost=np.array([[0.5], [1.5], [1.0], [1.0]]),
    )  # fmt: skip
    found = ratios_of_effects(offers)
    assert found.estimates[0] == pytest.approx(2.0)
    assert found.covariance[0, 0] == pytest.approx(0.0)  # gain and cost go together


def test_no_unit_is_forecast_to_cost_less_than_a_tenth_of_the_mean():
    paid = np.array([[1.0], [1.2], [0.8], [1.0]])
    kept = forecast_costs(np.array([[-1.0], [0.0], [2.0], [0.5]]), paid, np.ones(4), ("no", "mail"), "spend")  # fmt: skip
    assert kept[:, 0].tolist() == pytest.approx([0.1, 0.1, 2.0, 0.5])


def test_an_arm_that_costs_nothing_by_its_scores_has_no_price():
    paid = np.array([[1.0], [-1.2], [0.8], [-0.9]])
    with pytest.raises(NotSupportedError, match="mail costs"):
        forecast_costs(paid, paid, np.ones(4), ("no", "mail"), "spend")


def test_whether_an_arm_costs_anything_is_judged_by_clusters_of_units():
    paid = np.repeat([[2.0], [-0.2], [1.2], [-0.4]], 25, axis=0)  # four people, 25 orders each
    asked = (paid, paid, np.ones(100), ("no", "mail"), "spend")
    assert forecast_costs(*asked).min() > 0
    with pytest.raises(NotSupportedError, match="mail costs"):
        forecast_costs(*asked, np.repeat(np.arange(4), 25))


def test_what_arms_gain_for_estimated_money_is_told(held):
    rng = np.random.default_rng(5)
    noise = 0.3 * rng.normal(size=held.offers.cost.shape)
    estimated = replace(held.offers, scored_cost=held.offers.cost + noise)
    asked = replace(OPTIONS, reward=RewardOptions("sales", cost_outcome="spend"))
    found = spent(replace(held, offers=estimated), asked).result
    assert "Costs are the effects on spend" in found.summary()
    assert found.spend <= 60
