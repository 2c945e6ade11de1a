"""Weak instruments: the sets that tests leave, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truelift.errors import DataError
from truelift.inference.delta import effect_ratio
from truelift.inference.weak_instruments import (
    ConfidenceSet,
    ReducedForms,
    anderson_rubin,
    anderson_rubin_set,
    first_stage,
    minimum_distance,
    score_set,
    score_test,
)


def forms(seed: int, k: int = 2, strength: float = 1.0, degrees: float = np.inf) -> ReducedForms:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(2 * k, 2 * k)) / np.sqrt(2 * k)
    spread = root @ root.T + 0.1 * np.eye(2 * k)
    treatment = strength * rng.normal(size=k) + rng.normal(size=k)
    outcome = 0.7 * strength * treatment + rng.normal(size=k)
    return ReducedForms(outcome, treatment, spread[:k, :k], spread[k:, k:], spread[:k, k:], degrees)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.sampled_from([0.0, 1.0, 5.0]))
def test_the_set_holds_exactly_the_effects_that_anderson_and_rubin_do_not_reject(seed, k, strength):
    made = forms(seed, k, strength, 60.0)
    found = anderson_rubin_set(made, 0.9)
    for effect in np.tan(np.linspace(-1.55, 1.55, 61)):
        test = anderson_rubin(made, effect)
        if abs(test.p_value - 0.1) > 1e-6:
            assert (effect in found) == (test.p_value > 0.1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_with_one_instrument_the_set_is_fiellers(seed):
    made = forms(seed, 1, 1.0, 30.0)
    spread = np.array(
        [
            [made.outcome_covariance[0, 0], made.cross_covariance[0, 0]],
            [made.cross_covariance[0, 0], made.treatment_covariance[0, 0]],
        ]
    )
    ratio = effect_ratio(np.array([made.outcome[0], made.treatment[0]]), spread, 30.0)
    found = anderson_rubin_set(made, 0.95)
    assert found.bounded == ratio.fieller.bounded
    for effect in np.tan(np.linspace(-1.5, 1.5, 61)):
        assert (effect in found) == (effect in ratio.fieller)


@pytest.mark.parametrize("strength", [0.0, 1.0, 6.0])
def test_the_score_set_holds_the_effects_that_the_score_test_does_not_reject(strength):
    made = forms(5, 3, strength)
    found = score_set(made, 0.95)
    for effect in np.tan(np.linspace(-1.5, 1.5, 101)):
        assert (effect in found) == (score_test(made, effect).p_value > 0.05)


def test_instruments_without_any_strength_leave_every_effect_open():
    none = ReducedForms(*np.array([[0.1], [0.02]]), *np.array([[[1.0]], [[1.0]], [[0.2]]]))
    found = anderson_rubin_set(none, 0.95)
    assert found.everything and not found.bounded
    assert found.words() == "unbounded: no effect is ruled out"


def test_a_first_stage_of_either_sign_leaves_two_half_lines():
    either = ReducedForms(*np.array([[3.0], [1.0]]), *np.array([[[1.0]], [[1.0]], [[0.0]]]))
    found = anderson_rubin_set(either, 0.95)
    assert [np.isinf(end) for end in found.intervals[0] + found.intervals[-1]] == [
        True,
        False,
        False,
        True,
    ]
    assert 0.0 not in found and found.words().startswith("unbounded: ")


def test_instruments_that_contradict_each_other_leave_an_empty_set():
    one, apart = np.eye(2) * 0.01, np.zeros((2, 2))
    against = ReducedForms(np.array([1.0, -1.0]), np.array([1.0, 1.0]), one, one, apart)
    found = anderson_rubin_set(against, 0.95)
    assert found.empty and found.bounded and found.words().startswith("empty")
    assert minimum_distance(against).overidentification.p_value < 1e-6


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_minimum_distance_is_the_least_anderson_rubin_statistic(seed):
    made = forms(seed, 3, 3.0)
    found = minimum_distance(made)
    least = min(anderson_rubin(made, e).statistic for e in np.tan(np.linspace(-1.55, 1.55, 101)))
    assert found.overidentification.statistic <= least + 1e-9


def test_the_effective_f_of_one_instrument_is_its_squared_t_and_critical_at_23_1():
    made = forms(4, 1)
    found = first_stage(made.treatment, made.treatment_covariance, np.array([[7.0]]))
    assert found.effective_f == pytest.approx(
        made.treatment[0] ** 2 / made.treatment_covariance[0, 0]
    )
    assert found.critical == pytest.approx(23.1, abs=0.05)


def test_as_many_instruments_as_clusters_are_refused():
    with pytest.raises(DataError, match=r"2 clusters for 2 instruments; expected more clusters"):
        forms(1, 2, 1.0, 1.0)


def test_a_set_in_words_names_its_ends():
    assert ConfidenceSet(((1.0, 2.0),)).words() == "1 to 2"
    assert (
        ConfidenceSet(((-np.inf, 0.5), (2.0, np.inf))).words()
        == "unbounded: 0.5 or less and 2 or more"
    )
