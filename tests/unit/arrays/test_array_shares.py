"""Things dealt out to workers: every one once, and no worker with much more than the others."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from truelift.arrays.shares import about_equal


def test_the_largest_goes_first_and_each_to_the_lightest():
    assert about_equal([1, 5, 4, 2], 2) == [[1, 0], [2, 3]]


def test_equal_things_go_out_in_their_order_and_empty_ones_count():
    assert about_equal([0, 0, 0, 0], 2) == [[0, 2], [1, 3]]


def largest_load(sizes, shares) -> int:
    return max(sum(max(sizes[thing], 1) for thing in share) for share in shares)


@given(st.lists(st.integers(0, 1000), max_size=60), st.integers(1, 9))
def test_each_thing_is_dealt_once_and_loads_differ_by_one_thing_at_most(sizes, workers):
    shares = about_equal(sizes, workers)
    assert len(shares) == workers
    assert sorted(thing for share in shares for thing in share) == list(range(len(sizes)))
    loads = [sum(max(sizes[thing], 1) for thing in share) for share in shares]
    assert max(loads) - min(loads) <= max([max(size, 1) for size in sizes], default=0)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(2, 3))
def test_the_largest_share_is_at_most_a_third_above_the_best_possible(sizes, workers):
    best = min(
        largest_load(sizes, [[t for t, w in enumerate(dealt) if w == k] for k in range(workers)])
        for dealt in product(range(workers), repeat=len(sizes))
    )
    assert 3 * largest_load(sizes, about_equal(sizes, workers)) <= 4 * best
