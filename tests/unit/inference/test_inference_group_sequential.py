"""Bounds of planned looks, against published critical values and simulated experiments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truelift.errors import ConfigError, DataError
from truelift.inference.group_sequential import (
    constant_bounds,
    crossing,
    expected_fraction,
    inflation,
    repeated_p_value,
    required_drift,
    sequential_power,
    spending_bounds,
)

# Jennison & Turnbull (2000), tables 2.1 and 2.3: two-sided 5%, K looks, equally spaced.
POCOCK = {2: 2.178, 3: 2.289, 4: 2.361, 5: 2.413, 6: 2.453, 8: 2.512, 10: 2.555}
OBRIEN_FLEMING = {2: 1.977, 3: 2.004, 4: 2.024, 5: 2.040, 6: 2.053, 8: 2.072, 10: 2.087}


@pytest.mark.parametrize("looks", POCOCK)
def test_constant_bounds_are_the_published_ones(looks):
    assert constant_bounds(looks, "pocock").critical[-1] == pytest.approx(POCOCK[looks], abs=6e-4)
    found = constant_bounds(looks, "obrien_fleming").critical
    assert found[-1] == pytest.approx(OBRIEN_FLEMING[looks], abs=6e-4)
    assert found[0] == pytest.approx(found[-1] * np.sqrt(looks))


def test_spending_bounds_of_five_equal_looks_are_the_published_ones():
    # Reboussin, DeMets, Kim & Lan (2000), two-sided 5%.
    shares = [0.2, 0.4, 0.6, 0.8, 1.0]
    found = spending_bounds(shares, "obrien_fleming").critical
    assert found == pytest.approx([4.8769, 3.3569, 2.6803, 2.2898, 2.0310], abs=2e-4)
    found = spending_bounds(shares, "pocock").critical
    assert found == pytest.approx([2.4380, 2.4268, 2.4101, 2.3966, 2.3859], abs=2e-4)


# Jennison & Turnbull (2000), tables 2.2 and 2.4: sample of the last look by that of one look.
@pytest.mark.parametrize(
    ("name", "looks", "power", "times"),
    [("pocock", 5, 0.8, 1.229), ("pocock", 5, 0.9, 1.207), ("pocock", 2, 0.8, 1.110),
     ("obrien_fleming", 5, 0.8, 1.028), ("obrien_fleming", 5, 0.9, 1.026)],
)  # fmt: skip
def test_inflation_of_the_sample_is_the_published_one(name, looks, power, times):
    assert inflation(constant_bounds(looks, name), power) == pytest.approx(times, abs=1e-3)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=6),
    st.sampled_from(["pocock", "obrien_fleming"]),
    st.floats(0.01, 0.2),
    st.booleans(),
)
def test_looks_at_any_times_spend_the_level_and_no_more(steps, name, level, two_sided):
    shares = np.cumsum(steps) / np.sum(steps)
    bounds = spending_bounds(shares, name, level, two_sided)
    spent = crossing(shares, bounds.critical, 0.0, two_sided)
    assert spent.sum() == pytest.approx(level, rel=1e-4)
    assert np.cumsum(spent) == pytest.approx(bounds.spent, abs=1e-6)


def test_power_and_the_end_are_those_of_simulated_experiments():
    random = np.random.default_rng(3)
    shares = np.array([0.25, 0.5, 0.8, 1.0])
    bounds = spending_bounds(shares, "pocock")
    drift = required_drift(bounds, 0.8)
    steps = np.diff(shares, prepend=0.0)
    walk = random.normal(drift * steps, np.sqrt(steps), (200_000, 4)).cumsum(axis=1)
    beyond = np.abs(walk / np.sqrt(shares)) > np.array(bounds.critical)
    assert beyond.any(axis=1).mean() == pytest.approx(0.8, abs=0.004)
    ended = np.where(beyond.any(axis=1), shares[beyond.argmax(axis=1)], 1.0)
    assert ended.mean() == pytest.approx(expected_fraction(bounds, drift), abs=0.003)
    assert sequential_power(bounds, -drift) == pytest.approx(0.8, abs=1e-6)


def test_one_look_is_the_normal_test():
    assert spending_bounds([1.0], "pocock").critical[0] == pytest.approx(1.959964, abs=1e-6)
    assert repeated_p_value([1.959964], [1.0], "pocock") == pytest.approx(0.05, rel=1e-4)
    assert repeated_p_value([1.644854], [1.0], "pocock", two_sided=False) == pytest.approx(
        0.05, rel=1e-4
    )


def test_a_look_on_its_bound_has_the_level_as_its_repeated_p_value():
    shares = [0.3, 0.7]
    bounds = spending_bounds(shares, "obrien_fleming")
    p = repeated_p_value([0.5, bounds.critical[1]], shares, "obrien_fleming")
    assert p == pytest.approx(0.05, rel=1e-4)


def test_looks_that_cannot_be_are_refused():
    with pytest.raises(DataError, match="rising"):
        spending_bounds([0.5, 0.5], "pocock")
    with pytest.raises(DataError, match="up to 1"):
        spending_bounds([0.5, 1.2], "pocock")
    with pytest.raises(ConfigError, match="obrien_fleming"):
        spending_bounds([0.5], "haybittle")
