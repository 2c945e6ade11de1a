"""Robust limits of items: medians of counted numbers against the standard library's."""

from __future__ import annotations

import math
from statistics import median_low

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from truelift.logs.outliers import count_numbers, item_medians, lower_medians

ROWS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.none() | st.integers(-3, 9).map(float),
        st.none() | st.floats(-1e6, 1e6, allow_nan=False),
    ),
    min_size=1,
    max_size=40,
)


def limits(rows, batch_rows=7):
    columns = [list(column) for column in zip(*rows, strict=True)]
    types = {"item_id": pa.string(), "quantity": pa.float64(), "value": pa.float64()}
    table = pa.table({n: pa.array(c, t) for (n, t), c in zip(types.items(), columns, strict=True)})
    counted = list(count_numbers(table.to_batches(max_chunksize=batch_rows)))
    (found,) = item_medians(counted)
    return {row["item_id"]: row for row in found.to_pylist()}


def expected(numbers):
    numbers = [n for n in numbers if n is not None]
    if not numbers:
        return None, None
    median = median_low(numbers)
    distance = median_low([abs(n - median) for n in numbers])
    return median, 1.4826 * distance if distance > 0 else abs(median)


@given(ROWS)
def test_limits_are_those_of_every_number_one_by_one(rows):
    found = limits(rows)
    assert set(found) == {item for item, _, _ in rows}
    for item, row in found.items():
        mine = [r for r in rows if r[0] == item]
        assert row["events"] == len(mine)
        for place, name in ((1, "quantity"), (2, "value")):
            median, spread = expected([r[place] for r in mine])
            assert row[f"{name}_median"] == median
            assert row[f"{name}_spread"] == (spread if spread is None else pytest.approx(spread))


def test_counts_of_several_tasks_add_up():
    one = pa.table({"item_id": ["a", "a"], "quantity": [1.0, 9.0], "value": [5.0, 5.0]})
    more = pa.table({"item_id": ["a", "b"], "quantity": [9.0, 2.0], "value": [None, 7.0]})
    counted = [*count_numbers(one.to_batches()), *count_numbers(more.to_batches())]
    (found,) = item_medians(counted)
    a, b = found.to_pylist()
    assert (a["events"], a["quantity_median"], a["value_median"]) == (3, 9.0, 5.0)
    assert (b["events"], b["quantity_median"], b["quantity_spread"]) == (1, 2.0, 2.0)


def test_a_task_without_items_gives_nothing():
    assert list(item_medians([])) == []


def test_groups_without_numbers_have_no_median():
    found = lower_medians(np.array([2, 2]), np.array([4.0, 1.0]), np.array([1, 2]), 4)
    assert [math.isnan(x) for x in found] == [True, True, False, True]
    assert found[2] == 1.0
