"""A Delta table as a source: its live files, at a version, with the partition's values."""

from __future__ import annotations

import pyarrow as pa
import pytest

from truelift.errors import ConfigError, SourceError
from truelift.logs.sources.mapping import context_columns
from truelift.logs.sources.planning import find_streams, plan_streams
from truelift.logs.sources.registry import read
from truelift.settings import MappingOptions, SourceOptions

deltalake = pytest.importorskip("deltalake")
MAPPING = MappingOptions(user="u", item="i", time="t")


def source(path, **options):
    return SourceOptions(format="delta", path=str(path), mapping=MAPPING, **options)


def write(path, *events, mode="append", partition_by=None, **columns):
    names = ("u", "i", "t")
    data = {name: [event[k] for event in events] for k, name in enumerate(names)}
    data.update({name: pa.array(values) for name, values in columns.items()})
    deltalake.write_deltalake(
        str(path), pa.table(data), mode=mode, partition_by=partition_by, schema_mode="merge"
    )


def rows(options):
    units = plan_streams(options)["events"]
    found = [row for unit in units for batch in read(unit) for row in batch.to_pylist()]
    return sorted(found, key=lambda row: row["u"])


def batches(options):
    return {file.checksum() for file in find_streams(options)["events"]}


def test_rows_are_text_with_the_data_file_and_the_row_in_it(tmp_path):
    write(tmp_path / "t", ("a", 1, "2024-01-01"), ("b", 2, None))
    first, second = rows(source(tmp_path / "t"))
    assert (first["u"], first["i"], first["source_row"]) == ("a", "1", 0)
    assert (second["i"], second["t"], second["source_row"]) == ("2", None, 1)
    assert first["source_file"].startswith(str(tmp_path / "t"))
    assert first["source_file"].endswith(".parquet")


def test_the_data_set_that_ships_reads_a_table_by_its_own_names(tmp_path, make_settings):
    events = {"user": ["a"], "item": ["x"], "time": ["2024-01-01"], "event_type": ["view"]}
    deltalake.write_deltalake(str(tmp_path / "t"), pa.table({**events, "page": ["home"]}))
    options = make_settings(f"source.path={tmp_path}/t", dataset="delta").source
    (unit,) = plan_streams(options)["events"]
    (row,) = (row for batch in read(unit) for row in batch.to_pylist())
    mapping = options.mapping
    mapped = (mapping.user, mapping.item, mapping.time, mapping.event_type)
    assert [row[column] for column in mapped] == ["a", "x", "2024-01-01", "view"]
    assert context_columns(mapping, tuple(row)) == ("page",)


def test_an_append_adds_files_and_changes_none(tmp_path):
    write(tmp_path / "t", ("a", 1, "x"))
    before = batches(source(tmp_path / "t"))
    write(tmp_path / "t", ("b", 1, "x"))
    after = batches(source(tmp_path / "t"))
    assert before < after
    assert len(after) == 2


def test_files_that_were_removed_are_not_read(tmp_path):
    write(tmp_path / "t", ("a", 1, "x"))
    write(tmp_path / "t", ("b", 1, "x"), mode="overwrite")
    assert [row["u"] for row in rows(source(tmp_path / "t"))] == ["b"]


def test_a_given_version_is_read_as_it_was(tmp_path):
    write(tmp_path / "t", ("a", 1, "x"))
    write(tmp_path / "t", ("b", 1, "x"))
    assert [row["u"] for row in rows(source(tmp_path / "t", version=0))] == ["a"]


def test_partition_columns_come_from_the_log(tmp_path):
    write(tmp_path / "t", ("a", 1, "x"), ("b", 1, "x"), day=["1", "2 3/%"], partition_by=["day"])
    assert [row["day"] for row in rows(source(tmp_path / "t"))] == ["1", "2 3/%"]


def test_a_column_added_later_is_null_in_older_files(tmp_path):
    write(tmp_path / "t", ("a", 1, "x"))
    write(tmp_path / "t", ("b", 1, "x"), price=[2.5])
    assert [row["price"] for row in rows(source(tmp_path / "t"))] == [None, "2.5"]


def test_the_time_of_a_file_is_that_of_its_commit(tmp_path):
    write(tmp_path / "t", ("a", 1, "x"))
    (unit,) = plan_streams(source(tmp_path / "t"))["events"]
    (action,) = deltalake.DeltaTable(str(tmp_path / "t")).history()
    assert abs(unit.modified / 1000 - action["timestamp"]) < 60_000


def test_no_table_and_no_version_are_named(tmp_path):
    with pytest.raises(SourceError, match=r"there is no Delta table at .*nothing"):
        find_streams(source(tmp_path / "nothing"))
    write(tmp_path / "t", ("a", 1, "x"))
    with pytest.raises(SourceError, match=r"cannot be opened at version 9 \(source\.version\)"):
        find_streams(source(tmp_path / "t", version=9))


def test_a_missing_mapped_column_is_named(tmp_path):
    deltalake.write_deltalake(str(tmp_path / "t"), pa.table({"u": ["a"], "i": ["b"]}))
    with pytest.raises(SourceError, match=r"mapping\.time names the column 't'.*found: u, i"):
        plan_streams(source(tmp_path / "t"))


def test_deletion_vectors_cannot_be_read_file_by_file(tmp_path, monkeypatch):
    write(tmp_path / "t", ("a", 1, "x"))
    reason = (False, "the table uses deletionVectors")
    monkeypatch.setattr("truelift.logs.sources.delta_table.reads_directly", lambda _: reason)
    with pytest.raises(SourceError, match=r"file by file: the table uses deletionVectors"):
        find_streams(source(tmp_path / "t"))


def test_only_delta_tables_have_versions():
    with pytest.raises(ConfigError, match=r"source\.version: found 3"):
        SourceOptions(format="csv", version=3)
