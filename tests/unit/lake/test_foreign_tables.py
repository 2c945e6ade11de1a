"""Tables that others wrote, seen through Arrow: what columns there are, and in which types."""

from __future__ import annotations

import datetime
import gzip

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from truelift.errors import TableError
from truelift.lake.address import TableAddress
from truelift.lake.foreign import frame_table, open_foreign
from truelift.lake.scan import make_plan, read_unit
from truelift.lake.stored_types import stored_table, stored_type


def opened(uri: object):
    return open_foreign(TableAddress.parse(str(uri)))


def rows_of(table) -> pa.Table:
    return pa.concat_tables(read_unit(table.plan, unit) for unit in table.plan.units)


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.csv", "id,spend,arm\n1,2.5,x\n2,3,\n", [(1, 2.5, "x"), (2, 3.0, None)]),
        ("b.csv", "id;spend;arm\n1;2,5;x\n2;3,0; \n", [(1, 2.5, "x"), (2, 3.0, None)]),
        ("c.tsv", "id\tspend\tarm\n1\t2.5\t\"x\ty\"\n2\tNA\tb\n", [(1, 2.5, "x\ty"), (2, None, "b")]),
        ("d.csv", "\ufeffid|spend|arm\n1|2|x\n", [(1, 2, "x")]),
        ("e.csv", 'id,spend,arm\n1,2,"x\ny, z"\n', [(1, 2, "x\ny, z")]),
    ],
)  # fmt: skip
def test_csv_is_read_by_the_separator_of_its_header(tmp_path, name, content, rows):
    (tmp_path / name).write_text(content, encoding="utf-8")
    held = opened(tmp_path / name).held
    assert held.column_names == ["id", "spend", "arm"]
    assert [tuple(row.values()) for row in held.to_pylist()] == rows


def test_a_folder_of_packed_csv_files_is_one_table(tmp_path):
    for number in (1, 2):
        with gzip.open(tmp_path / f"part-{number}.csv.gz", "wt") as file:
            file.write(f"id,x\n{number},{number}.5\n")
    assert opened(tmp_path).held.to_pydict() == {"id": [1, 2], "x": [1.5, 2.5]}


@pytest.mark.parametrize(
    ("content", "why"),
    [("a,b\n1,2\n1,2,3\n", "Expected 2 columns, got 3"), ("", "Empty CSV file"),
     ("a,b\n1,\xe9\n", "UTF-?8")],
)  # fmt: skip
def test_a_csv_file_that_is_none_is_named_in_one_message(tmp_path, content, why):
    (tmp_path / "odd.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(TableError, match=rf"(?s)odd\.csv cannot be read as CSV.*{why}"):
        opened(tmp_path / "odd.csv")


def test_files_of_other_formats_and_places_without_one_are_named(tmp_path):
    (tmp_path / "table.xlsx").write_bytes(b"PK\x03\x04 a workbook")
    (tmp_path / "folder").mkdir()
    for place in ("table.xlsx", "folder", "nothing"):
        with pytest.raises(TableError, match=rf"There is no table at .*{place}: .*DataFrame"):
            opened(tmp_path / place)


def test_a_broken_parquet_file_is_named(tmp_path):
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(TableError, match=r"broken\.parquet cannot be read as Parquet"):
        opened(tmp_path / "broken.parquet")


def test_a_version_that_a_delta_table_does_not_have_is_refused_with_the_newest(tmp_path):
    for number in (1, 2):
        write_deltalake(str(tmp_path / "t"), pa.table({"a": [number]}), mode="append")
    with pytest.raises(TableError, match="has no version 9; its newest is 1"):
        opened(f"{tmp_path}/t@9")
    with pytest.raises(TableError, match="has no version 9; its newest is 1"):
        make_plan("gold.panel", str(tmp_path / "t"), version=9)
    assert opened(f"{tmp_path}/t@0").version == "0"


def test_a_version_of_parquet_is_refused(tmp_path):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    with pytest.raises(TableError, match="is no Delta table, so it has no version"):
        opened(f"{tmp_path}/a.parquet@3")


def test_folders_that_are_named_like_values_are_columns(tmp_path):
    for country, year in (("CH", 2023), ("AT", 2024)):
        folder = tmp_path / f"country={country}" / f"year={year}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"x": [float(year)]}), folder / "part.parquet")
    (tmp_path / "_temporary").mkdir()
    pq.write_table(pa.table({"x": [0.0]}), tmp_path / "_temporary" / "part.parquet")
    table = opened(tmp_path)
    assert table.schema.names == ["x", "country", "year"]
    assert sorted(rows_of(table).to_pylist(), key=str) == [
        {"x": 2023.0, "country": "CH", "year": 2023}, {"x": 2024.0, "country": "AT", "year": 2024},
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["PART.PARQUET", "000000_0", "part.pq"])
def test_parquet_is_known_by_its_ending_or_its_first_bytes(tmp_path, name):
    (tmp_path / "t").mkdir()
    pq.write_table(pa.table({"x": [1.0]}), tmp_path / "t" / name)
    (tmp_path / "t" / "notes.md").write_text("not a table")
    assert rows_of(opened(tmp_path / "t")).to_pydict() == {"x": [1.0]}


def test_files_with_types_that_one_holds_are_one_table_and_others_are_named_when_used(tmp_path):
    pq.write_table(pa.table({"x": [1], "odd": [1], "late": ["a"]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"x": [1.5], "odd": ["one"]}), tmp_path / "2.parquet")
    table = opened(tmp_path)
    assert table.stored(["x", "late"]).types == [pa.float64(), pa.string()]
    assert rows_of(make_like(table, ["x", "late"]))["x"].to_pylist() == [1.0, 1.5]
    with pytest.raises(TableError, match="column 'odd': its files disagree on the type"):
        table.stored(["odd"])


def make_like(table, columns):
    from dataclasses import replace

    return replace(table, plan=table.plan.select(columns))


def test_columns_of_one_name_are_refused_when_used(tmp_path):
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], ["x", "x", "y"])
    pq.write_table(table, tmp_path / "twice.parquet")
    found = opened(tmp_path / "twice.parquet")
    assert found.stored(["y"]).names == ["y"]
    with pytest.raises(TableError, match="has 2 columns named 'x'"):
        found.stored(["x"])


