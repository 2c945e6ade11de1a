"""Duplicates and repeated event ids."""

import pytest

from tests.unit.logs.user_rows import events, judged, rows
from truelift.logs.neighbours.copies import copies

SECOND = 1_000_000


def test_events_lie_by_time_then_id_file_and_row():
    found = events(
        {"at": 5}, {"at": 0, "event_id": "z"}, {"at": 0, "event_id": "a", "source_file": "g"},
        {"at": 0, "event_id": "a", "source_row": 9}, {"at": 0, "event_id": "a", "source_row": 8},
    )  # fmt: skip
    assert found.order.tolist() == [4, 3, 2, 1, 0]


def test_texts_are_in_the_order_of_their_bytes():
    assert events({"event_id": "é"}, {"event_id": "z"}, {"event_id": "Z"}).order.tolist() == [
        2,
        1,
        0,
    ]


def test_an_id_that_comes_again_within_the_window_is_a_copy_of_the_one_before():
    found = events(*({"at": t, "event_id": "e"} for t in (0, 10, 20, 31)))
    copy, equal = copies(found, 10 * SECOND)
    assert copy.tolist() == [False, True, True, False]
    assert not equal.any()


def test_another_event_between_does_not_hide_a_repeated_id():
    found = events({"event_id": "e"}, {"at": 1}, {"at": 2, "event_id": "e"})
    assert copies(found, 10 * SECOND)[0].tolist() == [False, False, True]


@pytest.mark.parametrize(
    "change",
    [{"item_id": "y"}, {"quantity": None}, {"value": 2.0}, {"event_type": None}, {"at": 1}],
)
def test_a_copy_that_differs_is_a_repeated_id_and_no_duplicate(change):
    table = rows({}, change, event_id="e")
    assert judged(table)[1][0] == ["repeated_event_id"]
    assert judged(rows({}, {}, event_id="e", value=None))[1][0] == ["duplicate"]


def test_ids_made_of_the_content_are_copies_at_one_time_only():
    table = rows({}, {}, {"at": 1}, event_id="e")
    assert [reasons for reasons, *_ in judged(table, False).values()] == [[], [], ["duplicate"]]
    assert judged(table, False)[1][0] == ["duplicate"]


def test_another_users_id_and_another_slices_are_no_copies():
    table = rows({}, {"user_key": "b"}, {"user_key": "b", "period": "2024-02"}, event_id="e")
    assert not any(reasons for reasons, *_ in judged(table).values())


def test_no_rows_are_no_copies():
    table = rows()
    assert judged(table) == judged(table, False) == {}
