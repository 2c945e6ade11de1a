"""Negative controls, random common causes, halves, folds and groups left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.unit.effects.credibility_blocks import FOLDS, in_buckets, part_of, simulate_block
from truelift.effects.credibility.blocks import contrast_lines
from truelift.effects.credibility.draws import covariates, halves
from truelift.effects.credibility.groups import leave_one_group_out
from truelift.effects.credibility.kernel import CredibilityOptions, credibility_state
from truelift.effects.credibility.omitted_variables import sensitivity_elements
from truelift.effects.credibility.placebo import PlaceboOptions
from truelift.effects.credibility.random_cause import _PURPOSE, random_common_cause
from truelift.effects.credibility.refutation import negative_control
from truelift.effects.credibility.subsets import fold_stability, half_stability
from truelift.effects.credibility.target import Target
from truelift.errors import ConfigError, DataError
from truelift.inference.clusters import ClusterSums
from truelift.lake.states import add_states

OPTIONS = CredibilityOptions(folds=FOLDS, placebo=PlaceboOptions(replicates=0), group_levels=(4,))


def state_of(block, options=OPTIONS, buckets=10):
    """The summed state over buckets."""
    return add_states(
        credibility_state(parts, fold, options) for fold, parts in in_buckets(block, buckets)
    )


def estimate_of(block, target, options=OPTIONS):
    """Estimate and clustered standard error, cluster by cluster."""
    values = contrast_lines(block, options.lines)
    sums = ClusterSums(len(values))
    sums.add(block.cluster, values)
    keys, by_cluster = sums.finish()
    elements = sensitivity_elements(
        by_cluster.sum(axis=1), by_cluster @ by_cluster.T, len(keys), options.lines, target
    )
    return elements.estimate, elements.bound_error(0.0, 1)


def test_a_planted_confounder_is_found_by_a_negative_control():
    hidden = estimate_of(simulate_block(seed=2, units=3000, clusters=3000, hidden=0.8), Target())
    found = negative_control("y_before", *hidden, clusters=3000, margin=0.1)
    assert found.verdict == "effect found"
    assert "the estimates are biased" in repr(found)
    clean = estimate_of(simulate_block(seed=2, units=9000, clusters=9000), Target())
    assert negative_control("y_before", *clean, clusters=9000, margin=0.15).verdict == "no effect"
    few = estimate_of(simulate_block(seed=2, units=100, clusters=50), Target())
    assert negative_control("y_before", *few, clusters=50, margin=0.1).verdict == "undecided"


def test_difference_and_equivalence_are_t_tests_against_zero_and_the_margin():
    found = negative_control("y", 0.3, 0.2, clusters=11, margin=1.0)
    assert found.difference_p_value == pytest.approx(2 * stats.t.sf(1.5, 10))
    assert found.equivalence_p_value == pytest.approx(stats.t.sf(3.5, 10))
    clear = negative_control("y", 0.3, 0.05, clusters=1001, margin=1.0)
    assert clear.verdict == "negligible effect"
    with pytest.raises(ConfigError, match="'y', margin: found 0"):
        negative_control("y", 0.3, 0.2, clusters=11, margin=0.0)


def test_a_random_covariate_moves_the_estimate_as_if_the_models_were_fitted_with_it():
    options = replace(OPTIONS, random_covariates=4, group_levels=())
    block = replace(simulate_block(seed=3, units=4000, clusters=400, effect=1.0), groups=())
    state = state_of(block, options)
    estimate, error = estimate_of(block, Target())
    found = random_common_cause(state, estimate, error, Target())
    u = covariates(block.unit, options.seed, _PURPOSE, 4)
    fold = (block.cluster % np.uint64(10)).astype(int) % FOLDS
    for r in range(4):
        assert found.shifts[r] == pytest.approx(_refitted(block, u[r], fold) - estimate, rel=0.1)
    assert found.passed and found.largest < 0.3 * error
    assert "4 random covariates" in repr(found) and len(found.to_pandas()) == 4


def _refitted(block, u, fold):
    """The ATE with u added to each nuisance, its coefficient by full maximum likelihood."""
    members, e = block.members, block.propensity[1]
    regression, index = block.outcome_regression.copy(), np.log(e / (1 - e))
    moved_index = index.copy()
    for k in range(FOLDS):
        rest, here = fold != k, fold == k
        for a in range(2):
            own = rest & (block.arm == a)
            left = (block.outcome - block.outcome_regression[a])[0, own]
            regression[a, 0, here] += u[here] * (u[own] @ left) / (u[own] @ u[own])
        b = 0.0
        for _ in range(20):
            fitted = 1 / (1 + np.exp(-index[rest] - b * u[rest]))
            b += u[rest] @ (members[1, rest] - fitted) / (u[rest] ** 2 @ (fitted * (1 - fitted)))
        moved_index[here] += b * u[here]
    e = 1 / (1 + np.exp(-moved_index))
    moved = replace(block, propensity=np.stack([1 - e, e]), outcome_regression=regression)
    return estimate_of(moved, Target())[0]


def test_random_covariates_have_mean_zero_and_variance_one():
    keys = simulate_block(units=20_000).unit
    u = covariates(keys, 1, 2, 3)
    np.testing.assert_allclose(u.mean(axis=1), 0, atol=0.02)
    np.testing.assert_allclose(np.corrcoef(u), np.eye(3), atol=0.02)
    np.testing.assert_allclose(u.var(axis=1), 1, atol=0.02)


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_half_estimates_are_those_of_the_units_in_the_half(estimand):
    block, target = simulate_block(seed=4, effect=0.5), Target(estimand)
    state = state_of(block)
    _, error = estimate_of(block, target)
    found = half_stability(state["half_total"], state["total"], OPTIONS.lines, error, target)
    coins = halves(block.cluster, OPTIONS.seed, 3, OPTIONS.halves)
    for r in (0, 63, 64, 99):
        inside = part_of(block, np.flatnonzero(coins[:, r]))
        assert found.estimates[r] == pytest.approx(estimate_of(inside, target)[0])
    assert "100 random halves" in repr(found) and len(found.to_pandas()) == 100


def test_halves_scatter_as_the_standard_error_says_and_not_as_another_would():
    p_values, target = [], Target()
    for seed in range(40):
        block = simulate_block(seed=seed, units=600, clusters=200)
        state = state_of(block)
        _, error = estimate_of(block, target)
        parts = state["half_total"], state["total"], OPTIONS.lines
        p_values.append(half_stability(*parts, error, target).p_value)
        assert half_stability(*parts, 0.5 * error, target).p_value < 1e-6
    assert np.mean(np.array(p_values) < 0.05) < 0.2 and 0.3 < np.mean(p_values) < 0.7


def test_folds_agree_where_they_are_alike_and_one_bad_model_is_found():
    target, keys = Target(), ("fold_total", "fold_products", "fold_clusters")
    p_values = []
    for seed in range(60):
        state = state_of(simulate_block(seed=seed, units=1000, clusters=300))
        found = fold_stability(*(state[k] for k in keys), OPTIONS.lines, target)
        p_values.append(found.p_value)
    assert np.mean(np.array(p_values) < 0.05) < 0.15 and 0.35 < np.mean(p_values) < 0.65
    block = simulate_block(seed=0, units=3000, clusters=900)
    fold = (block.cluster % np.uint64(10)).astype(int) % FOLDS
    bad = block.outcome_regression + 5.0 * (fold == 2) * (np.arange(2) == 1)[:, None, None]
    off = replace(block, outcome_regression=bad, propensity=np.full_like(block.propensity, 0.25))
    state = state_of(off)
    found = fold_stability(*(state[k] for k in keys), OPTIONS.lines, target)
    assert found.p_value < 1e-4 and "differ more than chance gives" in repr(found)
    rows = np.flatnonzero(fold == 3)
    one = estimate_of(part_of(off, rows), target)
    assert (found.estimates[3], found.standard_errors[3]) == pytest.approx(one)


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_leaving_a_group_out_is_estimating_without_its_units(estimand):
    target = Target(estimand, scale=3.0)
    block = simulate_block(seed=7, units=300, clusters=50, effect=1.0)
    found = left_out(block, target)
    group = block.groups[0]
    for level in range(4):
        estimate, error = estimate_of(part_of(block, np.flatnonzero(group != level)), target)
        assert found.estimates[level] == pytest.approx(estimate)
        assert found.standard_errors[level] == pytest.approx(error)
        assert found.units[level] == np.sum(group == level)
        assert found.change_errors[level] == pytest.approx(
            _jackknife_of_change(block, level, target), rel=0.1
        )


def left_out(block, target, options=OPTIONS):
    """Leave one group out, of the summed state."""
    state = state_of(block, options)
    sums = {name: state[f"group0_{name}"] for name in ("total", "products", "whole")}
    clusters = int(state["clusters"][0])
    return leave_one_group_out(
        sums, state["total"], state["cross"], clusters, options.lines, target
    )


def _jackknife_of_change(block, level, target):
    changes = []
    for key in np.unique(block.cluster):
        rest = block.cluster != key
        part = part_of(block, np.flatnonzero(rest & (block.groups[0] != level)))
        changes.append(
            estimate_of(part, target)[0]
            - estimate_of(part_of(block, np.flatnonzero(rest)), target)[0]
        )
    n = len(changes)
    return np.sqrt((1 - 1 / n) * np.sum((changes - np.mean(changes)) ** 2))


def test_clusters_that_lie_in_the_group_alone_no_longer_count():
    block = simulate_block(seed=7, units=300, clusters=50)
    first = np.unique(block.cluster)[:45]
    nested = replace(block, groups=(np.isin(block.cluster, first).astype(int),))
    found = left_out(nested, Target(), replace(OPTIONS, group_levels=(2,)))
    rest = part_of(nested, np.flatnonzero(nested.groups[0] == 0))
    estimate, error = estimate_of(rest, Target())
    assert (found.estimates[1], found.standard_errors[1]) == pytest.approx((estimate, error))
    assert found.ci_upper[1] == pytest.approx(estimate + stats.t.ppf(0.975, 4) * error)


def test_the_group_that_carries_the_effect_is_named():
    block = simulate_block(seed=7, units=4000, clusters=1000)
    carrying = (block.groups[0] == 2) * block.arm * 4.0
    found = left_out(replace(block, outcome=block.outcome + carrying), Target())
    assert found.conclusion_changes == ("2",)
    assert "most is changed by group 2" in repr(found) and found.p_values[2] < 1e-4
    assert list(found.to_pandas()["level"]) == ["0", "1", "2", "3"]


def test_levels_beyond_those_announced_are_refused():
    with pytest.raises(DataError, match="expected codes from 0 to 2"):
        state_of(simulate_block(levels=4), replace(OPTIONS, group_levels=(3,)))
