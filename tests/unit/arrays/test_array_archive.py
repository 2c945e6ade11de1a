"""Arrays by name as bytes and back."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.arrays.archive import from_bytes, to_bytes


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_come_back_with_their_names_types_and_bits(compressed):
    given = {"gru/kernel": np.float32([[1.5, np.nan]]), "codes": np.arange(3, dtype=np.uint64)}
    found = from_bytes(to_bytes(given, compressed))
    assert found.keys() == given.keys()
    for name, values in given.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


def test_objects_are_not_read_for_reading_them_runs_code():
    data = to_bytes({"objects": np.array([object()], dtype=object)})
    with pytest.raises(ValueError, match="allow_pickle"):
        from_bytes(data)
