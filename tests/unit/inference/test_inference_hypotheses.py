"""Tests of one estimate, against scipy's t tests and against intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from truelift.errors import ConfigError, DataError
from truelift.inference.hypotheses import (
    equivalence_test,
    non_inferiority_test,
    one_sided_test,
    two_sided_test,
)

NUMBER = st.floats(-10, 10)
ERROR = st.floats(0.01, 5)
DF = st.integers(1, 300)
SAMPLE = np.array([0.3, 1.2, -0.4, 0.9, 2.2, 0.1, 0.7])


def sample_test():
    return SAMPLE.mean(), SAMPLE.std(ddof=1) / np.sqrt(len(SAMPLE)), len(SAMPLE) - 1


def test_p_values_are_those_of_scipys_t_test():
    for null in (0.0, 0.5):
        expected = stats.ttest_1samp(SAMPLE, null).pvalue
        assert two_sided_test(*sample_test(), null=null).p_value == pytest.approx(expected)
        for side in ("greater", "less"):
            expected = stats.ttest_1samp(SAMPLE, null, alternative=side).pvalue
            found = one_sided_test(*sample_test(), alternative=side, null=null)
            assert found.p_value == pytest.approx(expected)


@given(NUMBER, ERROR, DF)
def test_the_two_sides_add_up_to_one_and_twice_the_smaller_is_two_sided(estimate, error, df):
    greater = one_sided_test(estimate, error, df).p_value
    less = one_sided_test(estimate, error, df, "less").p_value
    assert greater + less == pytest.approx(1)
    both = two_sided_test(estimate, error, df).p_value
    assert both == pytest.approx(2 * min(greater, less))


@given(NUMBER, ERROR, DF, st.floats(0.01, 4))
def test_non_inferiority_is_the_lower_bound_of_the_interval_above_minus_the_margin(
    estimate, error, df, margin
):
    bound = estimate - stats.t.ppf(0.975, df) * error
    if abs(bound + margin) > 1e-6:
        found = non_inferiority_test(estimate, error, df, margin)
        assert found.rejected == (bound > -margin)
        mirrored = non_inferiority_test(-estimate, error, df, margin, higher_is_better=False)
        assert mirrored.p_value == pytest.approx(found.p_value)


@given(NUMBER, ERROR, DF, st.floats(-4, 0), st.floats(0.1, 4))
def test_equivalence_is_the_ninety_percent_interval_between_the_bounds(
    estimate, error, df, lower, width
):
    half = stats.t.ppf(0.95, df) * error
    gap = min(estimate - half - lower, lower + width - estimate - half)
    if abs(gap) > 1e-6:
        assert equivalence_test(estimate, error, df, lower, lower + width).rejected == (gap > 0)


def test_a_certain_estimate_is_decided_by_its_value():
    assert two_sided_test(1.0, 0.0, 10).p_value == 0
    assert two_sided_test(0.0, 0.0, 10).p_value == 1
    assert one_sided_test(-1.0, 0.0, 10).p_value == 1


def test_the_result_reads_as_a_sentence():
    assert "treatment is worse by less than 0.5" in repr(non_inferiority_test(0.1, 0.1, 50, 0.5))
    assert "not shown that effect differs from 0" in repr(two_sided_test(0.1, 1.0, 50))


def test_impossible_questions_are_refused():
    with pytest.raises(ConfigError, match="margin"):
        non_inferiority_test(1, 1, 10, margin=-0.1)
    with pytest.raises(ConfigError, match="lower one first"):
        equivalence_test(1, 1, 10, 0.5, -0.5)
    with pytest.raises(ConfigError, match="'greater' or 'less'"):
        one_sided_test(1, 1, 10, "two-sided")
    with pytest.raises(DataError, match="standard error"):
        two_sided_test(1, -1, 10)
    with pytest.raises(DataError, match="degrees of freedom"):
        two_sided_test(1, 1, 0)
    with pytest.raises(ConfigError, match="level"):
        two_sided_test(1, 1, 10, level=5)
