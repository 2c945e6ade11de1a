"""Each format's reader on tiny files: all rows, as text, with their place."""

from __future__ import annotations

import datetime
import gzip
import json
import os
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from truelift.errors import SourceError
from truelift.logs.sources import csv_rows
from truelift.logs.sources.columns import CORRUPT, bronze_name, bronze_names
from truelift.logs.sources.planning import plan_streams
from truelift.logs.sources.registry import read
from truelift.logs.sources.unit import Unit
from truelift.settings import MappingOptions, ReferenceOptions, SourceOptions

MAPPING = MappingOptions(user="u", item="i", time="t")


def source(path, form="csv", **options):
    return SourceOptions(format=form, path=str(path), mapping=MAPPING, **options)


def rows(options):
    """Every row as a dictionary, over all units of the events."""
    units = plan_streams(options)["events"]
    return [row for unit in units for batch in read(unit) for row in batch.to_pylist()]


def values(options):
    """The text columns, or the raw text of a corrupt row, with the row's number."""
    found = []
    for row in rows(options):
        number = row["source_row"]
        if row[CORRUPT] is not None:
            found.append((number, row[CORRUPT]))
        else:
            found.append((number, *(v for k, v in row.items() if k in ("u", "i", "t"))))
    return found


def written(tmp_path, text, name="log.csv", encoding="utf-8"):
    path = tmp_path / name
    data = text if isinstance(text, bytes) else text.encode(encoding)
    if name.endswith(".gz"):
        data = gzip.compress(data)
    elif name.endswith(".zst"):
        data = pa.compress(data, "zstd", asbytes=True)
    path.write_bytes(data)
    return path


# ------------------------------------------------------------------ delimited text


def test_csv_rows_are_text_with_file_and_row(tmp_path):
    path = written(tmp_path, "u,i,t\n007,1.50,2024-01-01\nb,,\n")
    assert rows(source(path)) == [
        {"u": "007", "i": "1.50", "t": "2024-01-01", CORRUPT: None,
         "source_file": str(path), "source_row": 0},
        {"u": "b", "i": "", "t": "", CORRUPT: None, "source_file": str(path), "source_row": 1},
    ]  # fmt: skip


def test_csv_quoted_values_may_hold_line_ends_and_delimiters(tmp_path):
    path = written(tmp_path, 'u,i,t\na,"x\ny, z",1\nb,"say ""hi""",2\n')
    assert values(source(path)) == [(0, "a", "x\ny, z", "1"), (1, "b", 'say "hi"', "2")]


def test_csv_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    path = written(tmp_path, b"\xef\xbb\xbfu,i,t\na,b,c\n")
    assert values(source(path)) == [(0, "a", "b", "c")]


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.csv.zst"])
def test_csv_windows_line_ends_and_packed_files(tmp_path, name):
    path = written(tmp_path, "u,i,t\r\na,b,c\r\nd,e,f\r\n", name)
    assert values(source(path)) == [(0, "a", "b", "c"), (1, "d", "e", "f")]


def test_gzip_of_several_members_is_read_to_its_end(tmp_path):
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(b"u,i,t\na,b,c\n") + gzip.compress(b"d,e,f\n"))
    assert values(source(path)) == [(0, "a", "b", "c"), (1, "d", "e", "f")]


def test_tabs_through_the_delimiter(tmp_path):
    path = written(tmp_path, "u\ti\tt\na\tb,c\td\n", "log.tsv")
    assert values(source(path, delimiter="\t")) == [(0, "a", "b,c", "d")]


def test_csv_record_of_another_width_is_kept_whole_and_counted(tmp_path):
    path = written(tmp_path, "u,i,t\na,b,c\nx,y\nd,e,f\np,q,r,s\ng,h,i\n")
    assert values(source(path)) == [
        (0, "a", "b", "c"), (1, "x,y"), (2, "d", "e", "f"), (3, "p,q,r,s"), (4, "g", "h", "i"),
    ]  # fmt: skip


