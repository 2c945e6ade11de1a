"""Returns and the purchases that they take back."""

from tests.unit.logs.user_rows import judged, rows

DAY = 86_400


def found(table, **options):
    options = {"return_days": 2, "allow_negative_quantity": True, **options}
    return {
        row: (labels, context) for row, (_, labels, context) in judged(table, **options).items()
    }


def test_a_return_is_linked_to_the_last_purchase_of_the_item():
    table = rows(
        {}, {"at": 1}, {"at": 2, "item_id": "y"}, {"at": 3, "quantity": 0},
        {"at": 4, "quantity": -1}, {"at": 5, "quantity": -2}, context=[("channel", "web")],
    )  # fmt: skip
    linked = (
        ["return_of_purchase"],
        {"channel": "web", "purchase_event_id": "e001"},
    )
    expected = dict.fromkeys(range(6), ([], {"channel": "web"})) | {4: linked, 5: linked}
    assert found(table) == expected


def test_a_return_too_late_or_of_nothing_is_without_purchase():
    table = rows({}, {"at": 2 * DAY + 1, "quantity": -1}, {"item_id": "y", "quantity": -1})
    without = (["return_without_purchase"], {})
    assert found(table) == {0: ([], {}), 1: without, 2: without}


def test_a_purchase_by_somebody_else_is_none():
    table = rows({}, {"user_key": "b", "at": 1, "quantity": -1})
    assert found(table)[1] == (["return_without_purchase"], {})


def test_a_purchase_that_is_later_is_none():
    table = rows({"quantity": -1}, {"at": 1})
    assert found(table)[0] == (["return_without_purchase"], {})


def test_the_link_stays_when_the_label_is_not_wanted():
    table = rows({}, {"at": 1, "quantity": -1})
    actions = {"return_of_purchase": "ignore"}
    assert found(table, actions=actions)[1] == ([], {"purchase_event_id": "e000"})


def test_a_return_of_a_purchase_beyond_the_border_is_linked_and_the_copy_is_dropped():
    table = rows({"_own": False}, {"at": 1, "quantity": -1})
    assert found(table) == {1: (["return_of_purchase"], {"purchase_event_id": "e000"})}
