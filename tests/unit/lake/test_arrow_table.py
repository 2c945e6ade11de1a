"""Small tables without Spark: rows come in once, and the files of a commit are told apart."""

from __future__ import annotations

import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from truelift.errors import JobFailure
from truelift.lake import arrow_table
from truelift.lake.arrow_table import (
    added_rows,
    append_files,
    append_rows,
    keep_small,
    read_rows,
    takes_files,
    takes_rows,
)
from truelift.lake.data_files import SliceWriter
from truelift.lake.log import open_table, recent_commits
from truelift.lake.tables import TableSpec

SPEC = TableSpec("ops.ingested_files", "a string", is_open=True, change_feed=True)


def append(uri, batch_id, **columns):
    """Whether the rows were written."""
    rows = pa.table({name: pa.array(list(values), pa.string()) for name, values in columns.items()})
    return not append_rows(str(uri), SPEC, rows, batch_id).skipped


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
    commits = recent_commits(str(tmp_path / "t"))
    assert [(c.fingerprint, c.rows) for c in commits] == [("2", 1), ("1", 1)]


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
    uri = str(tmp_path / "t")
    for number in range(6):
        keep_small(uri, append_rows(uri, SPEC, pa.table({"a": ["x"]}), str(number)))
    assert len(open_table(uri).file_uris()) == 2
    assert not append(tmp_path / "t", "0", a="x")
    assert read_rows(str(tmp_path / "t")).num_rows == 6


def test_no_rows_are_a_commit_with_a_fingerprint_too(tmp_path):
    assert [append(tmp_path / "t", b, a="") for b in ("1", "2", "1")] == [True, True, False]
    assert [c.fingerprint for c in recent_commits(str(tmp_path / "t"))] == ["2", "1"]
    assert read_rows(str(tmp_path / "t")).num_rows == 0


def test_a_stream_is_cut_into_row_groups_that_tasks_can_share(tmp_path, monkeypatch):
    monkeypatch.setattr(arrow_table, "_GROUP_ROWS", 10)
    table = pa.table({"a": [str(n) for n in range(35)]})
    stream = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=7))
    append_rows(str(tmp_path / "t"), SPEC, stream, "1")
    (file,) = open_table(str(tmp_path / "t")).file_uris()
    assert pq.read_metadata(file.removeprefix("file://")).num_row_groups == 4


def test_the_table_has_its_properties_from_the_start(tmp_path):
    append(tmp_path / "t", "1", a="x")
    table = open_table(str(tmp_path / "t"))
    assert table.metadata().configuration["delta.enableChangeDataFeed"] == "true"
    assert takes_rows(str(tmp_path / "t"))
    assert takes_rows(str(tmp_path / "nothing"))


def overtaken(uri, batch_id, other):
    """Append a batch while another run appends a batch of its own and is first."""
    table = pa.table({"a": ["x"]})

    def batches():
        run = threading.Thread(target=append, args=(uri, other), kwargs={"a": "y"})
        run.start()
        run.join()
        yield from table.to_batches()

    stream = pa.RecordBatchReader.from_batches(table.schema, batches())
    return append_rows(str(uri), SPEC, stream, batch_id)


@pytest.mark.parametrize("is_there", [True, False])
def test_of_two_runs_with_one_batch_the_second_leaves_it_out(tmp_path, is_there):
    if is_there:
        append(tmp_path / "t", "0", a="")
    assert overtaken(tmp_path / "t", "1", "1").skipped
    assert read_rows(str(tmp_path / "t"))["a"].to_pylist() == ["y"]


def test_of_two_runs_that_make_a_table_the_second_says_so(tmp_path):
    with pytest.raises(JobFailure, match="another run wrote to it meanwhile"):
        overtaken(tmp_path / "t", "1", "2")
    assert read_rows(str(tmp_path / "t"))["a"].to_pylist() == ["y"]


def test_batches_of_two_runs_both_join_a_table(tmp_path):
    append(tmp_path / "t", "0", a="")
    assert overtaken(tmp_path / "t", "1", "2").version == 2
    assert sorted(read_rows(str(tmp_path / "t"))["a"].to_pylist()) == ["x", "y"]


def written(uri, **columns):
    """Columns and data files of rows that no version has yet."""
    rows = pa.table({name: pa.array(list(values), pa.string()) for name, values in columns.items()})
    writer = SliceWriter(str(uri), rows.schema, ())
    return rows.schema, [*writer.add(rows), *writer.close()]


def test_files_of_tasks_and_rows_make_one_table(tmp_path):
    uri = tmp_path / "t"
    assert append_files(str(uri), SPEC, *written(uri, a="xy"), "1").rows == 2
    append(uri, "2", a="z")
    assert append_files(str(uri), SPEC, *written(uri, a="v", b="w"), "3").rows == 1
    again = append_files(str(uri), SPEC, *written(uri, a="v", b="w"), "3")
    assert (again.skipped, again.rows) == (True, 0)
    rows = read_rows(str(uri)).to_pylist()
    assert sorted((r["a"], r["b"]) for r in rows if r["b"]) == [("v", "w")]
    assert sorted(r["a"] for r in rows) == ["v", "x", "y", "z"]
    assert [c.fingerprint for c in recent_commits(str(uri)) if c.fingerprint] == ["3", "2", "1"]
    table = open_table(str(uri))
    assert table.metadata().configuration["delta.enableChangeDataFeed"] == "true"
    assert takes_files(str(uri))
    assert takes_files(str(tmp_path / "nothing"))


def test_no_files_are_a_commit_with_a_fingerprint_too(tmp_path):
    schema, _ = written(tmp_path / "t", a="x")
    found = [append_files(str(tmp_path / "t"), SPEC, schema, [], b).skipped for b in "121"]
    assert found == [False, False, True]
    assert read_rows(str(tmp_path / "t")).num_rows == 0


def overtaken_by_files(uri, batch_id, other, monkeypatch):
    """Append files of a batch while another run appends a batch of its own and is first."""
    files, really = written(uri, a="x"), arrow_table._has_seen
    rivals = iter([other])

    def seen(table, application):
        found = really(table, application)
        for rival in rivals:
            append(uri, rival, a="y")
        return found

    monkeypatch.setattr(arrow_table, "_has_seen", seen)
    return append_files(str(uri), SPEC, *files, batch_id)


@pytest.mark.parametrize("is_there", [True, False])
def test_files_of_a_batch_that_another_run_has_appended_are_left_out(
    tmp_path, is_there, monkeypatch
):
    if is_there:
        append(tmp_path / "t", "0", a="")
    assert overtaken_by_files(tmp_path / "t", "1", "1", monkeypatch).skipped
    assert read_rows(str(tmp_path / "t"))["a"].to_pylist() == ["y"]


def test_files_for_a_table_that_another_run_has_made_meanwhile_are_refused(tmp_path, monkeypatch):
    with pytest.raises(JobFailure, match="another run wrote to it meanwhile"):
        overtaken_by_files(tmp_path / "t", "1", "2", monkeypatch)
    assert read_rows(str(tmp_path / "t"))["a"].to_pylist() == ["y"]


def test_files_and_rows_of_two_runs_both_join_a_table(tmp_path, monkeypatch):
    append(tmp_path / "t", "0", a="")
    assert not overtaken_by_files(tmp_path / "t", "1", "2", monkeypatch).skipped
    assert sorted(read_rows(str(tmp_path / "t"))["a"].to_pylist()) == ["x", "y"]
