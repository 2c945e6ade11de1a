"""Spark's hash of a key without Spark; the numbers are what Spark 4.1 gave."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

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
        (pa.array([-7, 3, None], pa.int16()), [838, 407, 42]),
        (pa.array([True, False, None]), [917, 909, 42]),
        (pa.array([0.0, -0.0, 1.5, -2.25, float("nan"), 1e300, None]),
         [603, 603, 715, 313, 666, 926, 42]),
        (pa.array([0.0, -0.0, 1.5, float("nan"), None], pa.float32()), [909, 909, 16, 826, 42]),
        (pa.array([date(2024, 2, 29), date(1960, 1, 1), None]), [91, 177, 42]),
        (pa.array([datetime(2024, 2, 29, 12, 0, 0, 1), datetime(1960, 1, 1), None],
                  pa.timestamp("us", "UTC")), [861, 684, 42]),
        (pa.array([Decimal("12.34"), Decimal("-0.05"), Decimal("0"), None], pa.decimal128(10, 2)),
         [136, 670, 603, 42]),
        (pa.array([Decimal("12.34"), None], pa.decimal128(30, 2)), [261, 42]),
    ],
)  # fmt: skip
def test_a_key_lies_in_the_bucket_that_spark_puts_it_in(keys, buckets):
    assert buckets_of(keys, 997).tolist() == buckets


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
)
def test_chunks_slices_and_codes_of_a_text_change_nothing(kind):
    texts = [None, *TEXTS, *TEXTS[::-1]]
    column = pa.chunked_array([pa.array(texts[:9], kind), pa.array(texts[9:], kind)]).slice(1)
    assert buckets_of(column, 997).tolist() == buckets_of(pa.array(texts[1:]), 997).tolist()


def test_other_types_have_no_bucket_that_is_known_here():
    assert buckets_of(pa.array([[1]]), 8) is None
    assert buckets_of(pa.array([b"a"]), 8) is None
