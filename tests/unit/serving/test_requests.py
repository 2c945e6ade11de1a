"""What a caller sends, and what it becomes."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.errors import DataError
from truelift.models.sequence.sides import SideCodes
from truelift.serving.requests import RequestReader

KEYS = ("apple", "bread", "7")
SIDES = SideCodes(("view", "buy"), np.array([0, 5, 6, 5], np.int32))
READER = RequestReader(KEYS, SIDES, ("event_type", "category", "gap_bucket"))


def test_unknown_keys_are_left_out_and_whole_numbers_are_keys():
    read = READER.histories({"items": [["bread", "new", 7], ["new"]]})
    assert read.items.tolist() == [2, 3]
    assert read.offsets.tolist() == [0, 2, 2]


def test_numbers_of_numpy_are_numbers():
    given = {"items": [[np.int64(7), "bread"]], "sessions": [[np.int32(2), np.int64(1)]]}
    read = READER.histories({**given, "times": [[np.int32(1_709_632_800), np.float64(5.5)]]})
    assert read.items.tolist() == [2, 3]
    assert read.times.tolist() == [5_500_000, 1_709_632_800_000_000]


def test_what_belongs_to_an_unknown_key_is_left_out_with_it():
    read = READER.histories(
        {
            "items": [["new", "apple", "bread"]],
            "sessions": [[1, 4, 4]],
            "times": [["1970-01-01", "1970-01-01T00:00:20+00:00", "1970-01-01T01:00:23+01:00"]],
            "event_types": [["buy", "buy", "smile"]],
        }
    )
    assert read.sessions.tolist() == [4, 4]
    assert read.times.tolist() == [20_000_000, 23_000_000]
    assert read.features["event_type"].tolist() == [2, 0]
    assert read.features["category"].tolist() == [5, 6]
    assert read.features["gap_bucket"].tolist() == [0, 3]


def test_without_sessions_each_item_is_one_and_may_come_again():
    read = READER.histories({"items": [["apple", "apple"]], "sessions": [None]})
    assert read.items.tolist() == [1, 1]
    assert read.sessions.tolist() == [0, 1]


def test_in_a_session_an_item_counts_once_at_its_first_time():
    read = READER.histories(
        {"items": [["bread", "apple", "bread"]], "sessions": [[2, 1, 2]], "times": [[9, 1, 8]]}
    )
    assert read.items.tolist() == [1, 2]
    assert read.times.tolist() == [1_000_000, 8_000_000]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"items": ["apple"]}, r"Row 0, items: found 'apple', expected a list of item ids"),
        ({"items": [["apple"], [None]]}, r"Row 1, items\[0\]: found None"),
        ({"items": [[1.5]]}, r"items\[0\]: found 1.5"),
        ({"items": [["apple"]], "sessions": [[1, 2]]}, "found 1 items and 2 sessions"),
        ({"items": [["apple"]], "sessions": [["x"]]}, r"sessions\[0\]: found 'x'.*whole numbers"),
        ({"items": [["apple"]], "times": [["soon"]]}, "Row 0, times: .*Expected ISO texts"),
        ({"items": [["apple"]], "times": [[1_700_000_000_000]]}, r"times\[0\]"),
        ({"items": [["apple"]], "event_types": [[1]]}, "names of event types"),
    ],
)
def test_a_wrong_row_is_named_with_what_was_expected(columns, reason):
    with pytest.raises(DataError, match=reason):
        READER.histories(columns)


def test_a_feature_that_a_request_cannot_give_is_refused():
    with pytest.raises(DataError, match="quantity"):
        RequestReader(KEYS, SideCodes(), ("quantity",)).histories({"items": [["apple"]]})


def test_how_many_items_a_model_knows_is_counted_to_the_letter():
    columns = {"items": [["apple", "Bread", "apple", 7], ["APPLE"], []]}
    READER.histories(columns)
    assert READER.known(columns) == [3, 0, 0]
