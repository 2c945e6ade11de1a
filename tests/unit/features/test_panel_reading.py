"""Sources that workers read as they lie: which, and the rows that they make of them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from tests.unit.features.rows import DAY, exposure_table, user_rows
from truelift.config import load_panel_spec
from truelift.features.panels.reading import (
    PlainColumn,
    plain_column,
    plain_columns,
    stored_source,
    with_elements,
)
from truelift.settings.panel_spec import PanelSpec


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("event_time", PlainColumn("event_time")),
        (" `end` ", PlainColumn("end")),
        ("timestamp_micros(element)", PlainColumn("element", micros=True)),
        ("end - INTERVAL 1 MICROSECOND", PlainColumn("end", shift=-1)),
        ("sent + interval 2 seconds", PlainColumn("sent", shift=2_000_000)),
        ("sent + INTERVAL 1 DAY", None),  # as long as the session's time zone says
        ("amount * 2", None),
        ("timestamp_micros(element", None),
        ("context['store_id']", None),
    ],
)
def test_a_text_is_plain_if_it_is_a_column_or_an_instant_beside_it(text, found):
    assert plain_column(text) == found


def test_the_latest_of_several_columns_is_plain_too():
    assert plain_columns("greatest(start, end)") == (PlainColumn("start"), PlainColumn("end"))
    assert plain_columns("greatest(start, a + b)") == ()


def campaigns(**sources: dict[str, Any]) -> PanelSpec:
    return load_panel_spec("campaigns", {"sources": sources})


EXPOSURES = exposure_table(
    ("u", "a", 1, 5, [3, 4]), ("v", "a", 6, 2, []), (None, "a", 1, 2, [1]), ("w", "b", 1, 9, [2])
)


def test_rows_have_keys_times_and_flags_and_those_without_a_key_are_gone():
    stored = stored_source(EXPOSURES.schema, campaigns(), "exposures")
    assert stored is not None and stored.stored() == ("user_key", "start", "campaign")
    assert stored.rows(EXPOSURES).to_pydict() == {
        "key": ["u", "v", "w"], "time": [DAY, 6 * DAY, DAY], "occasion": ["a", "a", "b"],
        "flags": [1, 1, 1],
    }  # fmt: skip


def test_the_latest_instant_and_one_beside_it_are_computed():
    stored = stored_source(EXPOSURES.schema, campaigns(), "ended")
    assert stored is not None
    # What ends before it began counts from its beginning.
    times = [5 * DAY - 1, 6 * DAY, 9 * DAY - 1]
    assert stored.rows(EXPOSURES)["time"].to_pylist() == times


@pytest.mark.parametrize("first", [0, 1])
def test_elements_of_a_list_are_rows_also_of_a_part_of_a_table(first):
    stored = stored_source(EXPOSURES.schema, campaigns(), "responses")
    assert stored is not None
    rows = stored.rows(EXPOSURES.slice(first))
    expected = [("u", 3 * DAY), ("u", 4 * DAY), ("w", 2 * DAY)][2 * first :]
    assert list(zip(rows["key"].to_pylist(), rows["time"].to_pylist(), strict=True)) == expected


@pytest.mark.parametrize("first", [0, 1])
def test_elements_of_a_map_are_rows_with_their_keys(first):
    users = user_rows({"u": {"age": "old", "city": "x"}, "v": {}, "w": {"age": "young"}})
    rows = with_elements(users.slice(first), "attributes")
    expected = [("u", "age", "old"), ("u", "city", "x"), ("w", "age", "young")][2 * first :]
    columns = (rows[name].to_pylist() for name in ("user_key", "element_key", "element"))
    assert list(zip(*columns, strict=True)) == expected


def test_a_missing_list_has_no_rows():
    held = pa.array([[1], None, [2]], pa.list_(pa.int64()))
    assert with_elements(pa.table({"n": ["a", "b", "c"], "held": held}), "held").to_pydict() == {
        "n": ["a", "c"], "element": [1, 2],
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"where": "campaign <> 'b'"},
        {"time": "start + INTERVAL 1 DAY"},
        {"time": "campaign"},
        {"rows_of": "campaign_type"},
        {"keys": {"user_key": "upper(user_key)"}},
    ],
)
def test_what_spark_has_to_compute_is_left_to_spark(change):
    assert stored_source(EXPOSURES.schema, campaigns(exposures=change), "exposures") is None
