"""Codes of event types and categories, and the counts behind them."""

from __future__ import annotations

import pyarrow as pa

from truelift.features.sequences import EntryCountKernel
from truelift.features.vocabulary import MOST_EVENT_TYPES, EventTypeKernel, coded_names


def test_types_are_numbered_from_one_and_categories_keep_their_codes_once_each():
    items = pa.table({"category": ["b", "a", None, "b"], "category_index": [2, 1, 0, 2]})
    assert coded_names(("buy", "view"), items) == [
        ("event_type", 1, "buy"),
        ("event_type", 2, "view"),
        ("category", 1, "a"),
        ("category", 2, "b"),
    ]


def test_items_without_categories_have_no_codes():
    items = pa.table(
        {"category": pa.nulls(2, pa.string()), "category_index": pa.array([0, 0], pa.int32())}
    )
    assert coded_names((), items) == []


def test_the_types_of_a_bucket_come_once_and_never_more_than_are_needed_to_refuse_them():
    def types(*names):
        table = pa.table({"event_type": pa.array(names, pa.string())})
        return EventTypeKernel()(0, {"events": table})["event_type"].to_pylist()

    assert types("view", None, "buy", "view") == ["buy", "view"]
    assert len(types(*(f"t{n}" for n in range(MOST_EVENT_TYPES + 9)))) == MOST_EVENT_TYPES + 1


def test_entries_of_histories_add_up_over_batches():
    lists = pa.array([[1, 2], [], [3]], pa.list_(pa.int32()))
    batch = pa.record_batch({"item_index": lists})
    # The second batch is a slice, whose lists begin inside of the same array.
    counted = EntryCountKernel()(0, iter([batch, batch.slice(2)]))
    assert int(counted["entries"]) == 4
    assert int(EntryCountKernel()(0, iter([]))["entries"]) == 0
