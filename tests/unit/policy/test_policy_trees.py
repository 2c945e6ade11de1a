"""Policy trees are the best ones: held to a search of all trees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truelift.policy.trees.fit import TreeOptions, fit_trees
from truelift.policy.trees.histograms import CodedRows, SumsInMemory
from truelift.policy.trees.tree import PolicyTree, grown


def best_value(codes: np.ndarray, scores: np.ndarray, depth: int, least: int) -> float:
    """The largest sum of chosen scores over all trees: by trying every one of them."""
    best = float(scores.sum(axis=0).max())
    if not depth:
        return best
    for row in codes:
        for cut in np.unique(row)[:-1]:
            low = row <= cut
            if min(low.sum(), (~low).sum()) >= least:
                value = best_value(codes[:, low], scores[low], depth - 1, least)
                value += best_value(codes[:, ~low], scores[~low], depth - 1, least)
                best = max(best, value)
    return best


def world(seed: int, n: int, p: int, bins: int, arms: int, folds: int) -> CodedRows:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, bins, (p, n)).astype(np.uint8)
    return CodedRows(codes, rng.normal(size=(n, arms)), rng.integers(0, folds, n))


def fitted(rows: CodedRows, bins: int, folds: int, options: TreeOptions):
    p, arms = len(rows.codes), rows.scores.shape[1]
    return fit_trees(SumsInMemory(rows), p, bins, arms, folds, options)


def value(tree: PolicyTree, rows: CodedRows, of: np.ndarray) -> float:
    chosen = tree.choose(rows.codes[:, of])
    return float(rows.scores[of][np.arange(of.sum()), chosen].sum())


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10**6), n=st.integers(6, 40), p=st.integers(1, 3), bins=st.integers(2, 5),
    arms=st.integers(2, 4), least=st.integers(1, 6), depth=st.integers(0, 2),
)  # fmt: skip
def test_trees_up_to_depth_two_equal_an_exhaustive_search(
    seed: int, n: int, p: int, bins: int, arms: int, least: int, depth: int
) -> None:
    rows = world(seed, n, p, bins, arms, 2)
    found = fitted(rows, bins, 2, TreeOptions(depth, least))
    everyone = np.ones(n, bool)
    best = best_value(rows.codes, rows.scores, depth, least)
    assert found.sum_of_all == pytest.approx(best, abs=1e-9)
    assert value(found.of_all, rows, everyone) == pytest.approx(best, abs=1e-9)


@settings(deadline=None, max_examples=8)
@given(
    seed=st.integers(0, 10**6), n=st.integers(8, 25), p=st.integers(1, 3), least=st.integers(1, 4)
)
def test_trees_of_depth_three_equal_an_exhaustive_search(
    seed: int, n: int, p: int, least: int
) -> None:
    rows = world(seed, n, p, 4, 3, 2)
    found = fitted(rows, 4, 2, TreeOptions(3, least))
    best = best_value(rows.codes, rows.scores, 3, least)
    assert value(found.of_all, rows, np.ones(n, bool)) == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_folds_tree_is_the_best_of_the_other_folds(depth: int) -> None:
    rows = world(5, 45, 2, 4, 3, 3)
    found = fitted(rows, 4, 3, TreeOptions(depth, 2))
    for fold, tree in enumerate(found.of_folds):
        others = rows.fold != fold
        best = best_value(rows.codes[:, others], rows.scores[others], depth, 2)
        assert found.sums_of_folds[fold] == pytest.approx(best, abs=1e-9)
        assert value(tree, rows, others) == pytest.approx(best, abs=1e-9)


def test_no_leaf_is_smaller_than_the_least_size() -> None:
    rows = world(3, 200, 3, 6, 2, 2)
    tree = fitted(rows, 6, 2, TreeOptions(2, 40)).of_all
    assert np.bincount(tree.leaf(rows.codes))[list(tree.leaves)].min() >= 40


def test_of_equal_cuts_the_first_covariate_and_the_lowest_cut_stand() -> None:
    line = np.array([0, 0, 2, 2], np.uint8)
    scores = np.array([[0.0, 1], [0, 1], [1, 0], [1, 0]])
    tree = fitted(CodedRows(np.array([line, line]), scores, np.zeros(4, int)), 4, 1,
                  TreeOptions(2)).of_all  # fmt: skip
    assert tree == grown([(0, 0), None, None], [0, 1, 0])


def test_deeper_trees_find_what_two_cuts_cannot() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, (4, 4000)).astype(np.uint8)
    best = (codes[0] & codes[1]) ^ (codes[2] & codes[3])
    scores = np.column_stack([1.0 - best, best]) + rng.normal(0, 0.1, (4000, 2))
    rows = CodedRows(codes, scores, rng.integers(0, 2, 4000))
    two, four = (fitted(rows, 2, 2, TreeOptions(d)) for d in (2, 4))
    everyone = np.ones(4000, bool)
    assert four.sum_of_all == pytest.approx(value(four.of_all, rows, everyone))
    assert four.of_all.depth == 4
    assert four.sum_of_all > two.sum_of_all + 400
    assert four.sum_of_all == pytest.approx(best_value(codes, scores, 4, 1), rel=1e-6)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10**6))
def test_sums_of_parts_of_the_rows_give_the_trees_of_all_rows(seed: int) -> None:
    rows = world(seed, 60, 3, 5, 3, 2)
    parts = [
        CodedRows(rows.codes[:, at], rows.scores[at], rows.fold[at])
        for at in np.array_split(np.arange(60), 4)
    ]
    answers = [SumsInMemory(part) for part in parts]
    options = TreeOptions(2, 3)
    added = fit_trees(lambda r: sum(a(r) for a in answers), 3, 5, 3, 2, options)
    whole = fitted(rows, 5, 2, options)
    np.testing.assert_allclose(added.sums_of_folds, whole.sums_of_folds, atol=1e-9)
    assert added.of_all == whole.of_all
