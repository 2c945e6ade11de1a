"""Numbers read as people write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truelift.report import numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (999, "999"), (1469307, "1,469,307"), (-1200, "−1,200"), (2.6, "3")],
)
def test_counts_have_thousands_separators(value, text):
    assert numbers.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0%"),
        (1.0, "100%"),
        (0.5, "50.0%"),
        (0.0312, "3.1%"),
        (0.00042, "0.04%"),
        (0.0000004, "< 0.01%"),
        (0.9999999, "> 99.99%"),
        (0.9995, "99.95%"),
        (math.nan, "not available"),
    ],
)
def test_shares_show_the_digits_that_matter(value, text):
    assert numbers.share(value) == text


@pytest.mark.parametrize(
    ("standard_error", "decimals"),
    [(3.1, 1), (31.0, 0), (312.0, 0), (0.052, 3), (0.5, 2), (0.0, 2), (math.nan, 2)],
)
def test_estimates_show_two_digits_of_their_standard_error(standard_error, decimals):
    assert numbers.decimals_for(standard_error) == decimals


def test_a_number_that_rounds_to_zero_has_no_sign():
    assert numbers.number(-0.0001, 2, signed=True) == "0.00"
    assert numbers.number(-1234.5, 1) == "−1,234.5"
    assert numbers.number(2.0, 1, signed=True) == "+2.0"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0004, "< 0.001"), (0.0123, "0.012"), (0.43, "0.43"), (math.nan, "not available")],
)
def test_p_values_are_not_shown_as_zero(value, text):
    assert numbers.p_value(value) == text


def test_names_of_columns_become_words():
    assert numbers.outcome_name("y_spend") == "spend"
    assert numbers.covariate_name("x_days_since_last") == "days since last"
    assert numbers.day("2017-03-05T00:00:00+00:00") == "5 March 2017"
    assert numbers.day("last spring") == "last spring"
    assert numbers.joined(["a", "b", "c"]) == "a, b and c"
    assert numbers.plural(1, "day") == "1 day" and numbers.plural(2, "day") == "2 days"


@given(st.floats(min_value=-1e9, max_value=1e9), st.integers(0, 6))
def test_a_shown_number_reads_back_within_its_rounding(value, decimals):
    shown = numbers.number(value, decimals, signed=True)
    back = float(shown.replace(",", "").replace("−", "-"))
    assert abs(back - value) <= 0.5 * 10**-decimals * (1 + 1e-9) + 1e-9 * abs(value)


@given(st.floats(min_value=1e-5, max_value=1e11))
def test_three_significant_digits_keep_a_number_within_half_a_percent(value):
    back = float(numbers.significant(value).replace(",", ""))
    assert back == pytest.approx(value, rel=0.0051)
