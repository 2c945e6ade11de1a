"""Texts as ranks, instants as microseconds."""

from __future__ import annotations

from datetime import datetime, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from truelift.arrays.texts import codes_among, encode, sorted_codes
from truelift.arrays.times import microseconds


def test_codes_follow_the_order_of_the_values_and_null_is_minus_one():
    values, codes = sorted_codes(pa.chunked_array([["b", None], ["a", "b"]]))
    assert values.to_pylist() == ["a", "b"]
    assert codes.tolist() == [1, -1, 0, 1]


def test_codes_among_given_values_leave_strangers_at_minus_one():
    assert codes_among(pa.array(["x", "b", None]), pa.array(["a", "b"])).tolist() == [-1, 1, -1]


@given(st.lists(st.one_of(st.none(), st.text(max_size=3))))
def test_numbers_sort_as_the_bytes_of_the_texts_do(texts):
    found = encode(pa.array(texts, pa.string()))
    distinct = sorted({t.encode() for t in texts if t is not None})
    assert [v.encode() for v in found.values.to_pylist()] == distinct
    expected = [-1 if t is None else distinct.index(t.encode()) for t in texts]
    assert found.codes.tolist() == expected


def test_a_text_that_a_slice_left_behind_is_no_value_of_it():
    column = pa.array(["left out", "b", "a"]).dictionary_encode()[1:]
    values, codes = sorted_codes(column)
    assert values.to_pylist() == ["a", "b"]
    assert codes.tolist() == [1, 0]


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Vienna"])
@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_instants_are_microseconds_since_1970_whatever_their_unit_and_zone(unit, zone):
    moment = datetime(2017, 3, 5, 12, tzinfo=timezone.utc)
    column = pa.array([moment], pa.timestamp(unit, "UTC")).cast(pa.timestamp(unit, zone))
    expected = int(moment.timestamp()) * 1_000_000
    np.testing.assert_array_equal(microseconds(pa.chunked_array([column])), [expected])


def test_a_time_that_is_missing_has_no_number():
    with pytest.raises(ValueError, match="nulls"):
        microseconds(pa.array([None], pa.timestamp("us")))
