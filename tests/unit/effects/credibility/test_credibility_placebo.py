"""Placebo treatments: brute force, invariance, what they detect and what they cannot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.effects.credibility_blocks import in_buckets, part_of, simulate_block
from truelift.effects.credibility.draws import LEVELS, draws16
from truelift.effects.credibility.placebo import (
    _PURPOSE,
    PlaceboOptions,
    PlaceboSums,
    placebo_treatments,
)
from truelift.effects.credibility.target import Target
from truelift.errors import ConfigError
from truelift.lake.states import add_states


def placebo_state(block, options, buckets=1, batches=1):
    """Sums over buckets, each in so many batches."""
    states = []
    for _, parts in in_buckets(block, buckets, batches):
        sums = PlaceboSums(options, len(block.propensity), len(block.outcome))
        for part in parts:
            sums.add(part)
        states.append(sums.finish())
    return add_states(states)


def by_hand(block, options, contrast, outcome):
    """Estimates and standard errors, a unit at a time; the real treatment last."""
    n, arms = len(block), len(block.propensity)
    share = block.propensity / block.propensity.sum(axis=0)
    pooled = sum(share[a] * block.outcome_regression[a, outcome] for a in range(arms))
    if options.shares:
        share = np.array(options.shares)[:, None] * np.ones(n)
    keys = block.cluster if options.level == "cluster" else block.unit
    drawn = draws16(keys, options.seed, _PURPOSE, options.replicates)
    found = []
    for r in range(options.replicates + 1):
        scores = np.zeros(n)
        for i in range(n):
            limits = np.rint(np.cumsum(share[:, i]) * LEVELS)
            limits[-1] = LEVELS
            known = np.diff(np.append(0, limits)) / LEVELS
            last = r == options.replicates
            arm = block.arm[i] if last else int(np.sum(drawn[i, r] >= limits[:-1]))
            weight = {contrast: 1 / known[contrast], 0: -1 / known[0]}.get(arm, 0.0)
            scores[i] = (block.outcome[outcome, i] - pooled[i]) * weight
        estimate = scores.mean()
        sums = [np.sum((scores - estimate)[block.cluster == g]) for g in np.unique(block.cluster)]
        groups = len(sums)
        found.append((estimate, np.sqrt(groups / (groups - 1) * np.sum(np.square(sums))) / n))
    return np.array(found)


@pytest.mark.parametrize("level", ["cluster", "unit"])
@pytest.mark.parametrize(
    ("arms", "shares"), [(2, ()), (3, ()), (2, (0.3, 0.7)), (3, (0.2, 0.5, 0.3))]
)
def test_placebo_effects_are_those_of_a_loop_over_units(level, arms, shares):
    options = PlaceboOptions(replicates=5, seed=4, level=level, shares=shares)
    block = simulate_block(seed=2, units=90, clusters=20, arms=arms, outcomes=2)
    state = placebo_state(block, options)
    for contrast in range(1, arms):
        for outcome in range(2):
            found = placebo_treatments(state, options, Target("ATE", contrast, outcome, 10.0))
            expected = 10.0 * by_hand(block, options, contrast, outcome)
            np.testing.assert_allclose(found.estimates, expected[:-1, 0], atol=1e-10)
            np.testing.assert_allclose(found.standard_errors, expected[:-1, 1], atol=1e-10)
            assert found.observed == pytest.approx(expected[-1, 0], abs=1e-10)


@given(st.integers(1, 8), st.integers(1, 4), st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_sums_do_not_depend_on_buckets_batches_or_order(buckets, batches, random):
    options = PlaceboOptions(replicates=9, level="unit")
    block = simulate_block(seed=6, units=120, clusters=15)
    rows = list(range(120))
    random.shuffle(rows)
    one = placebo_state(block, options)
    other = placebo_state(part_of(block, np.array(rows)), options, buckets, batches)
    for name, value in one.items():
        np.testing.assert_allclose(other[name], value, rtol=1e-12, atol=1e-10)


def test_a_cluster_longer_than_a_chunk_is_one_cluster(monkeypatch):
    options = PlaceboOptions(replicates=9)
    block = simulate_block(seed=6, units=200, clusters=7)
    whole = placebo_state(block, options)
    monkeypatch.setattr("truelift.effects.credibility.placebo._CHUNK", 11)
    for name, value in placebo_state(block, options).items():
        np.testing.assert_allclose(value, whole[name], rtol=1e-12, atol=1e-10)


def test_under_the_null_about_five_per_cent_of_the_placebos_are_rejected():
    options = PlaceboOptions(replicates=400)
    rejected = []
    for seed in range(5):
        block = simulate_block(seed=seed, units=3000, clusters=300)
        found = placebo_treatments(placebo_state(block, options), options, Target())
        rejected.append(found.rejected_share)
        assert found.passed
    assert 0.035 < np.mean(rejected) < 0.065


def test_standard_errors_that_ignore_clusters_are_found_out():
    options = PlaceboOptions(replicates=200)
    block = simulate_block(seed=1, units=3000, clusters=100, cluster_effect=1.5)
    honest = placebo_treatments(placebo_state(block, options), options, Target())
    # The same draws, by cluster, but every unit counts as a cluster of its own.
    naive_sums = PlaceboSums(options, 2, 1)
    naive_sums.add(block)
    parts = naive_sums._blocks[0]
    scores = naive_sums._scores(*parts[1:], np.arange(len(block)))
    state = {
        "placebo_total": scores.sum(axis=2),
        "placebo_square": (scores**2).sum(axis=2),
        "placebo_by_units": scores.sum(axis=2),
        "placebo_units": np.array([3000.0, 3000.0, 3000.0]),
    }
    naive = placebo_treatments(state, options, Target())
    np.testing.assert_allclose(naive.estimates, honest.estimates, atol=1e-10)
    assert honest.passed and not naive.passed
    assert naive.rejected_share > 0.3 and "do not hold" in repr(naive)


def test_an_experiment_without_effect_has_uniform_p_values():
    p_values = []
    options = PlaceboOptions(replicates=99, level="unit")
    for seed in range(200):
        block = simulate_block(seed=seed, units=200, clusters=200, cluster_effect=0.0)
        p_values.append(
            placebo_treatments(placebo_state(block, options), options, Target()).p_value
        )
    assert 0.42 < np.mean(p_values) < 0.58
    assert 0.01 <= np.mean(np.array(p_values) <= 0.05) <= 0.095


def test_a_real_effect_lies_outside_and_hidden_confounding_passes_unseen():
    options = PlaceboOptions(replicates=99)
    effect = simulate_block(seed=1, units=2000, clusters=2000, effect=1.0)
    found = placebo_treatments(placebo_state(effect, options), options, Target())
    assert found.p_value == 0.01 and found.passed
    hidden = simulate_block(seed=1, units=2000, clusters=2000, hidden=1.0)
    found = placebo_treatments(placebo_state(hidden, options), options, Target())
    assert found.passed and found.p_value == 0.01
    assert "cannot show confounding" in repr(found)
    assert sum(found.bin_counts) == len(found.to_pandas()) == 99


@pytest.mark.parametrize(
    "wrong", [{"replicates": -1}, {"level": "row"}, {"shares": (0.5, 0.2)}, {"shares": (1.0, 0.0)}]
)
def test_wrong_options_are_refused(wrong):
    with pytest.raises(ConfigError, match="Placebo treatments"):
        PlaceboOptions(**wrong)


def test_extreme_propensities_keep_every_arm_possible():
    block = simulate_block(seed=1, units=40, clusters=40)
    sharp = np.where(np.arange(40) % 2, 1 - 1e-12, 1e-12)
    options = PlaceboOptions(replicates=20)
    state = placebo_state(replace(block, propensity=np.stack([1 - sharp, sharp])), options)
    assert np.isfinite(state["placebo_square"]).all()
