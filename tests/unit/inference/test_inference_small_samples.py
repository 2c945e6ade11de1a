"""Corrections for few, unequal and two-way clusters, against sums over the clusters themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from truelift.errors import ConfigError, DataError
from truelift.inference.small_samples import (
    degrees_of_freedom,
    effective_clusters,
    effective_clusters_difference,
    pair_moments,
    size_moments,
    two_way_covariance,
)

SIZES = st.lists(st.integers(1, 60), min_size=2, max_size=30).map(np.array)
SHARE = st.floats(0, 1)


def brute_effective(design, cluster, weights, correlation):
    """G* of Carter, Schnepel & Steigerwald from the units' design matrix, by its definition."""
    bread = np.linalg.inv(design.T @ design)
    parts = []
    for g in np.unique(cluster):
        x = design[cluster == g]
        omega = correlation + (1 - correlation) * np.eye(len(x))
        parts.append(weights @ bread @ x.T @ omega @ x @ bread @ weights)
    parts = np.array(parts)
    return len(parts) / (1 + parts.var() / parts.mean() ** 2)


@given(SIZES, SHARE)
def test_effective_clusters_of_a_mean_follow_the_definition(sizes, correlation):
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    expected = brute_effective(np.ones((sizes.sum(), 1)), cluster, np.ones(1), correlation)
    assert effective_clusters(size_moments(sizes), correlation) == pytest.approx(expected)


@given(SIZES, st.data(), st.floats(0, 0.99))
def test_effective_clusters_of_a_difference_follow_the_definition(sizes, data, correlation):
    treated = np.array([data.draw(st.integers(0, int(n))) for n in sizes])
    treated[0], treated[1] = 0, sizes[1]
    arm = np.concatenate([np.arange(n) < t for n, t in zip(sizes, treated, strict=True)])
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    design = np.column_stack([np.ones(len(arm)), arm])
    expected = brute_effective(design, cluster, np.array([0.0, 1.0]), correlation)
    moments = pair_moments(sizes - treated, treated)
    assert effective_clusters_difference(moments, correlation) == pytest.approx(expected)


def test_equal_sizes_keep_every_cluster_and_one_giant_leaves_about_one():
    assert effective_clusters(size_moments(np.full(40, 7))) == pytest.approx(40)
    assert effective_clusters(size_moments(np.r_[10_000, np.ones(39)])) == pytest.approx(
        1, abs=0.01
    )


def test_moments_add_up_over_buckets():
    sizes = np.arange(1, 20)
    np.testing.assert_allclose(
        size_moments(sizes[:7]) + size_moments(sizes[7:]), size_moments(sizes), rtol=1e-14
    )
    other = sizes[::-1]
    parts = pair_moments(sizes[:7], other[:7]) + pair_moments(sizes[7:], other[7:])
    np.testing.assert_allclose(parts, pair_moments(sizes, other), rtol=1e-14)


def test_nothing_common_is_left_where_every_cluster_is_split_alike():
    moments = pair_moments(np.array([2, 4, 6]), np.array([1, 2, 3]))
    assert not effective_clusters_difference(moments, 1.0) > 3
    with pytest.raises(DataError, match="no units"):
        effective_clusters_difference(pair_moments(np.array([2, 3]), np.zeros(2)))


def test_degrees_of_freedom_are_those_of_the_effective_clusters_and_never_below_one():
    assert degrees_of_freedom(10) == 9
    assert degrees_of_freedom(10, effective=4.5) == 3.5
    assert degrees_of_freedom(10, effective=1.2) == 1
    assert degrees_of_freedom(10, effective=30.0) == 9
    with pytest.raises(DataError, match="1 cluster"):
        degrees_of_freedom(1)
    with pytest.raises(ConfigError, match="correlation"):
        effective_clusters(size_moments(np.ones(3)), 1.5)


def clustered(scores, cluster):
    sums = np.stack([scores[cluster == g].sum(axis=0) for g in np.unique(cluster)])
    return sums.T @ sums


def test_two_way_covariance_is_the_sum_over_pairs_of_units_that_share_a_cluster():
    random = np.random.default_rng(0)
    scores = random.standard_normal((200, 2)) + random.standard_normal((8, 2))[np.arange(200) % 8]
    first, second = np.arange(200) % 8, random.integers(0, 9, 200)
    shared = (first[:, None] == first) | (second[:, None] == second)
    both = first * 100 + second
    found = two_way_covariance(*(clustered(scores, c) for c in (first, second, both)))
    assert not found.repaired
    np.testing.assert_allclose(found.covariance, scores.T @ shared @ scores, rtol=1e-10)


def test_one_way_clusters_are_the_special_case_of_equal_ways():
    matrix = np.array([[2.0, 0.3], [0.3, 1.0]])
    np.testing.assert_allclose(two_way_covariance(matrix, matrix, matrix).covariance, matrix)


@given(
    arrays(float, (3, 3, 3), elements=st.floats(-3, 3)),
    arrays(float, 3, elements=st.sampled_from([1e-5, 1.0, 1e4])),
)
def test_repair_gives_a_covariance_matrix_and_does_not_depend_on_units(roots, units):
    matrices = [root @ root.T + 0.01 * np.eye(3) for root in roots]
    found = two_way_covariance(*matrices)
    scale = np.sqrt(np.diag(matrices[0] + matrices[1]))
    correlation = found.covariance / np.outer(scale, scale)
    assert np.linalg.eigvalsh(correlation)[0] > -1e-9
    plain = matrices[0] + matrices[1] - matrices[2]
    assert found.repaired or np.allclose(found.covariance, plain, atol=1e-12)
    outer = np.outer(units, units)
    scaled = two_way_covariance(*(matrix * outer for matrix in matrices))
    np.testing.assert_allclose(
        scaled.covariance / outer / np.outer(scale, scale), correlation, atol=1e-8
    )


def test_a_repair_is_said_and_never_lowers_a_variance():
    first, second = np.diag([1.0, 1.0]), np.diag([1.0, 1.0])
    both = np.array([[1.5, 1.4], [1.4, 1.5]])
    found = two_way_covariance(first, second, both)
    assert found.repaired
    assert found.smallest_eigenvalue == pytest.approx(-0.45)
    assert "compare" in repr(found)
    assert np.all(np.diag(found.covariance) >= np.diag(first + second - both))
    with pytest.raises(DataError, match="same estimates"):
        two_way_covariance(first, np.eye(3), both)
