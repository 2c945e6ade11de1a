"""E-values against the published examples and their definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from truelift.effects.credibility.e_value import e_value_of_difference, e_value_of_ratio
from truelift.errors import ConfigError


def test_the_published_example_of_smoking_and_lung_cancer():
    # VanderWeele & Ding 2017: risk ratio 10.73 (8.02, 14.36) has E-values 20.9 and 15.5.
    found = e_value_of_ratio(10.73, 8.02, 14.36)
    assert (round(found.point, 1), round(found.interval, 1)) == (20.9, 15.5)


def test_the_published_example_of_a_protective_effect():
    # VanderWeele & Ding 2017: risk ratio 0.80 (0.71, 0.91) has E-values 1.81 and 1.43.
    found = e_value_of_ratio(0.80, 0.71, 0.91)
    assert (round(found.point, 2), round(found.interval, 2)) == (1.81, 1.43)


@given(st.floats(1.0, 50.0))
def test_a_confounder_of_the_e_value_biases_by_just_the_ratio(ratio):
    e = e_value_of_ratio(ratio, ratio, ratio).point
    bias = e * e / (e + e - 1)  # Ding & VanderWeele's bounding factor
    assert bias == pytest.approx(ratio, rel=1e-9)


def test_an_interval_that_holds_no_effect_needs_no_confounder():
    assert e_value_of_ratio(1.2, 0.9, 1.6).interval == 1.0
    assert e_value_of_difference(0.3, -0.1, 0.7, 2.0).interval == 1.0


def test_a_difference_is_read_as_the_ratio_of_its_standardised_size():
    found = e_value_of_difference(2.0, 1.0, 3.0, 4.0, "y_spend")
    ratio = np.exp(0.91 * 0.5)
    assert found.ratio == pytest.approx(ratio)
    assert found.point == pytest.approx(ratio + np.sqrt(ratio * (ratio - 1)))
    assert found.interval == pytest.approx(e_value_of_ratio(*[np.exp(0.91 / 4)] * 3).point)
    assert "risk ratio about 1.58" in repr(found)
    mirrored = e_value_of_difference(-2.0, -3.0, -1.0, 4.0)
    assert (mirrored.point, mirrored.interval) == pytest.approx((found.point, found.interval))


def test_another_null_is_reached_by_a_weaker_confounder():
    assert e_value_of_ratio(2.0, 1.5, 2.5, null=1.5).interval == 1.0
    assert e_value_of_ratio(2.0, 1.8, 2.5, null=1.5).point == pytest.approx(4 / 3 + 2 / 3)


@pytest.mark.parametrize("values", [(0.0, 0.0, 1.0), (1.0, 1.1, 1.2), (2.0, -1.0, 3.0)])
def test_ratios_that_cannot_be_are_refused(values):
    with pytest.raises(ConfigError, match="lower <= ratio <= upper"):
        e_value_of_ratio(*values)


def test_a_deviation_of_zero_is_refused():
    with pytest.raises(ConfigError, match="deviation above zero"):
        e_value_of_difference(1.0, 0.5, 1.5, 0.0)
