"""The order of whole numbers against NumPy's own, ties and the widest ranges included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from truelift.arrays.order import stable_order

WIDE = st.integers(-(2**63), 2**63 - 1)
NARROW = st.integers(-3, 3)
NEAR_IN_A_WIDE_RANGE = st.builds(
    lambda a, b: a + b, st.sampled_from([-(2**62), 0, 2**61]), st.integers(0, 40)
)


@given(
    hnp.arrays(np.int64, st.integers(0, 200), elements=st.one_of(WIDE, NARROW))
    | hnp.arrays(np.int64, st.integers(0, 200), elements=NARROW)
    | hnp.arrays(np.int64, st.integers(0, 200), elements=NEAR_IN_A_WIDE_RANGE)
)
def test_the_order_is_that_of_a_stable_sort(keys):
    assert stable_order(keys).tolist() == np.argsort(keys, kind="stable").tolist()


@pytest.mark.parametrize("span_bits", [10, 40, 52, 62])
def test_many_keys_are_in_order_at_every_width(span_bits):
    keys = np.random.default_rng(span_bits).integers(-(2**span_bits), 2**span_bits, 5000)
    keys[::7] = keys[3]
    before = keys.copy()
    np.testing.assert_array_equal(stable_order(keys), np.argsort(keys, kind="stable"))
    np.testing.assert_array_equal(keys, before)
