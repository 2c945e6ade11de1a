"""Keys of any type as hashes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truelift.arrays.keys import hash_keys, hash_repeated

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
