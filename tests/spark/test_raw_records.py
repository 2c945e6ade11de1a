"""A record is the same, and says the same, whatever columns its file happens to have."""

from __future__ import annotations

from itertools import product

import pytest

from truelift.logs.parsing import BLANKS, trimmed_text
from truelift.logs.records import content_id, with_mapped

HEADS = ("user string, item string, price string", "price string, item string, USER string",
         "user string, item string, coupon string, price string", "item string, _other string")  # fmt: skip


def ids(spark, schema: str, *rows):
    frame = spark.createDataFrame(list(rows), schema)
    return [row[0] for row in frame.select(content_id(frame.columns)).collect()]


def test_the_same_record_has_one_id_under_any_set_of_columns(spark):
    late = '{"user": "ann", "price": "2.50", "coupon": null}'
    found = [
        *ids(spark, HEADS[0], ("ann", "x", "2.50")),
        *ids(spark, HEADS[1], ("2.50", "x", "ann")),
        *ids(spark, HEADS[2], ("ann", "x", None, "2.50"), ("ann", "x", "", "2.50")),
        *ids(spark, HEADS[3], ("x", late)),
    ]
    assert len(set(found)) == 1
    assert len(found[0]) == 16


def test_another_value_or_another_name_is_another_record(spark):
    rows = [("ann", "x", "2.50"), ("ann", "x", "2.5"), ("ann", "2.50", "x"), ("ann", "x", None),
            (None, "x", "2.50"), ("x", "ann", "2.50"), ("ann", "x", " 2.50")]  # fmt: skip
    found = ids(spark, HEADS[0], *rows)
    late = ids(spark, HEADS[3], ("x", '{"user": "ann", "cost": "2.50"}'))
    assert len({*found, *late}) == len(rows) + 1


def test_where_a_row_came_from_is_no_part_of_it(spark):
    head = "user string, source_file string, source_row long, batch_id string, _corrupt string"
    one, other = ids(spark, head, ("a", "f", 1, "b", None), ("a", "g", 2, "c", None))
    assert one == other


@pytest.mark.parametrize("context", [[], ["my page"]])
def test_a_mapped_field_is_read_from_a_late_key_too(spark, context):
    frame = spark.createDataFrame(
        [("a", "1", None), ("b", None, '{"price": "2", "my_page": "p"}'), ("c", None, None)],
        "user string, price string, _other string",
    )
    filled = with_mapped(frame, ["user", "price", *context])
    assert [row.price for row in filled.collect()] == ["1", "2", None]
    if context:
        assert [row.my_page for row in filled.collect()] == [None, "p", None]


def test_a_mapped_column_that_no_file_had_is_null(spark):
    frame = spark.createDataFrame([("a",)], "User string")
    assert with_mapped(frame, ["user", "price"]).collect() == [("a", None)]


def test_blanks_of_all_kinds_and_nothing_else_are_taken_from_the_ends(spark):
    ends = ["", *BLANKS, "\x00", "\x1b", "!", "~", "\x7f", "\x80", "\u00e9", "\u20ac", "\U0001f600"]
    texts = [f"{first}{mid}{last}" for first, mid, last in product(ends, ("", "a\u00a0b"), ends)]
    frame = spark.createDataFrame([(text,) for text in texts], "text string")
    found = frame.select("text", trimmed_text(frame.text).alias("trimmed")).collect()
    assert [row.trimmed for row in found] == [row.text.strip(BLANKS) for row in found]
    assert len(found) == len(texts)
