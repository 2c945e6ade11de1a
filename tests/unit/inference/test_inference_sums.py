"""Sums by cluster, the sketch of clusters in two buckets, and normal equations."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from truelift.arrays.keys import hash_keys
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
