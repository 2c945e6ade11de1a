"""Every faulty row satisfies the definition of its kind, and no clean row does."""

import datetime
from collections import Counter, defaultdict

import pytest

from tests.unit.simulate.traffic_rows import by_user, drawn_rows, is_kept
from truelift.simulate.traffic.dirt import MAX_QUANTITY, MAX_VALUE
from truelift.simulate.traffic.text import EVENT_COLUMNS, EVENT_TYPES
from truelift.simulate.traffic.world import DIRT_KINDS, LABEL_KINDS, TrafficWorld

FIRST_DAY = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
HOUR = datetime.timedelta(hours=1)


@pytest.fixture(scope="module")
def traffic():
    return drawn_rows(100_000, TrafficWorld(top_user_share=0.1))


@pytest.fixture(scope="module")
def users(traffic):
    return by_user(traffic)


def number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def seconds(later, earlier):
    return (later["at"] - earlier["at"]).total_seconds()


def in_future(row):
    return row["at"] is not None and row["at"].year > 2100


BY_ROW = {
    "missing_user": lambda r: r["user"] is None,
    "missing_item": lambda r: r["item"] is None,
    "missing_time": lambda r: r["time"] is None,
    "unreadable_time": lambda r: r["time"] is not None and r["at"] is None,
    "time_out_of_range": lambda r: (
        r["at"] is not None and r["at"] < FIRST_DAY - datetime.timedelta(days=1)
    ),
    "time_in_future": in_future,
    "clock_skew": lambda r: (
        r["at"] is not None and r["at"] - r["arrived"] > HOUR and not in_future(r)
    ),
    "unknown_event_type": lambda r: r["type"] not in EVENT_TYPES,
    "unreadable_quantity": lambda r: r["quantity"] is not None and number(r["quantity"]) is None,
    "quantity_over_maximum": lambda r: (number(r["quantity"]) or 0) > MAX_QUANTITY,
    "unreadable_value": lambda r: r["price"] is not None and number(r["price"]) is None,
    "value_over_maximum": lambda r: (number(r["price"]) or 0) > MAX_VALUE,
}


@pytest.mark.parametrize("kind", BY_ROW)
def test_a_rule_on_single_rows_finds_exactly_the_rows_of_its_kind(kind, traffic):
    found = [r["row"] for r in traffic if BY_ROW[kind](r)]
    assert found == [r["row"] for r in traffic if r["dirt"] == kind] != []


def test_faulty_rows_have_one_fault_only(traffic):
    for row in traffic:
        assert [k for k, rule in BY_ROW.items() if rule(row)] in ([], [row["dirt"]])


def test_a_duplicate_is_an_exact_copy_and_nothing_else_is(traffic):
    copies = Counter(tuple(r[c] for c in EVENT_COLUMNS) for r in traffic)
    surplus = sum(copies.values()) - len(copies)
    assert surplus == sum(r["dirt"] == "duplicate" for r in traffic) > 0


def test_a_repeated_event_id_comes_later_within_an_hour_with_other_content(traffic):
    by_id = defaultdict(list)
    for row in traffic:
        if row["dirt"] != "duplicate":
            by_id[row["event_id"]].append(row)
    groups = [group for group in by_id.values() if len(group) > 1]
    assert sum(len(g) - 1 for g in groups) == sum(r["dirt"] == "repeated_event_id" for r in traffic)
    for group in groups:
        first, *others = sorted(group, key=lambda r: r["at"])
        assert first["dirt"] != "repeated_event_id" and is_kept(first)
        for row in others:
            assert row["dirt"] == "repeated_event_id"
            assert 0 < seconds(row, first) < 3600
            assert (row["user"], row["item"]) != (first["user"], first["item"])


def neighbours(users, kinds):
    """Rows that pass the rules on rows and ids, by user and time."""
    for mine in users.values():
        rows = mine.kept + [r for r in mine.dirty if r["dirt"] in kinds]
        yield sorted(rows, key=lambda r: r["at"])


def test_a_double_click_repeats_user_item_and_type_within_half_a_second(traffic, users):
    found = set()
    for rows in neighbours(users, ("double_click", "misclick")):
        for place, row in enumerate(rows[1:], 1):
            same = (row["item"], row["type"]) == (rows[place - 1]["item"], rows[place - 1]["type"])
            if same and seconds(row, rows[place - 1]) <= 0.5:
                found.add(row["row"])
    assert found == {r["row"] for r in traffic if r["dirt"] == "double_click"} != set()


def test_a_misclick_is_a_view_left_for_another_item_within_seven_tenths_of_a_second(traffic, users):
    found = set()
    for rows in neighbours(users, ("double_click", "misclick")):
        for place, row in enumerate(rows[:-1]):
            left = rows[place + 1]["item"] != row["item"]
            if row["type"] == "view" and left and seconds(rows[place + 1], row) <= 0.7:
                found.add(row["row"])
    assert found == {r["row"] for r in traffic if r["dirt"] == "misclick"} != set()


def test_a_return_has_a_purchase_in_the_30_days_before_and_other_negative_rows_have_none(
    traffic, users
):
    found = {"return_of_purchase": set(), "negative_quantity": set()}
    for mine in users.values():
        sold = [r for r in mine.kept if (number(r["quantity"]) or 0) > 0]
        for row in mine.kept + mine.dirty:
            if (number(row["quantity"]) or 0) >= 0:
                continue
            linked = any(
                s["item"] == row["item"]
                and s["type"] == "purchase"
                and 0 < seconds(row, s) <= 30 * 86_400
                for s in sold
            )
            found["return_of_purchase" if linked else "negative_quantity"].add(row["row"])
    for kind, rows in found.items():
        assert rows == {r["row"] for r in traffic if r["dirt"] == kind} != set()


@pytest.mark.parametrize(
    ("kind", "column"), [("quantity_outlier", "quantity"), ("value_outlier", "price")]
)
def test_an_outlier_is_far_from_its_items_median_and_no_clean_row_is(kind, column, traffic):
    values = defaultdict(list)
    for row in traffic:
        if is_kept(row) and row[column] is not None:
            values[row["item"]].append(row)
    judged = 0
    for rows in values.values():
        if len(rows) < 30:
            continue
        sizes = sorted(number(r[column]) for r in rows)
        median = sizes[len(sizes) // 2]
        spread = sorted(abs(size - median) for size in sizes)[len(sizes) // 2]
        for row in rows:
            is_far = abs(number(row[column]) - median) > 10 * spread
            assert is_far == (row["dirt"] == kind), row
            judged += row["dirt"] == kind
    assert judged >= 0.3 * sum(r["dirt"] == kind for r in traffic) > 0


def test_rows_to_reject_have_no_true_session_and_rows_to_label_have_one(traffic):
    for row in traffic:
        is_rejected = row["dirt"] is not None and row["dirt"] not in LABEL_KINDS
        assert (row["true_session"] is None) == is_rejected
    assert {r["dirt"] for r in traffic} == {None, *DIRT_KINDS}


def test_dirt_is_not_put_on_bots(traffic):
    assert all(r["bot"] is None for r in traffic if r["dirt"] is not None)
