"""Values inside of typed columns: taken out where the mapping names them."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from truelift.errors import SourceError
from truelift.logs.sources.planning import plan_streams
from truelift.logs.sources.registry import read
from truelift.settings import MappingOptions, SourceOptions

VALUE = pa.struct(
    [("string_value", pa.string()), ("int_value", pa.int64()), ("double_value", pa.float64())]
)
PARAMS = pa.list_(pa.struct([("key", pa.string()), ("value", VALUE)]))
DAY = datetime.datetime(2024, 3, 5, 10, 0, 1)


def param(key, **value):
    return {
        "key": key,
        "value": {"string_value": None, "int_value": None, "double_value": None, **value},
    }


TABLE = pa.table(
    {
        "user": ["a", "b"],
        "device": pa.array([{"category": "mobile", "at": DAY, "deep": {"n": 1}}, None]),
        "event_params": pa.array(
            [[param("page", string_value="/p"), param("session", int_value=17)],
             [param("session", int_value=18), param("rate", double_value=0.1)]], PARAMS),
        "tags": pa.array([[("x", 1)], [("y.z", 2)]], pa.map_(pa.string(), pa.int64())),
        "time": ["1", "2"],
    }
)  # fmt: skip


@pytest.fixture
def rows(tmp_path, request):
    def run(table, item, form="parquet", **mapping):
        path = tmp_path / "log"
        if form == "delta":
            from deltalake import write_deltalake

            write_deltalake(str(path), table)
        else:
            pq.write_table(table, path)
        named = MappingOptions(**{"user": "user", "item": item, "time": "time", **mapping})
        units = plan_streams(SourceOptions(form, str(path), mapping=named))["events"]
        return [row for unit in units for batch in read(unit) for row in batch.to_pylist()]

    return run


@pytest.mark.parametrize(
    ("name", "column", "expected"),
    [
        ("device.category", "device_category", ["mobile", None]),
        ("Device.Category", "Device_Category", ["mobile", None]),
        ("device.deep.n", "device_deep_n", ["1", None]),
        ("device.at", "device_at", ["2024-03-05 10:00:01.000000", None]),
        ("event_params.page", "event_params_page", ["/p", None]),
        ("event_params.session", "event_params_session", ["17", "18"]),
        ("event_params.rate", "event_params_rate", [None, "0.1"]),
        ("tags.x", "tags_x", ["1", None]),
        ("tags.y.z", "tags_y_z", [None, "2"]),
    ],
)
@pytest.mark.parametrize("form", ["parquet", "delta"])
def test_a_value_inside_is_a_column_where_the_mapping_names_it(rows, form, name, column, expected):
    found = rows(TABLE, name, form)
    assert [row[column] for row in found] == expected
    assert found[0]["event_params"].startswith('[{"key":"page"')


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        (5.0, "5"),
        (0.1, "0.1"),
        (1e22, "1e+22"),
        (b"x", "x"),
        (b"\xff", "/w=="),
    ],
)
def test_a_value_inside_is_written_as_in_a_column_of_its_own(rows, value, expected):
    kind = pa.binary() if isinstance(value, bytes) else pa.float64()
    inside = pa.array([[("v", value)]], pa.map_(pa.string(), kind))
    table = pa.table({"user": ["a"], "time": ["1"], "v": pa.array([value], kind), "tags": inside})
    (row,) = rows(table, "tags.v")
    assert (row["tags_v"], row["v"]) == (expected, expected)


def test_a_list_of_elements_as_bigquery_writes_it_is_a_list(rows):
    entries = {"list": [{"element": param("page", string_value="/p")}]}
    table = pa.table({"user": ["a"], "time": ["1"], "event_params": [entries]})
    (row,) = rows(table, "event_params.page")
    assert row["event_params_page"] == "/p"


def test_what_the_mapping_does_not_name_stays_inside(rows):
    assert "device_category" not in rows(TABLE, "event_params.page")[0]


def test_a_column_of_the_same_name_keeps_it(rows):
    table = TABLE.append_column("device_category", pa.array(["own", "own"]))
    (first, _) = rows(table, "device.category")
    assert (first["device_category"], first["device__category"]) == ("own", "mobile")


def test_what_is_nowhere_inside_is_named(rows):
    with pytest.raises(SourceError, match=r"names the column 'device\.colour', which .* not have"):
        rows(TABLE, "device.colour")
