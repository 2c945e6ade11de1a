"""A commit that another writer has overwritten is found out; the log's files are real."""

from __future__ import annotations

import json
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest

from truelift.errors import JobFailure
from truelift.lake import arrow_table, bucket_writes, writes
from truelift.lake.arrow_table import append_rows
from truelift.lake.commit_ids import commit_id_of, new_commit_id, require_commit, user_metadata
from truelift.lake.log import recent_commits
from truelift.lake.tables import TableSpec
from truelift.lake.writes import TableState

SPEC = TableSpec("ops.ingested_files", "a string", is_open=True, change_feed=True)
SLICED = TableSpec("silver.x", "a string, bucket int", partition_by=("bucket",))


def append(folder: Path, batch_id: str):
    return append_rows(str(folder), SPEC, pa.table({"a": ["x"]}), batch_id)


def log_file(folder: Path, version: int) -> Path:
    return folder / "_delta_log" / f"{version:020d}.json"


def overwrite(folder: Path, version: int) -> None:
    """What a second writer on S3 does: its commit takes the place of the first one's."""
    lines = [json.loads(line) for line in log_file(folder, version).read_text().splitlines()]
    for line in lines:
        if "commitInfo" in line:
            # Even with the same fingerprint: two runs of one job are two writers.
            metadata = json.loads(line["commitInfo"]["userMetadata"])
            line["commitInfo"]["userMetadata"] = user_metadata(new_commit_id(), metadata)
    log_file(folder, version).write_text("\n".join(json.dumps(line) for line in lines))


def overwritten_at_once(real, folder: Path):
    def write(*args, **options):
        made = real(*args, **options)
        newest = max(int(p.stem) for p in (folder / "_delta_log").glob("*.json"))
        overwrite(folder, newest)
        return made

    return write


def test_every_commit_has_an_id_of_its_own(tmp_path):
    made = [append(tmp_path, batch) for batch in ("one", "two")]
    assert made[0].id != made[1].id
    assert [commit_id_of(str(tmp_path), c.version) for c in made] == [c.id for c in made]
    assert [c.commit for c in recent_commits(str(tmp_path))] == [made[1].id, made[0].id]
    assert append(tmp_path, "two").id == ""  # nothing was written


def test_a_commit_that_another_took_at_once_is_a_failure(tmp_path, monkeypatch):
    append(tmp_path, "one")
    real = overwritten_at_once(deltalake.write_deltalake, tmp_path)
    monkeypatch.setattr(deltalake, "write_deltalake", real)
    with pytest.raises(JobFailure, match=r"ops\.ingested_files: found another writer's commit"):
        append(tmp_path, "two")


def test_files_of_tasks_whose_commit_another_took_at_once_are_a_failure(tmp_path, monkeypatch):
    columns = deltalake.Schema.from_arrow(pa.schema({"a": pa.string(), "bucket": pa.int32()}))
    monkeypatch.setattr(bucket_writes, "_delta_schema", lambda spec: columns)  # Spark reads DDL
    bucket_writes.commit_files(str(tmp_path), SLICED, [], "a", TableState(), {})
    state = writes.table_state(str(tmp_path))
    real = overwritten_at_once(deltalake.DeltaTable.create_write_transaction, tmp_path)
    monkeypatch.setattr(deltalake.DeltaTable, "create_write_transaction", real)
    with pytest.raises(JobFailure, match=r"silver\.x: found another writer's commit in version 1"):
        bucket_writes.commit_files(str(tmp_path), SLICED, [], "b", state, {})


def test_a_commit_that_is_taken_later_is_found_when_the_job_ends(tmp_path):
    made = append(tmp_path, "one")
    require_commit(str(tmp_path), SPEC.name, made.version, made.id)
    overwrite(tmp_path, made.version)
    with pytest.raises(JobFailure, match=r"version 0 of .*one job at a time write"):
        require_commit(str(tmp_path), SPEC.name, made.version, made.id)


def test_a_commit_that_is_gone_is_not_ours(tmp_path):
    made = append(tmp_path, "one")
    with pytest.raises(JobFailure, match="version 7"):
        require_commit(str(tmp_path), SPEC.name, 7, made.id)


def test_commits_of_others_have_no_id_and_are_no_error_to_read(tmp_path):
    deltalake.write_deltalake(str(tmp_path), pa.table({"a": ["x"]}))
    assert commit_id_of(str(tmp_path), 0) is None
    assert recent_commits(str(tmp_path))[0].commit is None


def test_what_ends_a_line_elsewhere_does_not_end_a_line_of_the_log(tmp_path):
    log_file(tmp_path, 0).parent.mkdir()
    entry = {"operation": "\u2028\x85", "userMetadata": user_metadata("i", {})}
    log_file(tmp_path, 0).write_text(json.dumps({"commitInfo": entry}, ensure_ascii=False))
    assert commit_id_of(str(tmp_path), 0) == "i"


def test_the_id_stands_beside_what_else_a_commit_carries():
    assert json.loads(user_metadata("i", {"fingerprint": "f"})) == {
        "fingerprint": "f",
        "commit": "i",
    }


def test_arrow_tables_and_spark_tables_sign_alike(tmp_path):
    assert arrow_table.user_metadata is writes.user_metadata is bucket_writes.user_metadata