def test_csv_quote_that_never_closes_costs_one_line(tmp_path):
    path = written(tmp_path, 'u,i,t\na,b,c\n"x,y,z\nd,e,f\ng,h,i\n')
    assert values(source(path)) == [
        (0, "a", "b", "c"), (1, '"x,y,z'), (2, "d", "e", "f"), (3, "g", "h", "i"),
    ]  # fmt: skip


def test_csv_quote_in_the_middle_of_a_value_is_a_character(tmp_path):
    path = written(tmp_path, 'u,i,t\na,5" pipe,c\nd,e,f\n')
    assert values(source(path)) == [(0, "a", '5" pipe', "c"), (1, "d", "e", "f")]


def test_csv_blank_lines_are_no_rows(tmp_path):
    path = written(tmp_path, "u,i,t\n\na,b,c\n\n\nx,y\nd,e,f\n\n")
    assert values(source(path)) == [(0, "a", "b", "c"), (1, "x,y"), (2, "d", "e", "f")]


def test_csv_bytes_that_are_not_utf8_make_one_corrupt_row(tmp_path):
    path = written(tmp_path, b"u,i,t\na,b,c\nx,\xff,z\nd,e,f\n")
    assert values(source(path)) == [
        (0, "a", "b", "c"), (1, "x,\ufffd,z"), (2, "d", "e", "f"),
    ]  # fmt: skip


def test_csv_other_encodings_are_named_in_the_settings(tmp_path):
    path = written(tmp_path, "u,i,t\nä,b,c\n", encoding="latin-1")
    assert values(source(path, encoding="latin-1")) == [(0, "ä", "b", "c")]


def test_csv_an_unknown_encoding_is_named(tmp_path):
    path = written(tmp_path, "u,i,t\na,b,c\n")
    with pytest.raises(SourceError, match=r"source\.encoding: found 'latin-99'"):
        rows(source(path, encoding="latin-99"))


def test_csv_values_beyond_the_header_may_be_there_where_they_are_empty(tmp_path):
    path = written(tmp_path, "u,i,t\na,b,c,,\nd,e,f,,x\ng,h,i\n")
    assert values(source(path)) == [(0, "a", "b", "c"), (1, "d,e,f,,x"), (2, "g", "h", "i")]


def test_csv_many_blocks_keep_row_numbers_right_around_corrupt_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_rows, "_BLOCK", 64)
    lines, expected = [], []
    for number in range(300):
        if number % 7 == 3:
            lines.append(f"bad{number}")
            expected.append((number, f"bad{number}"))
        else:
            lines.append(f'a{number},"b\n{number}",c')
            expected.append((number, f"a{number}", f"b\n{number}", "c"))
    path = written(tmp_path, "u,i,t\n" + "\n".join(lines) + "\n")
    assert values(source(path)) == expected


def test_csv_quote_longer_than_a_block_is_recovered_from(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_rows, "_BLOCK", 256)
    good = [f"a{n},b,c" for n in range(200)]
    path = written(tmp_path, "\n".join(["u,i,t", *good[:50], '"x,y,z', *good[50:]]) + "\n")
    found = values(source(path))
    assert [row[0] for row in found] == list(range(201))
    assert found[50] == (50, '"x,y,z')
    assert [row[1] for row in found if len(row) == 4] == [f"a{n}" for n in range(200)]


def test_csv_repeated_and_empty_names_are_numbered(tmp_path):
    path = written(tmp_path, "u,i,t,x,X,\na,b,c,1,2,3\n")
    (row,) = rows(source(path))
    assert (row["x"], row["X_2"], row["column"]) == ("1", "2", "3")


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
def test_csv_header_without_rows_is_an_error(tmp_path, name):
    with pytest.raises(SourceError, match="has columns and no rows"):
        plan_streams(source(written(tmp_path, "u,i,t\n\n", name)))


