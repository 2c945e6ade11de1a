"""Intervals of a learned policy's value hold it, also where the folds' rules follow noise."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from truelift.policy.means import Ratios, shared_of_folds
from truelift.policy.trees.fit import TreeOptions, fit_trees
from truelift.policy.trees.histograms import CodedRows, SumsInMemory

pytestmark = pytest.mark.study

FOLDS, UNITS, LEVELS = 5, 500, 5


def drawn(rng: np.random.Generator) -> tuple[float, float, float]:
    """Error of the value of trees that can only follow noise; its standard errors without and with what
    folds have in common. The truth is zero whatever they choose.
    """
    codes = rng.integers(0, LEVELS, (2, UNITS)).astype(np.uint8)
    scores, fold = rng.normal(size=(UNITS, 3)), np.arange(UNITS) % FOLDS
    trees = fit_trees(SumsInMemory(CodedRows(codes, scores, fold), 1), 2, LEVELS, 3, FOLDS,
                      TreeOptions(2, 20), 1)  # fmt: skip
    rows = np.arange(UNITS)
    by_tree = [scores[rows, tree.choose(codes)] for tree in (*trees.of_folds, *trees.of_pairs)]
    out = np.choose(fold, by_tree[:FOLDS])
    moved = np.zeros((2, FOLDS, FOLDS))
    for before, pair in zip(by_tree[FOLDS:], combinations(range(FOLDS), 2), strict=True):
        for one, other in (pair, pair[::-1]):
            moved[1, one, other] = (out - before)[fold == one].sum()
    sums = np.array([np.ones(UNITS), out])
    state = {
        "total": sums.sum(axis=1), "products": sums @ sums.T, "clusters": np.array([UNITS]), "moved": moved,
    }  # fmt: skip
    found = Ratios.of(state, [1], [0])
    alone, whole = found.covariance[0, 0], found.whole_covariance()[0, 0]
    return float(found.estimates[0]), float(np.sqrt(alone)), float(np.sqrt(whole))


@pytest.fixture(scope="module")
def repetitions() -> np.ndarray:
    rng = np.random.default_rng(11)
    return np.array([drawn(rng) for _ in range(500)])


def test_the_interval_with_what_folds_share_holds_the_value(repetitions):
    error, _, whole = repetitions.T
    # 500 repetitions of .95 have a standard error of .01.
    assert 0.93 <= (np.abs(error) < 1.96 * whole).mean() <= 0.98


def test_folds_taken_as_independent_would_hold_it_too_rarely(repetitions):
    error, alone, _ = repetitions.T
    assert (np.abs(error) < 1.96 * alone).mean() < 0.91


def test_folds_share_nothing_where_one_fold_more_moves_no_rule():
    assert not shared_of_folds(np.zeros((2, 3, 3))).any()


def test_moves_of_two_folds_in_one_direction_add_to_the_variance():
    moved = np.zeros((1, 2, 2))
    moved[0, 0, 1], moved[0, 1, 0] = 2.0, 3.0
    assert shared_of_folds(moved).tolist() == [[12.0]]
