"""States that add up, and how buckets are given to tasks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from truelift.errors import TableError
from truelift.lake.kernels import assigned_tasks
from truelift.lake.scan import ScanPlan, ScanUnit
from truelift.lake.states import add_states, pack_state, unpack_state


def plan_of(sizes: dict[int, int]) -> ScanPlan:
    units = tuple(
        ScanUnit(f"file-{b}-{i}", None, 1, size, {"bucket": str(b)})
        for b, size in sizes.items()
        for i in range(2)
    )
    return ScanPlan("t", "uri", 0, ("x",), units, partition_columns=("bucket",))


def test_states_add_and_maxima_combine_by_maximum():
    total = add_states(
        [
            {"sum": np.array([1.0, 2.0]), "max_x": np.array([5.0])},
            {"sum": np.array([10.0, 20.0]), "max_x": np.array([3.0])},
        ]
    )
    assert total["sum"].tolist() == [11.0, 22.0]
    assert total["max_x"].tolist() == [5.0]


def test_adding_does_not_change_its_arguments():
    first = {"sum": np.array([1.0]), "max_x": np.array([0.0])}
    add_states([first, {"sum": np.array([1.0]), "max_x": np.array([9.0])}])
    assert first == {"sum": np.array([1.0]), "max_x": np.array([0.0])}


def test_states_of_different_kernels_are_refused():
    with pytest.raises(TableError, match="differ in keys"):
        add_states([{"a": np.zeros(1)}, {"b": np.zeros(1)}])


def test_a_state_survives_the_way_through_bytes():
    state = {"matrix": np.arange(6.0).reshape(2, 3), "n": np.array(4)}
    again = unpack_state(pack_state(state))
    assert again["matrix"].tolist() == state["matrix"].tolist()
    assert int(again["n"]) == 4


def test_arrays_of_any_type_and_shape_survive_the_way_through_bytes():
    state = {
        "strided": np.arange(6.0).reshape(2, 3)[:, ::2],
        "of no rows": np.zeros((0, 4), np.int64),
        "flags": np.array([True, False]),
        "hashes": np.array([2**64 - 1], np.uint64),
        "empty": np.zeros(0),
    }
    again = unpack_state(pack_state(state))
    assert again.keys() == state.keys()
    for name, array in state.items():
        assert (again[name].dtype, again[name].shape) == (array.dtype, array.shape)
        assert np.array_equal(again[name], array)


def test_a_large_table_of_which_little_is_filled_travels_as_its_places():
    table = np.zeros((3, 2**14), np.uint64)
    table[1, 77], table[2, 5] = 2**64 - 1, 3
    state = {"odd": np.ones(3, np.bool_), "table": table, "after": np.array([2.5])}
    packed = pack_state(state)
    assert len(packed) < 1000
    again = unpack_state(packed)
    for name, array in state.items():
        assert again[name].dtype == array.dtype and np.array_equal(again[name], array)


@given(
    st.dictionaries(st.integers(0, 50), st.integers(0, 10**9), min_size=1, max_size=30),
    st.integers(1, 16),
)
def test_every_bucket_goes_whole_to_exactly_one_task(sizes, cores):
    tasks = assigned_tasks({"t": plan_of(sizes)}, cores)
    given_out = [bucket for task in tasks for bucket, _ in task]
    assert sorted(given_out) == sorted(sizes)
    assert all(len(named["t"]) == 2 for task in tasks for _, named in task)
    assert all(task for task in tasks)
