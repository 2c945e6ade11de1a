"""Spark's hash of a key without Spark; the numbers are what Spark 4.1 gave."""

from __future__ import annotations

import pyarrow as pa
import pytest

from truelift.lake.buckets import buckets_of

TEXTS = ["", "a", "user-1", "abcd", "abcdefgh", "household-1234", "x" * 31, "y" * 32, "z" * 33,
         "é" * 50, "q" * 77, None]  # fmt: skip
WHOLE = [0, 1, -5, 7]


@pytest.mark.parametrize(
    ("keys", "buckets"),
    [
        (pa.array(TEXTS), [875, 250, 848, 714, 252, 853, 808, 264, 152, 319, 766, 42]),
        (pa.array([*WHOLE, 2**31 - 1, -(2**31), None], pa.int32()),
         [909, 917, 247, 968, 10, 156, 42]),
        (pa.array([*WHOLE, 2**62, -(2**63), None], pa.int64()),
         [603, 778, 670, 548, 41, 335, 42]),
    ],
)  # fmt: skip
def test_a_key_lies_in_the_bucket_that_spark_puts_it_in(keys, buckets):
    assert buckets_of(keys, 997) == buckets


def test_other_types_have_no_bucket_that_is_known_here():
    assert buckets_of(pa.array([1.5]), 8) is None
