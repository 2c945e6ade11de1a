"""A stream of rows is cut where a user begins, and nowhere else."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.logs.user_rows import rows
from truelift.logs.neighbours.users import first_rows, starts, whole_users


def batches(table, size):
    return table.to_batches(max_chunksize=size)


def users_of(table):
    return list(zip(table["period"].to_pylist(), table["user_key"].to_pylist(), strict=True))


def test_a_user_begins_with_another_bucket_period_or_key():
    table = rows(
        {}, {}, {"user_key": "b"}, {"user_key": "b", "period": "2024-02"},
        {"user_key": "b", "period": "2024-02", "bucket": 1},
    )  # fmt: skip
    assert first_rows(table).tolist() == [True, False, True, True, True]


def test_rows_without_a_user_are_one_user_and_rejected_ones_stand_alone():
    table = rows({}, {"user_key": None}, {"user_key": None}, {}, user_key="a")
    assert starts(table, ("user_key",)).tolist() == [True, True, False, True]
    rejected = rows({}, {}, {}, user_key=None, reasons=["missing_user"])
    assert first_rows(rejected).tolist() == [True, True, True]


@given(
    st.lists(st.sampled_from("abcd"), max_size=40).map(sorted),
    st.integers(1, 7),
    st.integers(1, 12),
)
def test_tables_are_whole_users_in_the_order_of_the_rows(keys, batch_rows, most_rows):
    table = rows(*({"user_key": key} for key in keys))
    found = list(whole_users(batches(table, batch_rows), most_rows))
    assert pa.concat_tables([table.slice(0, 0), *found]).equals(table)
    parts = [set(users_of(part)) for part in found]
    assert sum(map(len, parts)) == len(set(keys))
    largest = max(map(keys.count, keys), default=0)
    assert all(part.num_rows < most_rows + batch_rows + largest for part in found)


@pytest.mark.parametrize("batch_rows", [1, 3, 50])
def test_users_that_fit_are_held_no_longer_than_asked(batch_rows):
    table = rows(*({"user_key": f"{n:02}"} for n in range(50)))
    found = list(whole_users(batches(table, batch_rows), 10))
    assert all(part.num_rows <= 10 + batch_rows for part in found)


def test_rejected_rows_are_cut_anywhere():
    table = rows(*[{}] * 30, user_key=None, reasons=["missing_user"])
    sizes = [part.num_rows for part in whole_users(batches(table, 2), 10)]
    assert max(sizes) <= 12
