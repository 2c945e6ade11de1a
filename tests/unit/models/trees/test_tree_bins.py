"""Bins and draws: they depend on the rows' content, never on where the rows lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.models.trees.together import Together
from truelift.arrays.keys import mix
from truelift.distributed.collective import Alone
from truelift.models.trees.binning import drawn, make_bins, row_hashes, sample_columns
from truelift.models.trees.options import MISSING

numbers = st.floats(-1e6, 1e6, width=32)


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


def test_a_sample_of_many_rows_is_the_same_however_they_are_cut(monkeypatch):
    monkeypatch.setattr("truelift.models.trees.binning.SAMPLE_ROWS", 400)
    random = np.random.default_rng(4)
    x = random.normal(size=(4, 3000))
    x[1, random.random(3000) < 0.1] = np.nan
    cluster = mix(random.integers(0, 500, 3000).astype(np.uint64))
    columns = list(x.astype(np.float32))
    hashes = row_hashes(columns, cluster)
    alone = sample_columns(columns, hashes, Alone())
    assert 300 < alone.shape[1] < 500

    def part(worker):
        own = slice(worker.rank, None, 2)
        return sample_columns([c[own] for c in columns], hashes[own], worker)

    for found in Together(2).run(part):
        np.testing.assert_array_equal(found, alone)
