"""Small tables without Spark: rows come in once, and the files of a commit are told apart."""

from __future__ import annotations

import pyarrow as pa

from truelift.lake import arrow_table
from truelift.lake.arrow_table import added_rows, append_rows, read_rows
from truelift.lake.log import open_table, recent_commits


def append(uri, batch_id, **columns):
    return append_rows(str(uri), pa.table({k: list(v) for k, v in columns.items()}), batch_id)


def added(uri, version, since, columns=("a",)):
    batches = added_rows(str(uri), columns, version, since)
    return sorted(row["a"] for batch in batches for row in batch.to_pylist())


def test_no_table_has_no_rows(tmp_path):
    assert read_rows(str(tmp_path / "t")) is None


def test_a_batch_is_appended_once_and_signed(tmp_path):
    assert [append(tmp_path / "t", b, a="x") for b in ("1", "1", "2", "1")] == [
        True, False, True, False,
    ]  # fmt: skip
    assert read_rows(str(tmp_path / "t"))["a"].to_pylist() == ["x", "x"]
    assert [c.fingerprint for c in recent_commits(str(tmp_path / "t"))] == ["2", "1"]


def test_new_columns_join(tmp_path):
    append(tmp_path / "t", "1", a="x")
    append(tmp_path / "t", "2", a="y", b="z")
    rows = read_rows(str(tmp_path / "t")).to_pylist()
    assert sorted(rows, key=str) == [{"a": "x", "b": None}, {"a": "y", "b": "z"}]


def test_rows_between_two_versions_are_those_of_the_files_between(tmp_path):
    for batch in "xyz":
        append(tmp_path / "t", batch, a=batch)
    assert added(tmp_path / "t", 2, 1) == ["z"]
    assert added(tmp_path / "t", 2, 0) == ["y", "z"]
    assert added(tmp_path / "t", 1, -1) == ["x", "y"]


def test_a_column_that_no_file_has_is_left_out(tmp_path):
    append(tmp_path / "t", "1", a="x")
    assert added(tmp_path / "t", 0, -1, ("a", "b")) == ["x"]


def test_many_small_files_become_one_and_repeats_are_still_known(tmp_path, monkeypatch):
    monkeypatch.setattr(arrow_table, "_COMPACT_EVERY", 5)
    for number in range(6):
        append(tmp_path / "t", str(number), a="x")
    assert len(open_table(str(tmp_path / "t")).file_uris()) == 2
    assert not append(tmp_path / "t", "0", a="x")
    assert read_rows(str(tmp_path / "t")).num_rows == 6