def test_csv_header_without_rows_beside_a_file_with_rows_is_passed_over(tmp_path):
    written(tmp_path, "u,i,t\n", "1.csv")
    written(tmp_path, "u,i,t\na,b,c\n", "2.csv")
    assert values(source(tmp_path / "*.csv")) == [(0, "a", "b", "c")]


# ------------------------------------------------------------------ JSON lines


def json_source(tmp_path, lines, name="log.jsonl"):
    return source(written(tmp_path, "\n".join(lines) + "\n", name), "jsonl")


@pytest.mark.parametrize("name", ["log.jsonl", "log.jsonl.gz"])
def test_json_values_are_text_as_written(tmp_path, name):
    line = '{"u": 7, "i": 1.10, "t": "2024", "ok": true, "none": null, "big": 12345678901234567890}'
    (row,) = rows(json_source(tmp_path, [line], name))
    assert (row["u"], row["i"], row["t"]) == ("7", "1.10", "2024")
    assert (row["ok"], row["none"], row["big"]) == ("true", None, "12345678901234567890")


def test_json_objects_are_flattened_and_lists_stay_json(tmp_path):
    line = (
        '{"u": "a", "i": "b", "t": "c", "geo": {"city": {"id": 5}}, "tags": [1, "x", {"y": 2.0}]}'
    )
    (row,) = rows(json_source(tmp_path, [line]))
    assert row["geo_city_id"] == "5"
    assert row["tags"] == '[1,"x",{"y":2.0}]'


def test_json_broken_lines_are_kept_with_their_line_number(tmp_path):
    lines = ['{"u": "a", "i": "b", "t": "c"}', '{"u": "a", "i"', "", "[1, 2]", '{"u": "z"}']
    assert values(json_source(tmp_path, lines)) == [
        (0, "a", "b", "c"), (1, '{"u": "a", "i"'), (3, "[1, 2]"), (4, "z", None, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('[{"u": "a", "i": "x", "t": 1}, {"u": "b", "i": "x", "t": 1}]', "jq -c .[]"),
        ('[\n{"u": "a", "i": "x", "t": 1},\n{"u": "b", "i": "x", "t": 1}\n]', "jq -c .[]"),
        ('{\n  "u": "a",\n  "i": "x",\n  "t": 1\n}', "jq -c ."),
        ('{"u": "a", "i": "x", "t": 1} {"u": "b", "i": "x", "t": 1}', "jq -c ."),
        ("{'u': 'a', 'i': 'x', 't': 1}", "json.dumps"),
        ('192.0.2.1 - - [05/Mar/2024:10:00:00 +0000] "GET / HTTP/1.1" 200 5', "access_log"),
        ("u,i,t\na,x,1", "Its first line: 'u,i,t'"),
    ],
)
def test_json_that_is_not_one_object_a_line_is_refused_with_what_to_do(tmp_path, text, hint):
    (tmp_path / "log.jsonl").write_text(text + "\n")
    with pytest.raises(SourceError, match=re.escape(hint)):
        rows(source(tmp_path / "log.jsonl", "jsonl"))


def test_json_not_a_number_is_nothing(tmp_path):
    lines = ['{"u": NaN, "i": "x", "t": 1}', '{"u": "NaN", "i": "x", "t": 2}']
    assert values(json_source(tmp_path, lines)) == [(0, None, "x", "1"), (1, "NaN", "x", "2")]


def test_json_names_that_come_late_are_not_lost(tmp_path):
    lines = ['{"u": "a", "i": "b", "t": "c"}'] * 1000 + ['{"u": "z", "late": 3}']
    last = rows(json_source(tmp_path, lines))[-1]
    assert (last["u"], json.loads(last["_other"])) == ("z", {"late": "3"})


def test_json_bytes_of_another_encoding_make_one_corrupt_row(tmp_path):
    text = b'{"u": "a", "i": "b", "t": "c"}\n{"u": "\xe4"}\n{"u": "d", "i": "e", "t": "f"}\n'
    path = written(tmp_path, text, "log.jsonl")
    assert values(source(path, "jsonl")) == [
        (0, "a", "b", "c"), (1, '{"u": "\ufffd"}'), (2, "d", "e", "f"),
    ]  # fmt: skip


