"""Item keys, categories and the vocabulary."""

import pyarrow as pa
import pytest

from tests.unit.features.rows import catalogue_rows
from truelift.errors import ConfigError
from truelift.features.catalogue import (
    ItemColumns,
    LookupSource,
    catalogue_of,
    categories_of_items,
    describe_keys,
    index_of_keys,
    keys_of_items,
)

COLUMNS = ItemColumns("sku", "type", "title", "department")


def raw_items(*rows: tuple) -> pa.Table:
    names = ("sku", "type", "title", "department", "source_file", "source_row")
    return pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def test_the_last_row_of_an_item_wins_by_file_and_row():
    rows = raw_items(
        ("1", "new", "n", "d", "b.csv", 0),
        ("1", "old", "o", "d", "a.csv", 7),
        ("1", "older", "o", "d", "a.csv", 3),
    )
    assert catalogue_of(rows, COLUMNS)["item_key"].to_pylist() == ["new"]


def test_blank_text_is_no_item_key():
    rows = raw_items(("1", "  ", "a", "d", "f", 0), ("2", None, "b", " d ", "f", 1))
    table = catalogue_of(rows, COLUMNS)
    assert table["item_key"].to_pylist() == [None, None]
    assert table["category"].to_pylist() == ["d", "d"]


def test_at_item_level_the_key_is_the_id():
    rows = raw_items(("2", "t", "a", "d", "f", 0), ("1", "t", "b", "d", "f", 1))
    table = catalogue_of(rows, ItemColumns("sku", None, "title", None))
    assert table["item_key"].to_pylist() == ["1", "2"]
    assert table["category"].to_pylist() == [None, None]


def test_rows_without_an_id_are_left_out():
    rows = raw_items((None, "t", "a", "d", "f", 0), ("1", "t", "b", "d", "f", 1))
    assert catalogue_of(rows, COLUMNS)["item_id"].to_pylist() == ["1"]


def test_an_item_outside_the_catalogue_has_no_key_at_a_coarser_level():
    catalogue = catalogue_rows(("1", "milk", "dairy"))
    ids = pa.array(["9", "1"])
    assert keys_of_items(ids, catalogue).to_pylist() == [None, "milk"]
    assert categories_of_items(ids, catalogue).to_pylist() == [None, "dairy"]


def test_without_a_coarser_level_every_item_is_its_own_key():
    assert keys_of_items(pa.array(["9"]), None).to_pylist() == ["9"]


def test_keys_outside_the_vocabulary_and_missing_keys_have_index_zero():
    vocabulary = pa.table({"item_key": ["milk", "tea"], "item_index": pa.array([2, 1], pa.int32())})
    keys = pa.array(["tea", None, "rare", "milk"])
    assert index_of_keys(keys, vocabulary).tolist() == [1, 0, 0, 2]


def test_a_key_takes_the_most_common_category_of_its_items_and_the_first_of_equals():
    catalogue = catalogue_rows(
        ("1", "bread", "pastry"), ("2", "bread", "grocery"), ("3", "bread", "grocery"),
        ("4", "gift", "toys"), ("5", "gift", "floral"), ("6", "odd", None),
    )  # fmt: skip
    table = describe_keys(catalogue, is_item_level=False)
    assert table.to_pydict() == {
        "item_key": ["bread", "gift", "odd"],
        "name": ["bread", "gift", "odd"],
        "category": ["grocery", "floral", None],
    }


def test_at_item_level_the_description_carries_the_name():
    catalogue = pa.table(
        {"item_id": ["1"], "item_key": ["1"], "name": ["Green tea"], "category": ["tea"]}
    )
    assert describe_keys(catalogue, is_item_level=True)["name"].to_pylist() == ["Green tea"]


def test_mapped_targets_come_before_column_names():
    columns = ItemColumns.resolve(
        ("sku", "product_type", "department"),
        {"item_id": "sku", "category": "department"},
        "product_type",
        "category",
    )
    assert columns == ItemColumns("sku", "product_type", None, "department")


def test_names_that_delta_cannot_store_are_found_by_their_stored_form():
    columns = ItemColumns.resolve(("Item_ID",), {"item_id": "Item ID"}, "item_id", "category")
    assert columns.item_id == "Item_ID"


def test_an_unknown_item_level_names_the_columns_there_are():
    with pytest.raises(ConfigError, match=r"item_level: found 'brand'.*\(sku, title\)"):
        ItemColumns.resolve(("sku", "title", "batch_id"), {"item_id": "sku"}, "brand", "category")


def test_a_missing_item_id_column_is_named():
    with pytest.raises(ConfigError, match=r"no column for 'item_id' in bronze\.items"):
        ItemColumns.resolve(("sku",), {}, "item_id", "category")


def test_a_shipped_lookup_comes_back_whole_and_is_read_once():
    source = LookupSource.of_table(catalogue_rows(("1", "milk", "dairy")))
    assert source.load().to_pylist()[0]["item_key"] == "milk"
    assert source.load() is source.load()


def test_a_shipped_lookup_of_raw_rows_becomes_a_catalogue():
    source = LookupSource.of_table(raw_items(("1", "t", "a", "d", "f", 0)), COLUMNS)
    assert source.load()["item_key"].to_pylist() == ["t"]
