"""Rows are of one user where slice and key are the same, in whatever order they come."""

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.logs.user_rows import rows
from truelift.logs.neighbours.users import starts, user_numbers


def test_a_user_is_another_in_another_bucket_or_period():
    table = rows(
        {}, {}, {"user_key": "b"}, {"user_key": "b", "period": "2024-02"},
        {"user_key": "b", "period": "2024-02", "bucket": 1},
    )  # fmt: skip
    number = user_numbers(table)
    assert (number[1:] > number[:-1]).tolist() == [False, True, True, True]
    assert number[0] == number[1]


def test_rows_without_a_user_are_one_user_and_rejected_ones_stand_alone():
    table = rows({}, {"user_key": None}, {"user_key": None}, {}, user_key="a")
    assert starts(table, ("user_key",)).tolist() == [True, True, False, True]
    number = user_numbers(table)
    assert (number[1] == number[2], number[0] == number[3], number[1] < number[0]) == (True,) * 3
    rejected = rows({}, {}, {}, user_key=None, reasons=["missing_user"])
    assert len(set(user_numbers(rejected))) == 3


@given(st.lists(st.sampled_from([None, "a", "b", "é", "aa"]), min_size=1, max_size=40))
def test_numbers_sort_as_the_keys_do(keys):
    number = user_numbers(rows(*({"user_key": key} for key in keys)))
    ranks = {key: rank for rank, key in enumerate([None, "a", "aa", "b", "é"])}
    by_key = sorted(range(len(keys)), key=lambda place: ranks[keys[place]])
    assert sorted(range(len(keys)), key=lambda place: number[place]) == by_key
    assert len(set(number)) == len(set(keys))