DAY = datetime.datetime(2024, 3, 1, 12)


@pytest.mark.parametrize(
    ("column", "stored"),
    [
        (pa.array(["a", None]).dictionary_encode(), pa.array(["a", None])),
        (pa.array(["a"], pa.large_string()), pa.array(["a"])),
        (pa.array(["a"], pa.string_view()), pa.array(["a"])),
        (pa.array([b"\xff\x00"]), pa.array(["ff00"])),
        (pa.array([2**64 - 1], pa.uint64()), pa.array([2**64 - 1], pa.decimal128(20, 0))),
        (pa.array([255], pa.uint8()), pa.array([255], pa.int32())),
        (pa.array([2**32 - 1], pa.uint32()), pa.array([2**32 - 1], pa.int64())),
        (pa.array([np.float16(1.5)]), pa.array([1.5], pa.float32())),
        (pa.array([DAY], pa.timestamp("ns")), pa.array([DAY], pa.timestamp("us", "UTC"))),
        (pa.array([DAY], pa.timestamp("s", "UTC")), pa.array([DAY], pa.timestamp("us", "UTC"))),
        (pa.array([DAY.date()], pa.date64()), pa.array([DAY.date()])),
        (pa.array([DAY.time()], pa.time64("us")), pa.array(["12:00:00.000000"])),
        (pa.array([5], pa.duration("ns")), pa.array([5])),
        (pa.nulls(1), pa.nulls(1, pa.string())),
        (pa.array([True]), pa.array([True])),
    ],
)
def test_a_column_is_kept_in_a_type_that_everyone_knows(column, stored):
    table = pa.table({"c": column})
    kind = stored_type(column.type)
    assert kind == stored.type
    assert stored_table(table, pa.schema([("c", kind)]))["c"].combine_chunks().equals(stored)


def test_nested_columns_are_refused_when_used_and_not_before():
    table = frame_table(pa.table({"many": [[1]], "x": [1.0]}), "the Table")
    assert table.stored(["x"]).names == ["x"]
    with pytest.raises(TableError, match=r"column 'many': found type list.*expected a number"):
        table.stored(["many"])


def test_a_data_frame_is_a_table_whatever_its_other_columns_hold():
    frame = pd.DataFrame(
        {"x": [1.0, np.nan], 7: ["a", "b"], "mixed": [1, "one"], ("a", "b"): [object(), {1}]},
        index=pd.Index(["u1", "u2"], name="user"),
    )
    table = frame_table(frame, "the DataFrame")
    assert table.schema.names == ["user", "x", "7", "mixed", "('a', 'b')"]
    held = table.held.select(["user", "x", "7"])
    assert held.to_pydict() == {"user": ["u1", "u2"], "x": [1.0, None], "7": ["a", "b"]}
    with pytest.raises(TableError, match="column 'mixed': its values are of several types"):
        table.stored(["mixed"])


def test_what_is_no_table_is_named_by_its_type():
    with pytest.raises(TableError, match=r"Found builtins\.dict, expected a table"):
        frame_table({"x": [1]}, "the dict")
