"""Budget paths equal a linear programme's optimum, point by point; allocations keep within limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from truelift.errors import ConfigError, DataError
from truelift.policy.budget.limits import Limits, allocate
from truelift.policy.budget.path import (
    Offers,
    area,
    budget_path,
    checked_budgets,
    difference,
    gains_at,
)


def offers(seed: int, n: int, arms: int) -> Offers:
    rng = np.random.default_rng(seed)
    forecast = rng.normal(0.3, 1, (n, arms))
    return Offers(forecast, forecast, rng.uniform(0.1, 2, (n, arms)))


def best_gain(given: Offers, budget: float) -> float:
    """The optimum of the linear programme over shares of units' arms."""
    n, arms = given.cost.shape
    one_arm = np.kron(np.eye(n), np.ones(arms))
    found = linprog(
        -given.forecast.ravel() / n,
        A_ub=np.vstack([one_arm, given.cost.ravel() / n]),
        b_ub=np.append(np.ones(n), budget),
    )
    return -found.fun


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10**6), n=st.integers(1, 12), arms=st.integers(1, 4),
    share=st.floats(0.01, 1.2),
)  # fmt: skip
def test_every_point_of_the_path_is_the_linear_programmes_optimum(
    seed: int, n: int, arms: int, share: float
) -> None:
    given_offers = offers(seed, n, arms)
    path = budget_path(given_offers)
    budget = share * max(path.whole, 0.1)
    assert path.gain_at(np.array([budget]))[0] == pytest.approx(
        best_gain(given_offers, budget), abs=1e-8
    )


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 30), arms=st.integers(1, 4))
def test_spend_rises_and_prices_fall_along_the_path(seed: int, n: int, arms: int) -> None:
    path = budget_path(offers(seed, n, arms))
    assert (np.diff(path.spend) > 0).all()
    assert (np.diff(path.slope.ravel()[path.order]) <= 0).all()


def test_arms_at_a_budget_cost_what_the_path_says() -> None:
    given_offers = offers(1, 50, 3)
    path = budget_path(given_offers)
    for step in (1, 7, len(path.order)):
        arm = path.arms_at(path.spend[step])
        rows = np.flatnonzero(arm >= 0)
        assert given_offers.cost[rows, arm[rows]].sum() / 50 == pytest.approx(path.spend[step])


def test_an_arm_that_is_not_allowed_is_given_to_nobody() -> None:
    given_offers = offers(2, 40, 2)
    allowed = np.ones((40, 2), bool)
    allowed[:20, 1] = False
    path = budget_path(
        Offers(given_offers.forecast, given_offers.score, given_offers.cost, allowed=allowed)
    )
    assert not (path.arms_at(path.whole)[:20] == 1).any()


@pytest.mark.parametrize("cost", [0.0, -1.0, np.nan])
def test_a_cost_that_is_not_above_zero_is_refused(cost: float) -> None:
    with pytest.raises(DataError, match="above zero"):
        Offers(np.ones((2, 1)), np.ones((2, 1)), np.array([[1.0], [cost]]))


def test_a_budget_that_pays_for_nobody_is_refused() -> None:
    with pytest.raises(ConfigError, match="cheapest"):
        checked_budgets([0.1], Offers(np.ones((2, 1)), np.ones((2, 1)), np.ones((2, 1))))


def test_allocation_without_limits_is_the_paths() -> None:
    given_offers = offers(3, 200, 3)
    path = budget_path(given_offers)
    budget = 0.4 * path.whole
    found = allocate(given_offers, budget)
    np.testing.assert_array_equal(found.arm, path.arms_at(budget))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), floor=st.floats(0, 0.5), cap=st.floats(0.5, 1))
def test_floors_and_caps_hold_and_the_budget_too(seed: int, floor: float, cap: float) -> None:
    given_offers = offers(seed, 60, 2)
    group = np.repeat([0, 1], 30)
    limits = Limits(group, np.array([floor, 0.0]), np.array([1.0, cap]))
    found = allocate(given_offers, 0.7, limits)
    treated = np.array([(found.arm[group == g] >= 0).mean() for g in (0, 1)])
    assert treated[0] >= floor - 1e-9
    assert treated[1] <= cap + 1e-9
    assert found.spend <= 0.7


def test_a_floor_that_the_budget_cannot_pay_is_refused() -> None:
    limits = Limits(np.zeros(30, np.int64), np.array([0.9]), np.array([1.0]))
    with pytest.raises(ConfigError, match="floors"):
        allocate(offers(1, 30, 1), 0.01, limits)


def test_a_path_less_itself_is_certainly_zero() -> None:
    path = budget_path(offers(4, 300, 2))
    budgets = np.linspace(0.1, 0.9, 5) * path.whole
    gap = difference(gains_at([path, path], budgets))
    np.testing.assert_allclose(gap.estimates, 0, atol=1e-12)
    np.testing.assert_allclose(gap.covariance, 0, atol=1e-12)
    assert area(gap, budgets).estimates[0] == pytest.approx(0)
