"""The item stream as the source spells it: words for missing, ids as floats, deliveries."""

from __future__ import annotations

import pyarrow as pa

from truelift.features.catalogue import ItemColumns, catalogue_of

ROWS = pa.table(
    {
        "id": ["1.0", "2", "NULL", "2"],
        "kind": ["A", "(not set)", "A", "B"],
        "source_file": ["f", "f", "f", "f"],
        "source_row": [0, 1, 2, 1],
        "file_time": [1, 2, 1, 1],
    }
)


def catalogue(**options):
    columns = ItemColumns("id", None, None, "kind", **options)
    return catalogue_of(ROWS, columns).select(["item_id", "category"]).to_pylist()


def test_a_word_for_missing_is_no_item_and_no_category_and_a_whole_number_is_one_id():
    order = ("source_file", "file_time", "source_row")
    found = catalogue(order=order, missing=("NULL", "(not set)"), integer_ids=True)
    assert found == [{"item_id": "1", "category": "A"}, {"item_id": "2", "category": None}]


def test_of_a_file_that_was_delivered_twice_the_later_rows_count():
    columns = ItemColumns.resolve(tuple(ROWS.column_names), {"item_id": "id"}, "item_id", "kind")
    assert columns.order == ("source_file", "file_time", "source_row")
    found = catalogue_of(ROWS, columns)
    assert (
        dict(zip(found["item_id"].to_pylist(), found["category"].to_pylist(), strict=True))["2"]
        == "(not set)"
    )
