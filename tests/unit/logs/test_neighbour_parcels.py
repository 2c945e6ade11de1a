"""Parcels bring each row to the slices that look at it, and bring it whole."""

import datetime

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.logs.user_rows import SCHEMA, rows
from truelift.logs.neighbours.flat import full_rows
from truelift.logs.neighbours.parcels import Parcelling, opened, parcels

SENT = pa.schema([f for f in SCHEMA if f.name not in ("bucket", "period")])
SECOND, DAY = 1_000_000, 86_400_000_000
END_OF_JANUARY = 31 * 86_400


def sent(*changes, near=10 * SECOND, far=0, unit="month", parts=None, **every):
    """``{(period, bucket, part): rows}`` as they arrive."""
    table = rows(*changes, **every)
    part = pa.array(parts or [0] * table.num_rows, pa.int32())
    table = table.drop_columns(["period", "_own"]).append_column("part", part)
    batches = list(parcels(table, Parcelling(SENT, unit, near, far, "rejected-7")))
    made = pa.Table.from_batches(batches)
    found = {}
    for key in made.select(["period", "bucket", "part"]).to_pylist():
        mine = [row == key for row in made.select(["period", "bucket", "part"]).to_pylist()]
        found[tuple(key.values())] = opened(made.filter(pa.array(mine)), SENT).to_pylist()
    return found


def owners(found):
    return {
        key[0]: [(row["source_row"], row["_own"]) for row in mine] for key, mine in found.items()
    }


def test_near_rows_are_copied_to_the_slices_on_both_sides():
    found = sent({"at": 0}, {"at": 11}, {"at": END_OF_JANUARY - 10}, {"at": END_OF_JANUARY - 11})
    assert owners(found) == {
        "2023-12": [(0, False)],
        "2024-01": [(0, True), (1, True), (2, True), (3, True)],
        "2024-02": [(2, False)],
    }


def test_of_rows_that_are_not_near_purchases_alone_are_copied_and_only_ahead():
    ahead = {"at": END_OF_JANUARY - 86_400}
    found = sent(
        {**ahead, "quantity": 1.0}, {**ahead, "quantity": None}, {**ahead, "quantity": -1.0},
        {"at": 86_400, "quantity": 1.0}, far=2 * DAY,
    )  # fmt: skip
    assert owners(found) == {
        "2024-01": [(0, True), (1, True), (2, True), (3, True)],
        "2024-02": [(0, False)],
    }


def test_rejected_rows_and_rows_without_a_time_are_looked_at_once():
    found = sent({"reasons": ["missing_item"], "at": 0}, {"at": None}, {"at": 100})
    assert owners(found) == {
        "rejected-7": [(0, True)], None: [(1, True)], "2024-01": [(2, True)]
    }  # fmt: skip


def test_a_part_of_a_slice_has_parcels_of_its_own():
    found = sent({"at": 50}, {"at": 51}, {"at": 52, "bucket": 3}, parts=[1, 0, 1])
    assert {key: len(mine) for key, mine in found.items()} == {
        ("2024-01", 0, 0): 1, ("2024-01", 0, 1): 1, ("2024-01", 3, 1): 1
    }  # fmt: skip


@given(
    st.lists(
        st.tuples(st.integers(-(10**7), 10**7), st.integers(0, 3), st.sampled_from([None, "é", ""])),
        min_size=1, max_size=30,
    ),
    st.sampled_from(["day", "week", "month", "year", "all"]),
)  # fmt: skip
def test_every_row_arrives_once_as_its_own_and_unchanged(drawn, unit):
    changes = [
        {"at": float(at), "bucket": bucket, "item_id": item, "context": [("k", item)], "labels": []}
        for at, bucket, item in drawn
    ]
    found = sent(*changes, unit=unit)
    arrived = sorted(
        (row for mine in found.values() for row in mine if row["_own"]),
        key=lambda row: row["source_row"],
    )
    wanted = rows(*changes).drop_columns(["period"]).to_pylist()
    assert [{k: v for k, v in row.items() if k != "period"} for row in arrived] == [
        {k: row[k] for k in [*SENT.names, "bucket"]} for row in wanted
    ]


def test_flat_rows_become_lists_and_maps():
    flat = pa.table(
        {
            "reasons": ["", "a\x1fb", "c"],
            "labels": ["x", "", ""],
            "raw": pa.array(
                [None, [("u", "1"), ("v", None)], [("u", None)]], pa.map_(pa.string(), pa.string())
            ),
            "_context_0": ["home", None, "item"],
            "_context_1": [None, "mail", ""],
        }
    )
    assert full_rows(flat, ("page", "campaign")).to_pylist() == [
        {"reasons": [], "labels": ["x"], "raw": None,
         "context": [("page", "home"), ("campaign", None)]},
        {"reasons": ["a", "b"], "labels": [], "raw": [("u", "1")],
         "context": [("page", None), ("campaign", "mail")]},
        {"reasons": ["c"], "labels": [], "raw": [],
         "context": [("page", "item"), ("campaign", "")]},
    ]  # fmt: skip
    empty = full_rows(flat.drop_columns(["_context_0", "_context_1"]), ())
    assert empty["context"].to_pylist() == [[]] * 3


def test_times_beyond_the_calendar_stay_in_its_first_and_last_period():
    last = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.timezone.utc)
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    found = sent({"at": (last - start).total_seconds()}, unit="year")
    assert owners(found) == {"9999": [(0, True)]}