def test_json_in_latin_1_with_a_byte_order_mark_or_zstd(tmp_path):
    text = '{"u": "\u00e4", "i": "b", "t": "c"}\n'
    latin = written(tmp_path, text, "latin.jsonl", "latin-1")
    assert values(source(latin, "jsonl", encoding="latin-1")) == [(0, "\u00e4", "b", "c")]
    marked = written(tmp_path, text, "marked.jsonl.zst", "utf-8-sig")
    assert values(source(marked, "jsonl")) == [(0, "\u00e4", "b", "c")]


def test_json_text_that_no_table_can_hold_is_corrupt(tmp_path):
    lines = ['{"u": "a", "i": "b", "t": "c"}', '{"u": "\\ud800", "i": "b"}', "[" * 100_000]
    assert values(json_source(tmp_path, lines)) == [
        (0, "a", "b", "c"), (1, '{"u": "\\ud800", "i": "b"}'), (2, "[" * 100_000),
    ]  # fmt: skip


def test_json_names_that_become_one_lose_nothing(tmp_path):
    line = '{"u": 1, "U": 2, "i": 3, "t": 4, "a": {"b": 5}, "a_b": 6}'
    (row,) = rows(json_source(tmp_path, [line]))
    assert (row["u"], row["a_b"], row["a__b"]) == ("1", "6", "5")
    assert json.loads(row["_other"]) == {"U": "2"}


# ------------------------------------------------------------------ Parquet


def test_parquet_rows_keep_their_number_over_row_groups_and_ranges(tmp_path, monkeypatch):
    monkeypatch.setattr("truelift.logs.sources.parquet_rows._RANGE_ROWS", 7)
    monkeypatch.setattr("truelift.logs.sources.parquet_rows._BATCH", 4)
    table = pa.table({"u": [str(n) for n in range(100)], "i": range(100), "t": range(100)})
    pq.write_table(table, tmp_path / "log.parquet", row_group_size=40)
    options = source(tmp_path / "log.parquet", "parquet")
    assert len(plan_streams(options)["events"]) == 6 + 6 + 3
    found = rows(options)
    assert [row["source_row"] for row in found] == list(range(100))
    assert (
        [row["u"] for row in found] == [row["i"] for row in found] == [str(n) for n in range(100)]
    )


def test_parquet_types_become_text(tmp_path):
    moment = datetime.datetime(2024, 3, 1, 12, 30, 0, 250000)
    table = pa.table(
        {
            "u": pa.array(["x"]).dictionary_encode(),
            "i": pa.array([0.1]),
            "t": pa.array([moment], pa.timestamp("ns")),
            "zoned": pa.array([moment], pa.timestamp("ms", tz="UTC")),
            "list": pa.array([[1, 2]]),
            "nothing": pa.nulls(1),
            "raw": pa.array([b"\xff"]),
            "flag": pa.array([True]),
        }
    )
    pq.write_table(table, tmp_path / "log.parquet")
    (row,) = rows(source(tmp_path / "log.parquet", "parquet"))
    assert (row["u"], row["i"]) == ("x", "0.1")
    assert row["t"] == "2024-03-01 12:30:00.250000"
    assert row["zoned"] == "2024-03-01 12:30:00.250000Z"
    assert (row["list"], row["nothing"], row["raw"], row["flag"]) == ("[1,2]", None, "/w==", "true")


def test_bytes_are_text_or_base64_each_by_itself(tmp_path):
    table = pa.table({"u": [b"ann", b"\xff", None], "i": ["x"] * 3, "t": ["1"] * 3})
    pq.write_table(table, tmp_path / "log.parquet")
    found = [row["u"] for row in rows(source(tmp_path / "log.parquet", "parquet"))]
    assert found == ["ann", "/w==", None]


