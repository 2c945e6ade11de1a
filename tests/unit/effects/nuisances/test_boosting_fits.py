"""Whole fits of trees: against XGBoost, by workers, threads and seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.models.trees.together import Together
from truelift.arrays.keys import mix
from truelift.effects.boosting import BoostingOptions, fit_in_memory
from truelift.effects.boosting.fitting import fit_blocks
from truelift.effects.boosting.reading import Block
from truelift.models.trees.options import MISSING


def world(n: int = 4000, arms: int = 2):
    random = np.random.default_rng(8)
    x = random.normal(size=(4, n))
    x[1, random.random(n) < 0.1] = np.nan
    arm = random.integers(0, arms, n)
    wave = np.sin(2 * x[0]) + np.nan_to_num(np.abs(x[1]))
    outcome = wave * (1 + arm) + 0.5 * random.normal(size=n)
    return x, arm, outcome[None], np.arange(n) % 4


def test_trees_are_those_of_xgboost():
    import xgboost

    x, _, outcome, fold = world()
    n = x.shape[1]
    options = BoostingOptions(
        trees=20, depth=4, early_stopping_rounds=0, on_top_of_linear=False, ridge=0.0
    )
    fitted = fit_in_memory(x, np.zeros(n, int), outcome, fold, options, arms=1)
    codes = fitted.bins.codes(x)
    train, held_out = fold != 0, fold == 0
    matrix = xgboost.DMatrix(np.where(codes == MISSING, np.nan, codes), outcome[0])
    booster = xgboost.train(
        {"max_depth": 4, "learning_rate": 0.1, "min_child_weight": options.min_child_weight,
         "max_bin": 256, "base_score": float(outcome[0, train].mean()), "nthread": 1,
         "tree_method": "hist"},
        matrix.slice(np.flatnonzero(train)), 20,
    )  # fmt: skip
    theirs = booster.predict(matrix)[held_out]
    ours = fitted.predict(x[:, held_out], 0)[1][0, 0]
    # XGBoost sends what was never missing in a node elsewhere, and ties may fall apart.
    assert np.median(np.abs(ours - theirs)) < 1e-5
    losses = [((outcome[0, held_out] - found) ** 2).mean() for found in (ours, theirs)]
    assert losses[0] == pytest.approx(losses[1], rel=0.005)


@pytest.mark.parametrize("arms", [2, 3])
def test_two_workers_grow_the_trees_of_one(arms):
    x, arm, outcome, fold = world(arms=arms)
    options = BoostingOptions(trees=12, depth=4, early_stopping_rounds=3, split_rows=1000)
    cluster = mix((np.arange(x.shape[1]) // 3).astype(np.uint64))
    names = tuple(f"x_{j}" for j in range(4))

    def fitted(worker, parts):
        blocks = [Block(x[:, p], arm[p], outcome[:, p], cluster[p], fold[p]) for p in parts]
        return fit_blocks(iter(blocks), names, 1, arms, 4, options, worker, 1, "panel")

    one = fit_in_memory(x, arm, outcome, fold, options, cluster=np.arange(x.shape[1]) // 3)
    halves = [[slice(0, 900), slice(900, 1700)], [slice(1700, None)]]
    for two in Together(2).run(lambda worker: fitted(worker, halves[worker.rank])):
        np.testing.assert_array_equal(two.outcome_rounds, one.outcome_rounds)
        for k in range(4):
            for mine, theirs in zip(two.predict(x, k), one.predict(x, k), strict=True):
                np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-6)
        np.testing.assert_allclose(two.outcome_loss, one.outcome_loss, rtol=1e-6)


def test_threads_change_nothing():
    options = BoostingOptions(trees=6, depth=3, early_stopping_rounds=2)
    one = fit_in_memory(*world(), options)
    three = fit_in_memory(*world(), options, threads=3)
    assert one.outcome_boosters == three.outcome_boosters
    assert one.propensity_boosters == three.propensity_boosters


def test_splits_sought_on_few_rows_give_leaves_of_all_rows():
    """One split, full rate: each leaf is the mean of all its training rows, not of the few."""
    x, _, outcome, fold = world(6000)
    options = BoostingOptions(
        trees=1, depth=1, learning_rate=1.0, l2=0.0, early_stopping_rounds=0, ridge=0.0,
        on_top_of_linear=False, split_rows=1000,
    )  # fmt: skip
    fitted = fit_in_memory(x, np.zeros(6000, int), outcome, fold, options, arms=1)
    found = fitted.predict(x, 0)[1][0, 0]
    for value in np.unique(found):
        member = (found == value) & (fold != 0)
        assert value == pytest.approx(outcome[0, member].mean(), abs=1e-6)
    assert len(np.unique(found)) == 2


def test_another_seed_seeks_splits_on_other_rows():
    x, _, outcome, fold = world(6000)
    options = BoostingOptions(trees=1, depth=4, early_stopping_rounds=0, split_rows=1000)

    def forest(seed: int, **changes: int) -> bytes:
        chosen = replace(options, seed=seed, **changes)
        return fit_in_memory(x, np.zeros(6000, int), outcome, fold, chosen, arms=1).outcome_boosters[0][0][0]  # fmt: skip

    assert forest(7) != forest(8)
    assert forest(7, split_rows=6000) == forest(8, split_rows=6000)
