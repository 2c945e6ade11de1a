"""Double clicks and misclicks."""

from tests.unit.logs.user_rows import judged, rows


def marked(table, name, **options):
    return [
        row for row, (reasons, *_) in sorted(judged(table, **options).items()) if name in reasons
    ]


def test_the_same_again_within_the_limit_is_a_double_click():
    table = rows({}, {"at": 1}, {"at": 2.5}, {"at": 2.6, "event_type": "buy"})
    assert marked(table, "double_click", double_click_seconds=1) == [1]


def test_a_double_click_is_found_behind_two_other_events_and_not_behind_three():
    others = [{"at": 0.1 * n, "item_id": f"o{n}"} for n in range(1, 4)]
    assert marked(rows({}, *others[:2], {"at": 1}), "double_click", double_click_seconds=9) == [3]
    assert marked(rows({}, *others, {"at": 1}), "double_click", double_click_seconds=9) == []


def test_missing_items_are_not_the_same():
    table = rows({}, {"at": 1}, item_id=None)
    assert marked(table, "double_click", double_click_seconds=9) == []
    assert marked(table, "misclick", misclick_seconds=9) == []


def test_a_copy_is_no_earlier_click():
    table = rows({"event_id": "e"}, {"event_id": "e"}, {"at": 1}, value=None)
    options = {"double_click_seconds": 1, "actions": {"duplicate": "ignore"}}
    assert marked(table, "double_click", **options) == [2]
    apart = rows({"at": -5, "event_id": "e"}, {"event_id": "e"}, {"at": 1})
    assert marked(apart, "double_click", **options) == []


def test_an_event_left_for_another_item_is_a_misclick():
    table = rows({}, {"at": 1, "item_id": "y"}, {"at": 9, "item_id": "x"})
    assert marked(table, "misclick", misclick_seconds=2) == [0]


def test_a_misclick_is_of_the_types_named():
    table = rows({}, {"at": 1, "item_id": "y"}, event_type="buy")
    assert marked(table, "misclick", misclick_seconds=2) == []
    assert marked(table, "misclick", misclick_seconds=2, misclick_types=("buy",)) == [0]


def test_users_do_not_slip_on_each_other():
    table = rows({}, {"at": 1, "user_key": "b"}, {"at": 1.5, "user_key": "b", "item_id": "y"})
    found = judged(table, double_click_seconds=2, misclick_seconds=2)
    assert [reasons for reasons, *_ in found.values()] == [[], [], ["misclick"]]
