"""Bins and draws: they depend on the rows' content, never on where the rows lie."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from truelift.arrays.keys import mix
from truelift.effects.boosting import BoostingOptions
from truelift.effects.boosting.binning import (
    drawn,
    make_bins,
    row_hashes,
    sample_columns,
)
from truelift.effects.boosting.linear_start import fit_linear_start
from truelift.effects.boosting.options import MISSING
from truelift.effects.boosting.reading import Block, prepare
from truelift.effects.boosting.workers import Alone
from truelift.effects.training_folds import training_folds

numbers = st.floats(-1e6, 1e6, width=32)


class Together:
    """Workers that are threads: a sum waits until all have brought their values."""

    def __init__(self, size: int):
        self.size = size
        self._barrier, self._values = threading.Barrier(size), [np.zeros(0)] * size

    def member(self, rank: int):
        shared = self

        class Member:
            size = shared.size

            def __init__(self) -> None:
                self.rank = rank

            def sum(self, values):
                return self._of_all(values, np.sum)

            def max(self, values):
                return self._of_all(values, np.max)

            def _of_all(self, values, reduced):
                shared._values[rank] = values
                shared._barrier.wait(30)
                total = reduced(np.array(shared._values), axis=0)
                shared._barrier.wait(30)
                return total

        return Member()

    def run(self, work):
        """``work(worker)`` on each; the results by rank."""
        found = [None] * self.size

        def one(rank: int) -> None:
            found[rank] = work(self.member(rank))

        threads = [threading.Thread(target=one, args=(r,)) for r in range(self.size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert all(f is not None for f in found)
        return found


@given(st.lists(numbers, min_size=1, max_size=200), st.integers(2, 255))
def test_codes_rise_with_values_and_stay_within_the_bins(values, most):
    column = np.sort(np.array(values, np.float32))
    bins = make_bins(column[None], (False,), most)
    codes = bins.codes(column[None].astype(float))[:, 0]
    assert (np.diff(codes.astype(int)) >= 0).all()
    assert codes.max() < min(most, bins.codes_used)


@given(st.sets(numbers, min_size=1, max_size=20))
def test_few_values_have_a_bin_each(values):
    column = np.unique(np.array(sorted(values), np.float32))
    bins = make_bins(column[None], (False,), 255)
    assert bins.codes(column[None])[:, 0].tolist() == list(range(len(column)))


def test_many_values_fall_into_bins_of_equal_counts():
    column = np.sort(np.random.default_rng(1).normal(size=10_000)).astype(np.float32)
    codes = make_bins(column[None], (False,), 50).codes(column[None])[:, 0]
    assert np.bincount(codes).tolist() == [200] * 50


def test_a_missing_value_has_a_code_of_its_own_also_where_all_are_missing():
    sample = np.array([[1.0, 2.0, np.nan], [np.nan] * 3], np.float32)
    bins = make_bins(sample, (False, False), 255)
    assert bins.codes(sample.astype(float)).tolist() == [
        [0, MISSING],
        [1, MISSING],
        [MISSING, MISSING],
    ]


def test_a_category_is_its_own_code_and_a_code_out_of_range_is_missing():
    bins = make_bins(np.array([[0.0, 3.0]], np.float32), (True,), 255)
    found = bins.codes(np.array([[0.0, 254.0, 255.0, -1.0, np.nan]]))[:, 0]
    assert found.tolist() == [0, 254, MISSING, MISSING, MISSING]


def test_row_hashes_follow_the_rows_and_know_one_zero_and_one_missing_value():
    x = np.random.default_rng(2).normal(size=(3, 50)).astype(np.float32)
    cluster = mix(np.arange(50, dtype=np.uint64))
    order = np.random.default_rng(3).permutation(50)
    hashes = row_hashes(list(x), cluster)
    assert len(set(hashes.tolist())) == 50
    np.testing.assert_array_equal(row_hashes(list(x[:, order]), cluster[order]), hashes[order])
    same = mix(np.zeros(2, np.uint64))
    other_nan = np.array([0x7FC00000, 0xFFC00001], np.uint32).view(np.float32)
    for pair in (np.array([0.0, -0.0], np.float32), other_nan):
        one, two = row_hashes([pair], same)
        assert one == two


def test_a_draw_has_its_share_and_another_salt_draws_others():
    hashes = mix(np.arange(100_000, dtype=np.uint64))
    one, two = drawn(hashes, 0.3, 1), drawn(hashes, 0.3, 2)
    assert one.mean() == pytest.approx(0.3, abs=0.006)
    assert (one & two).mean() == pytest.approx(0.09, abs=0.006)
    assert drawn(hashes, 1.0, 1).all()


def panel(n: int = 3000):
    random = np.random.default_rng(4)
    x = random.normal(size=(4, n))
    x[1, random.random(n) < 0.1] = np.nan
    cluster = mix(random.integers(0, 500, n).astype(np.uint64))
    arm = random.integers(0, 3, n)
    outcome = np.stack([np.nan_to_num(x).sum(axis=0) + arm, x[0] - arm]) + random.normal(size=n)
    fold = (cluster % np.uint64(4)).astype(int)
    return x, arm, outcome, cluster, fold


def cut(arrays, part) -> Block:
    x, arm, outcome, cluster, fold = arrays
    return Block(x[:, part], arm[part], outcome[:, part], cluster[part], fold[part])


def start_of(blocks, worker):
    options = BoostingOptions(max_bins=30)
    names = ("x_0", "x_1", "x_2", "x_3")
    rows, preparation = prepare(iter(blocks), names, 2, 3, options, worker, "panel")
    start = fit_linear_start(
        rows, preparation, training_folds(4), 3, (0,) * 4, options.ridge, worker
    )
    return rows, preparation, start


def test_two_workers_bin_and_start_as_one_does():
    arrays = panel()
    _, alone, start = start_of([cut(arrays, slice(None))], Alone())
    parts = [slice(0, 1000), slice(1000, None)]
    found = Together(2).run(lambda w: start_of([cut(arrays, parts[w.rank])], w))
    for _, preparation, own in found:
        for one, two in zip(alone.bins.edges, preparation.bins.edges, strict=True):
            np.testing.assert_array_equal(one, two)
        np.testing.assert_allclose(own.outcome, start.outcome, atol=1e-10)
        np.testing.assert_allclose(own.propensity, start.propensity, atol=1e-8)


def test_a_worker_may_have_no_rows():
    arrays = panel(300)
    _, alone, _ = start_of([cut(arrays, slice(None))], Alone())
    blocks = [[], [cut(arrays, slice(None))]]
    for _, preparation, _ in Together(2).run(lambda w: start_of(blocks[w.rank], w)):
        np.testing.assert_array_equal(alone.bins.edges[0], preparation.bins.edges[0])


def test_a_sample_of_many_rows_is_the_same_however_they_are_cut(monkeypatch):
    monkeypatch.setattr("truelift.effects.boosting.binning.SAMPLE_ROWS", 400)
    x, _, _, cluster, _ = panel()
    columns = list(x.astype(np.float32))
    hashes = row_hashes(columns, cluster)
    alone = sample_columns(columns, hashes, Alone())
    assert 300 < alone.shape[1] < 500

    def part(worker):
        own = slice(worker.rank, None, 2)
        return sample_columns([c[own] for c in columns], hashes[own], worker)

    for found in Together(2).run(part):
        np.testing.assert_array_equal(found, alone)


def test_rows_come_in_the_same_order_whatever_their_order_was():
    arrays = panel(500)
    shuffled = np.random.default_rng(5).permutation(500)
    rows, _, _ = start_of([cut(arrays, slice(None))], Alone())
    again, _, _ = start_of([cut(arrays, shuffled[:200]), cut(arrays, shuffled[200:])], Alone())
    np.testing.assert_array_equal(rows.codes, again.codes)
    np.testing.assert_array_equal(rows.outcome, again.outcome)


def test_a_cluster_is_in_the_validation_part_as_a_whole():
    x, arm, outcome, cluster, fold = panel()
    rows, _, _ = start_of([Block(x, arm, outcome, cluster, fold)], Alone())
    hashes = row_hashes(list(x.astype(np.float32)), cluster)
    cluster_of = dict(zip(hashes.tolist(), cluster.tolist(), strict=True))
    by_cluster: dict[int, set[bool]] = {}
    for row, part in zip(rows.hashes.tolist(), rows.validation.tolist(), strict=True):
        by_cluster.setdefault(cluster_of[row], set()).add(part)
    assert all(len(parts) == 1 for parts in by_cluster.values())
    assert 0.1 < rows.validation.mean() < 0.2
