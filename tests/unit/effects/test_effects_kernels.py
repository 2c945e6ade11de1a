"""The small parts: keys, sums by cluster, sketches, normal equations, start rows."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truelift.effects.columns import number_column
from truelift.effects.keys import hash_keys, hash_repeated
from truelift.effects.propensity import PropensityFit, loss_sums
from truelift.effects.start import start_buckets
from truelift.inference.clusters import (
    ClusterSums,
    Summands,
    bucket_sketch,
    clusters_in_two_buckets,
)
from truelift.inference.normal_equations import (
    dependent_columns,
    ridge_coefficients,
    solve_symmetric,
)

TEXTS = st.lists(st.one_of(st.none(), st.text(max_size=8)), max_size=30)


@settings(max_examples=50)
@given(st.lists(st.text(min_size=1, max_size=8), max_size=30))
def test_equal_texts_have_equal_hashes_and_different_ones_differ(texts):
    hashes = hash_keys(pa.array(texts, pa.string())).tolist()
    assert len(set(hashes)) == len(set(texts))
    assert len(set(zip(hashes, texts, strict=True))) == len(set(texts))


@given(TEXTS, st.integers(0, 10))
def test_a_hash_does_not_depend_on_where_the_row_lies(texts, start):
    whole = pa.array(texts, pa.string())
    np.testing.assert_array_equal(hash_keys(whole)[start:], hash_keys(whole[start:]))
    chunks = pa.chunked_array([whole[:start], whole[start:]], pa.string())
    np.testing.assert_array_equal(hash_keys(whole), hash_keys(chunks))


def test_hashes_are_stable_between_machines_and_releases():
    assert hash_keys(pa.array(["a", "household-7"])).tolist() == [
        11433294354171565884,
        15662989285806460156,
    ]
    assert hash_keys(pa.array([7])).tolist() == [7191089600892374487]


@pytest.mark.parametrize(
    "column",
    [pa.array([3, 4], pa.int32()), pa.array(["3", "4"]).dictionary_encode(), pa.array([3.5, 4.0])],
)
def test_keys_of_any_type_are_told_apart(column):
    one, two = hash_keys(column)
    assert one != two


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-9, 9)), max_size=60), st.integers(1, 60))
def test_sums_by_cluster_do_not_depend_on_batches(rows, cut):
    keys = np.array([k for k, _ in rows], np.uint64)
    values = np.array([[v for _, v in rows]], float).reshape(1, len(rows))
    sums = ClusterSums(1)
    for start in range(0, len(rows), cut):
        sums.add(keys[start : start + cut], values[:, start : start + cut])
    found, totals = sums.finish()
    expected = {k: values[0, keys == k].sum() for k in np.unique(keys)}
    assert dict(zip(found.tolist(), totals[0].tolist(), strict=True)) == expected


@given(
    rows=st.lists(st.tuples(st.integers(0, 4), st.integers(-9, 9), st.integers(-1, 2)), min_size=1),
    nested=st.booleans(),
    cut=st.integers(1, 40),
)
def test_a_row_is_summed_in_its_cell_alone_or_in_all_before_it_too(rows, nested, cut):
    keys, values, cells = (np.array(part) for part in zip(*rows, strict=True))
    numbers = np.stack([values, values**2]).astype(float)
    lines = np.array([[6, 1], [2, 3], [4, 5]])  # of the quantities, number 0 is nobody's
    sums = ClusterSums(7)
    for start in range(0, len(rows), cut):
        here = slice(start, start + cut)
        part = Summands(numbers[:, here], lines, cells[here].astype(np.int8), nested)
        sums.add_summands(keys[here].astype(np.uint64), [part])
    found, totals = sums.finish()
    expected = np.zeros((7, len(found)))
    for key, value, cell in rows:
        for c in range(3):
            if cell == c or (nested and cell > c):
                expected[lines[c], found.tolist().index(key)] += value, value**2
    np.testing.assert_array_equal(totals, expected)


@given(st.sets(st.integers(0, 10_000), max_size=50), st.sets(st.integers(0, 10_000), max_size=50))
def test_the_sketch_finds_clusters_of_two_buckets_and_only_those(one, two):
    sketches = [
        bucket_sketch(hash_keys(pa.array(sorted(keys), pa.int64())), bucket)
        for bucket, keys in ((3, one), (8, two))
    ]
    found = clusters_in_two_buckets(np.maximum(*sketches))
    assert found <= len(one & two)
    if len(one | two) == 1:
        assert found == len(one & two)


def test_the_sketch_finds_one_cut_cluster_among_a_few_hundred():
    one, two = np.arange(0, 200), np.arange(199, 400)
    sketches = [
        bucket_sketch(hash_keys(pa.array(keys)), bucket) for bucket, keys in ((0, one), (1, two))
    ]
    assert clusters_in_two_buckets(np.maximum(*sketches)) == 1


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1, None]), [1.0, np.nan]),
        (pa.array([True, False]), [1.0, 0.0]),
        (pa.array([Decimal("1.5"), None]), [1.5, np.nan]),
        (pa.array([2.5, -1.0], pa.float32()), [2.5, -1.0]),
    ],
)
def test_numbers_of_any_type_become_doubles_and_nulls_nan(column, expected):
    batch = pa.RecordBatch.from_arrays([column], ["x"])
    np.testing.assert_array_equal(number_column(batch, "x"), expected)


def test_only_the_later_of_collinear_columns_is_named():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 500))
    x = np.vstack([a, np.zeros(500), b, a - 2 * b, a + 1e-3 * rng.normal(size=500)])
    assert dependent_columns(np.cov(x, bias=True)) == [3]


def test_least_squares_from_a_gram_matrix_equal_lstsq():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(200, 3)), rng.normal(size=(200, 2))
    z = np.column_stack([np.ones(200), x, y])
    found = ridge_coefficients(z.T @ z, 3, np.ones(3), 0.0)
    expected = np.linalg.lstsq(z[:, :4], y, rcond=None)[0].T
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_ridge_does_not_shrink_the_intercept():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 2))
    y = 100 + x @ [1.0, 2.0]
    z = np.column_stack([np.ones(300), x, y])
    found = ridge_coefficients(z.T @ z, 2, np.ones(2), 1e6)
    assert found[0, 0] == pytest.approx(y.mean(), rel=1e-4)
    assert np.abs(found[0, 1:]).max() < 1e-3


def test_directions_without_information_get_zero():
    matrix = np.array([[2.0, 2.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(solve_symmetric(matrix, np.array([4.0, 4.0, 0.0])), [1, 1, 0])


def test_a_step_that_makes_the_loss_worse_is_halved():
    rng = np.random.default_rng(3)
    block = np.vstack([np.ones(400), rng.normal(size=400)])
    arm = (rng.random(400) < 1 / (1 + np.exp(-2 * block[1]))).astype(int)
    far = np.array([[0.0, 8.0]])  # a full Newton step from here overshoots
    fit = PropensityFit.start(far, 1)
    losses = []
    for _ in range(30):
        loss, ascent, hessian = loss_sums(block, arm, fit.coefficients[0])
        losses.append(loss)
        rows = np.array([400.0])
        fit = fit.step(np.array([loss]), ascent[None], hessian[None], rows, np.zeros((1, 2)))
    assert max(losses[1:]) > losses[0]
    assert fit.remaining < 1e-20
    _, ascent, _ = loss_sums(block, arm, fit.coefficients[0])
    assert np.abs(ascent).max() < 1e-8


def test_start_rows_come_from_few_buckets_of_a_large_table_and_all_of_a_small_one():
    large = start_buckets(dict.fromkeys(range(40), 1_000_000), 20_000)
    small = start_buckets(dict.fromkeys(range(40), 100), 20_000)
    assert (len(large.buckets), large.rows_each) == (1, 20_000)
    assert (len(small.buckets), small.rows_each) == (40, 500)


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", None, "b", "a", "", None]),
        pa.array([3, None, 3, 4]),
        pa.array(["x", "y", "x", None]).dictionary_encode(),
        pa.array(["left out", "a", "b", "a"])[1:],
        pa.array([], pa.string()),
    ],
    ids=["texts", "numbers", "codes", "slice", "nothing"],
)
def test_keys_that_repeat_have_the_hashes_of_keys_that_do_not(column):
    np.testing.assert_array_equal(hash_repeated(column), hash_keys(column))