def test_a_file_that_is_no_parquet_is_named(tmp_path):
    path = written(tmp_path, "u,i,t\n", "log.parquet")
    with pytest.raises(SourceError, match=r"log\.parquet cannot be read as Parquet"):
        plan_streams(source(path, "parquet"))


# ------------------------------------------------------------------ planning


def test_a_missing_mapped_column_is_named_with_those_found(tmp_path):
    path = written(tmp_path, "user,i,t\na,b,c\n")
    with pytest.raises(SourceError) as caught:
        plan_streams(source(path))
    message = str(caught.value)
    assert "source.mapping.user names the column 'u'" in message
    assert "Columns found: user, i, t" in message


def test_one_column_only_hints_at_the_delimiter(tmp_path):
    path = written(tmp_path, "u;i;t\na;b;c\n")
    with pytest.raises(SourceError, match=r"is ',' the delimiter"):
        plan_streams(source(path))


def test_every_file_is_checked_for_the_mapped_columns(tmp_path):
    written(tmp_path, "u,i,t\na,b,c\n", "1.csv")
    written(tmp_path, "u,i\na,b\n", "2.csv")
    with pytest.raises(SourceError, match=r"2\.csv does not have"):
        plan_streams(source(tmp_path / "*.csv"))


def test_units_know_when_their_file_was_changed(tmp_path):
    path = written(tmp_path, "u,i,t\na,b,c\n")
    os.utime(path, ns=(0, 1_700_000_000_123_456_789))
    (unit,) = plan_streams(source(path))["events"]
    assert unit.modified == 1_700_000_000_123_456


def test_no_path_is_an_error_that_says_what_to_set():
    with pytest.raises(SourceError, match=r"source\.path is not set"):
        plan_streams(SourceOptions(format="csv"))


def test_other_streams_go_by_the_suffix_of_their_files(tmp_path):
    events = written(tmp_path, "u,i,t\na,b,c\n")
    pq.write_table(pa.table({"id": ["b"], "label": ["B"]}), tmp_path / "items.parquet")
    users = written(tmp_path, "u\tage\na\t40\n", "users.tsv")
    options = source(
        events,
        items=ReferenceOptions(str(tmp_path / "items.parquet"), {"item_id": "id"}),
        users=ReferenceOptions(str(users), {"user": "u"}),
    )
    plans = plan_streams(options)
    assert sorted(plans) == ["events", "items", "users"]
    (batch,) = read(plans["users"][0])
    assert batch.to_pylist()[0]["age"] == "40"


@pytest.mark.parametrize(("events", "other"), [(",", ";"), (";", ","), ("|", "\t")])
def test_other_streams_have_the_delimiter_that_parts_their_header(tmp_path, events, other):
    (tmp_path / "log.csv").write_text(f"u{events}i{events}t\na{events}b{events}c\n")
    (tmp_path / "goods.csv").write_text(f"sku{other}brand\nb{other}X\n")
    goods = ReferenceOptions(str(tmp_path / "goods.csv"), {"item_id": "sku"})
    options = source(tmp_path / "log.csv", delimiter=events, items=goods)
    (unit,) = plan_streams(options)["items"]
    (row,) = [row for batch in read(unit) for row in batch.to_pylist()]
    assert (row["sku"], row["brand"]) == ("b", "X")


def test_a_unit_survives_json(tmp_path):
    (unit,) = plan_streams(source(written(tmp_path, "u,i,t\na,b,c\n")))["events"]
    assert Unit.from_json(unit.to_json()) == unit


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Customer ID", "Customer_ID"),
        ("\ufeffuser", "user"),
        ("a.b", "a_b"),
        ("price(=€)", "price_€_"),
        ("source_row", "source_row_"),
        ("file_time", "file_time_"),
        ("  ", "column"),
    ],
)
def test_names_are_made_fit_for_a_table(name, expected):
    assert bronze_name(name) == expected
    assert bronze_name(expected) == expected or name in ("source_row", "file_time")


def test_names_that_differ_in_case_only_are_numbered():
    assert bronze_names(["a", "A", "a"]) == ("a", "A_2", "a_3")
