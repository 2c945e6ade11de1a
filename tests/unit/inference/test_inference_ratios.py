"""Contrasts, relative lift and Fieller's sets, against enumeration and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from truelift.errors import DataError
from truelift.inference.contrasts import Contrasts, all_pairs, many_to_one
from truelift.inference.delta import (
    delta_covariance,
    effect_ratio,
    fieller_set,
    net_benefit,
    relative_lift,
)

VALUE = st.floats(-5, 5).map(lambda x: round(x, 3))


def test_all_pairs_are_later_minus_earlier_with_names():
    pairs = all_pairs(["none", "mail", "app"])
    assert pairs.names == ("mail - none", "app - none", "app - mail")
    assert pairs.matrix.tolist() == [[-1, 1, 0], [-1, 0, 1], [0, -1, 1]]


def test_many_to_one_leaves_out_the_control():
    contrasts = many_to_one(["a", "b", "c"], control=1)
    assert contrasts.names == ("a - b", "c - b")
    assert contrasts.matrix.tolist() == [[1, -1, 0], [0, -1, 1]]


def test_variances_of_contrasts_are_those_of_differences():
    covariance = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]])
    values, found = all_pairs("abc").apply(np.array([1.0, 2.0, 4.0]), covariance)
    assert values.tolist() == [1, 3, 2]
    np.testing.assert_allclose(np.diag(found), [4 + 3 - 2, 4 + 2 - 1, 3 + 2 - 0.4])
    assert found[0, 1] == pytest.approx(4 - 0.5 - 1 + 0.2)


def test_contrasts_over_outcomes_keep_outcomes_apart():
    both = all_pairs(["no", "yes"]).over(["spend", "visits"])
    assert both.names == ("spend: yes - no", "visits: yes - no")
    values, _ = both.apply(np.array([1.0, 3.0, 10.0, 40.0]), np.eye(4))
    assert values.tolist() == [2, 30]


def test_contrasts_that_do_not_fit_are_refused():
    assert repr(all_pairs("ab")) == "Contrasts(1 of 2 estimates: ('b - a',))"
    with pytest.raises(DataError, match="one name a row"):
        Contrasts(("one", "two"), np.eye(3))
    with pytest.raises(DataError, match="different names"):
        all_pairs(["a", "a"])
    with pytest.raises(DataError, match="2 estimates for contrasts of 3"):
        all_pairs("abc").apply(np.zeros(2), np.eye(2))


def test_relative_lift_has_the_standard_error_of_many_simulated_ratios():
    means, covariance = np.array([10.0, 11.0]), np.array([[0.04, 0.01], [0.01, 0.05]])
    draws = np.random.default_rng(0).multivariate_normal(means, covariance, 400_000)
    found = relative_lift(means, covariance, np.inf)
    assert found.lift == pytest.approx(0.1)
    assert found.standard_error == pytest.approx((draws[:, 1] / draws[:, 0]).std(), rel=0.01)
    log_error = np.log(draws[:, 1] / draws[:, 0]).std()
    assert np.log1p(found.log_upper) - np.log1p(found.lift) == pytest.approx(
        1.96 * log_error, rel=0.01
    )


def test_log_interval_stays_above_minus_one_and_needs_equal_signs():
    covariance = np.diag([0.3, 0.2])
    found = relative_lift(np.array([1.0, 0.3]), covariance, 30)
    assert found.lower < -1 < found.log_lower
    assert repr(found).startswith("RelativeLift(-70.00% [")
    assert np.isnan(relative_lift(np.array([1.0, -0.3]), covariance, 30).log_lower)
    with pytest.raises(DataError, match="no relative lift"):
        relative_lift(np.array([0.0, 1.0]), covariance, 30)


@given(st.floats(0.1, 1000))
def test_relative_lift_does_not_depend_on_units(unit):
    means, covariance = np.array([10.0, 11.0]), np.array([[0.4, 0.1], [0.1, 0.5]])
    plain = relative_lift(means, covariance, 20)
    scaled = relative_lift(means * unit, covariance * unit**2, 20)
    assert (scaled.lower, scaled.log_upper) == pytest.approx((plain.lower, plain.log_upper))


@given(VALUE, VALUE, st.floats(0.1, 3), st.floats(0.1, 3), st.floats(-0.99, 0.99))
def test_fiellers_set_holds_exactly_the_ratios_that_a_t_test_does_not_reject(a, b, sa, sb, r):
    covariance = np.array([[sa**2, r * sa * sb], [r * sa * sb, sb**2]])
    found = fieller_set(a, b, covariance, 1.96)
    for ratio in [*np.linspace(-6, 6, 49), -1e4, 1e4]:
        variance = sa**2 - 2 * ratio * r * sa * sb + ratio**2 * sb**2
        margin = abs(a - ratio * b) - 1.96 * np.sqrt(variance)
        if abs(margin) > 1e-6 * (1 + abs(ratio)):
            assert (ratio in found) == (margin < 0), ratio


@given(VALUE, VALUE, st.sampled_from([1e-6, 1e5]), st.sampled_from([1e-6, 1e5]))
def test_fiellers_set_moves_with_the_units(a, b, unit_a, unit_b):
    covariance = np.array([[1.0, 0.3], [0.3, 0.5]])
    plain = fieller_set(a, b, covariance, 2.0)
    outer = np.outer([unit_a, unit_b], [unit_a, unit_b])
    scaled = fieller_set(a * unit_a, b * unit_b, covariance * outer, 2.0)
    # At exactly the edge between two kinds rounding decides.
    assume(abs(b * b - 4 * 0.5) > 1e-9)
    assert scaled.kind == plain.kind
    unit = unit_a / unit_b
    assert scaled.lower / unit == pytest.approx(plain.lower, rel=1e-6, abs=1e-9)
    assert scaled.upper / unit == pytest.approx(plain.upper, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("a", "b", "kind", "text"),
    [
        (5.0, 5.0, "bounded", "from"),
        (5.0, 1.0, "outside", "unbounded: anything but between"),
        (0.5, 0.5, "all", "rule out no ratio"),
        (5.0, 2.0, "above", "or more"),
        (-5.0, 2.0, "below", "or less"),
        (0.0, 2.0, "all", "rule out no ratio"),
    ],
)
def test_kind_of_set_says_whether_the_denominator_may_be_zero(a, b, kind, text):
    found = fieller_set(a, b, np.eye(2), 2.0)
    assert found.kind == kind
    assert found.bounded == (kind == "bounded")
    assert text in repr(found)
    if kind == "outside":
        assert a / b in found
        assert 0.0 not in found


def test_fiellers_set_is_the_delta_interval_where_the_denominator_is_strong():
    effects, covariance = np.array([20.0, 1000.0]), np.array([[1.0, 0.4], [0.4, 2.0]])
    found = effect_ratio(effects, covariance, 100)
    half = stats.t.ppf(0.975, 100) * found.standard_error
    assert found.fieller.lower == pytest.approx(found.ratio - half, rel=1e-4)
    assert found.fieller.upper == pytest.approx(found.ratio + half, rel=1e-4)


def test_fiellers_set_covers_with_a_weak_denominator_where_the_delta_interval_does_not():
    random = np.random.default_rng(8)
    truth = np.array([2.0, 0.7])
    covariance = np.array([[1.0, 0.9], [0.9, 1.0]])
    held = held_delta = 0
    for draw in random.multivariate_normal(truth, covariance, 4000):
        found = effect_ratio(draw, covariance, np.inf)
        ratio = truth[0] / truth[1]
        held += ratio in found.fieller
        held_delta += abs(found.ratio - ratio) < 1.96 * found.standard_error
    assert held / 4000 == pytest.approx(0.95, abs=0.011)
    assert abs(held_delta / 4000 - 0.95) > 0.02


def test_a_denominator_of_zero_is_said_and_the_net_benefit_stands():
    covariance = np.array([[4.0, 1.0], [1.0, 9.0]])
    found = effect_ratio(np.array([3.0, 0.0]), covariance, 50)
    assert np.isnan(found.ratio)
    assert "may be zero" in repr(found)
    value, error = net_benefit(np.array([3.0, 0.0]), covariance, worth=2.0)
    assert value == 3
    assert error == pytest.approx(np.sqrt(4 - 4 + 36))


def test_delta_covariance_is_exact_for_linear_functions():
    covariance = np.array([[4.0, 1.0], [1.0, 9.0]])
    found = delta_covariance(np.array([[1.0, -1.0], [2.0, 0.0]]), covariance)
    np.testing.assert_allclose(found, [[11, 6], [6, 16]])
