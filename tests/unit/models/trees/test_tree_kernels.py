"""Compiled loops of the trees against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax

from truelift.arrays.keys import mix
from truelift.models.trees.binning import drawn
from truelift.models.trees.family import Family
from truelift.models.trees.forest import Forest, Tree, tree_margins
from truelift.models.trees.growing import counted_ranges
from truelift.models.trees.kernels import (
    LOGISTIC,
    SOFTMAX,
    SQUARED,
    add_histograms,
    add_leaves,
    best_splits,
    leaf_words,
    loss_sums,
    pack_gradients,
    word_of,
)
from truelift.models.trees.options import MISSING

SHIFT = 30
BINS = 6


def packed_of(g: np.ndarray, h: np.ndarray) -> np.ndarray:
    return (g << SHIFT) + h


def histogram(codes: np.ndarray, packed: np.ndarray) -> np.ndarray:
    """Sums (p, BINS + 1), missing last."""
    places = np.where(codes == MISSING, BINS, codes)
    found = np.zeros((codes.shape[1], BINS + 1), np.int64)
    for j in range(codes.shape[1]):
        np.add.at(found[j], places[:, j], packed)
    return found


def rows_of(seed: int, n: int, p: int = 3, missing: float = 0.2):
    random = np.random.default_rng(seed)
    codes = random.integers(0, BINS, (n, p)).astype(np.uint8)
    codes[random.random((n, p)) < missing] = MISSING
    return random, codes, random.integers(-900, 900, n), random.integers(0, 50, n)


@given(st.integers(0, 10_000), st.integers(0, 60), st.integers(1, 9))
def test_histograms_are_sums_by_node_and_code(seed, n, p):
    random, codes, g, h = rows_of(seed, n, p)
    packed, node = packed_of(g, h), random.integers(0, 4, n).astype(np.int32)
    slot = np.array([1, -1, 0, -1], np.int32)
    sums = np.zeros((2, p, BINS + 1), np.int64)
    add_histograms(codes, np.arange(n), packed, node, slot, BINS, sums)
    for own, place in ((0, 1), (2, 0)):
        member = node == own
        np.testing.assert_array_equal(sums[place], histogram(codes[member], packed[member]))


def gain_of(g, h, l2):
    return g * g / (h + l2) if h + l2 > 0 else 0.0


def best_by_hand(codes, g, h, l2, least, categorical):
    """The largest gain of any split: every threshold, every prefix of categories."""
    best = 0.0
    for j in range(codes.shape[1]):
        known, gap = np.unique(codes[codes[:, j] != MISSING, j]), codes[:, j] == MISSING
        if categorical[j]:
            ratio = [g[codes[:, j] == c].sum() / max(h[codes[:, j] == c].sum() + l2, 1e-300)
                     for c in known]  # fmt: skip
            known = known[np.argsort(ratio, kind="stable")]
        for t in range(1, len(known) + 1):
            for with_gap in (False, True):
                left = np.isin(codes[:, j], known[:t]) | (gap & with_gap)
                if h[left].sum() < least or h[~left].sum() < least:
                    continue
                if not h[left].sum() or not h[~left].sum():
                    continue
                parts = gain_of(g[left].sum(), h[left].sum(), l2)
                parts += gain_of(g[~left].sum(), h[~left].sum(), l2)
                best = max(best, parts - gain_of(g.sum(), h.sum(), l2))
    return best


def found_split(codes, g, h, l2, least, categorical, signs=(0, 0, 0), bounds=(-np.inf, np.inf)):
    number, real = np.empty((1, 4), np.int64), np.zeros((1, 2))
    sets = np.zeros((1, 256), bool)
    one = np.ones(1)
    best_splits(
        histogram(codes, packed_of(g, h))[None], np.array([SHIFT]), one, one, least * one,
        bounds[0] * one, bounds[1] * one, np.array(categorical), np.array(signs), l2, number, real,
        sets,
    )  # fmt: skip
    return number[0], real[0], sets[0]


def goes_left(codes, number, sets, categorical):
    j, last, missing_left = number[:3]
    if categorical[j]:
        return sets[codes[:, j]]
    return np.where(codes[:, j] == MISSING, bool(missing_left), codes[:, j] <= last)


@given(st.integers(0, 10_000), st.integers(2, 60), st.sampled_from([0.0, 3.0]),
       st.sampled_from([0.0, 60.0]), st.booleans())  # fmt: skip
def test_the_best_split_is_the_best_of_all(seed, n, l2, least, with_categories):
    _, codes, g, h = rows_of(seed, n)
    categorical = (False, with_categories, False)
    expected = best_by_hand(codes, g, h, l2, least, categorical)
    number, real, sets = found_split(codes, g, h, l2, least, categorical)
    if number[0] < 0:
        assert expected <= 1e-6
        return
    left = goes_left(codes, number, sets, categorical)
    gain = gain_of(g[left].sum(), h[left].sum(), l2) + gain_of(g[~left].sum(), h[~left].sum(), l2)
    assert gain - gain_of(g.sum(), h.sum(), l2) == pytest.approx(expected, rel=1e-9, abs=1e-6)
    assert min(h[left].sum(), h[~left].sum()) >= least
    for side, value in ((left, real[0]), (~left, real[1])):
        assert value == pytest.approx(-g[side].sum() / (h[side].sum() + l2))
    assert number[3] == (h[left].sum() <= h[~left].sum())


@given(st.integers(0, 10_000), st.sampled_from([-1, 1]))
def test_a_split_under_a_sign_rises_or_falls_and_stays_within_its_bounds(seed, sign):
    _, codes, g, h = rows_of(seed, 50)
    bounds = (-5.0, 4.0)
    number, real, _ = found_split(codes, g, h, 1.0, 1.0, (False,) * 3, (sign,) * 3, bounds)
    if number[0] >= 0:
        assert sign * (real[1] - real[0]) >= 0
        assert bounds[0] <= real.min() and real.max() <= bounds[1]


@pytest.mark.parametrize("kind", [SQUARED, LOGISTIC, SOFTMAX])
def test_gradients_are_those_of_the_loss(kind):
    random = np.random.default_rng(kind)
    n, classes = 3000, 3 if kind == SOFTMAX else 1
    state = random.normal(size=(classes, n)).astype(np.float32)
    label, weight = random.integers(0, max(classes, 2), n), random.uniform(0.5, 2.0, n)
    if kind == SQUARED:
        g, h, loss = -weight * state[0], weight, state[0].astype(float) ** 2
    elif kind == LOGISTIC:
        share = expit(state[0].astype(float))
        g, h = weight * (share - label), weight * share * (1 - share)
        loss = -np.log(np.where(label == 1, share, 1 - share))
    else:
        share = softmax(state.astype(float), axis=0)
        g, h = weight * (share[1] - (label == 1)), 2 * weight * share[1] * (1 - share[1])
        loss = -np.log(share[label, np.arange(n)])
    ranges = np.array([[5, 10], [10, n]])
    rows, packed = np.empty(n - 5, np.int64), np.empty(n - 5, np.int64)
    steps = 1000.0
    pack_gradients(
        kind, state, min(1, classes - 1), label, weight, ranges, steps, steps, SHIFT, rows, packed
    )
    np.testing.assert_array_equal(rows, np.arange(5, n))
    assert np.abs((packed >> SHIFT) - steps * g[5:]).max() <= 0.5001
    assert np.abs((packed & (2**SHIFT - 1)) - steps * h[5:]).max() <= 0.5001
    found = loss_sums(kind, state, label, weight, ranges)
    assert found == pytest.approx((weight * loss)[5:].sum(), rel=1e-9)


def test_a_forest_adds_up_the_leaves_that_each_row_comes_to():
    """Two trees by hand: a threshold with missing values left, then a set of categories."""
    no_sets = np.zeros((1, 256), bool)
    words = np.concatenate([
        word_of(np.array([1]), np.array([0]), np.array([2]), np.array([True]), np.array([False])),
        leaf_words(np.array([1, 2])),
    ])  # fmt: skip
    first = Tree(words, np.array([0.0, 1.0, 2.0]), np.zeros(3, np.int32), no_sets, 1)
    by_set = np.zeros((2, 256), bool)
    by_set[1, [0, 4]] = True
    words = np.concatenate([
        word_of(np.array([1]), np.array([1]), np.array([0]), np.array([False]), np.array([True])),
        leaf_words(np.array([1, 2])),
    ])  # fmt: skip
    second = Tree(words, np.array([0.0, 10.0, 20.0]), np.array([1, 0, 0], np.int32), by_set, 1)
    codes = np.array([[2, 0], [3, 4], [MISSING, 1], [0, MISSING]], np.uint8)
    data = Forest.of([first, second, first]).to_bytes()
    np.testing.assert_array_equal(tree_margins(data, codes), [12.0, 14.0, 22.0, 22.0])
    by_class = tree_margins(data, codes, 3)
    np.testing.assert_array_equal(by_class[:, 1], [10.0, 10.0, 20.0, 20.0])
    assert Forest.from_bytes(data).to_bytes() == data


def family_of(hashes: np.ndarray) -> Family:
    n = len(hashes)
    nothing = (np.zeros((0, 2), np.int64),)
    return Family(
        SQUARED, np.zeros((n, 1), np.uint8), np.zeros(n, np.int64), np.ones(n), np.sort(hashes),
        np.zeros((1, 1, n), np.float32), nothing, nothing, nothing, np.zeros(1, np.int64), 1,
    )  # fmt: skip


def test_windows_have_their_share_and_turn_through_all_rows_wherever_these_lie():
    hashes = np.sort(mix(np.arange(40_000, dtype=np.uint64)))
    whole = family_of(hashes)
    part = drawn(hashes, 0.5, 3)
    parts = [family_of(hashes[part]), family_of(hashes[~part])]
    seen: set[int] = set()
    for turn in range(5):
        chosen: list[set[int]] = []
        for family in (whole, *parts):
            ranges = family.window(np.array([[0, len(family.hashes)]]), 0.2, turn, seed=7)
            chosen.append({int(h) for a, b in ranges for h in family.hashes[a:b]})
        assert chosen[0] == chosen[1] | chosen[2]
        assert len(chosen[0]) == pytest.approx(8000, rel=0.05)
        assert not seen & chosen[0]
        seen |= chosen[0]
    assert len(seen) > 39_900


def test_rows_that_a_tree_did_not_see_bound_the_next_gradients_too():
    """Else whole numbers of the next tree could run over; rows that stop it are of no account."""
    ranges = counted_ranges(
        np.array([[0, 6], [6, 10]]), np.array([[2, 4], [6, 10]]), np.array([[10, 12]])
    )
    kinds = {i: kind for low, high, kind in ranges.tolist() for i in range(low, high)}
    assert [kinds[i] for i in range(12)] == [2, 2, 1, 1, 2, 2, 1, 1, 1, 1, 0, 0]
    state = np.zeros((1, 12), np.float32)
    state[0, [0, 3, 11]] = -7.0, 5.0, 100.0
    leaf, values = np.zeros(12, np.uint16), np.array([1.0])
    assert add_leaves(SQUARED, state, 0, np.full(12, 2.0), ranges, leaf, values) == 16.0
    np.testing.assert_array_equal(state[0, [0, 1, 3, 11]], [-8.0, -1.0, 4.0, 99.0])
