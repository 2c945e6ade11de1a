"""Looking into the quarantine, and tending the tables."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.spark.logs_source import write_csv, write_dataset
from truelift.cli import main
from truelift.errors import ConfigError, DataError, TableError
from truelift.lake import Lake
from truelift.lake.maintenance import maintain
from truelift.logs.clean import clean
from truelift.logs.explain import example_of, explain_quarantine, meanings
from truelift.logs.ingest import ingest
from truelift.logs.neighbours.names import neighbour_labels
from truelift.logs.rules import LABELS, RULES


@pytest.fixture
def cleaned(tmp_path, make_settings, make_job):
    lines = ["a,x,2024-01-01,1,1", "a,x,2024-01-01,1,1", "b,x,noon,1,1", ",x,noon,1,1", "torn"]
    write_csv(tmp_path / "own" / "a.csv", *lines)
    source = {"path": str(tmp_path / "own" / "a.csv")}
    dataset = write_dataset(tmp_path / "own", source, clean={"max_quarantine_share": 1.0})
    settings = make_settings(dataset=dataset)
    for job in (ingest, clean):
        made = make_job(job.__name__, settings)
        job(made)
    return made.lake, dataset


def test_quarantine_is_explained_by_reason_count_meaning_and_example(cleaned):
    found = explain_quarantine(cleaned[0], examples=1)
    assert found.rows == 4
    counts = {reason.name: reason.rows for reason in found.reasons}
    assert counts == {"unreadable_time": 2, "corrupt_row": 1, "duplicate": 1, "missing_user": 1}
    text = repr(found)
    assert "unreadable_time  2 rows. The time is not in ``source.time_format``." in text
    assert "a.csv, row 2: i=x, q=1, t=noon, u=b, v=1" in text
    assert "_corrupt=torn" in text
    assert found.to_pandas().iloc[0].to_dict()["rows"] == 2


def test_a_long_field_of_an_example_is_cut_and_hides_no_other():
    agent = "Mozilla/5.0 " + "x" * 400
    row = {"source_file": "a.csv", "source_row": 7, "raw": {"agent": agent, "q": None, "u": "ann"}}
    text = example_of(row)
    assert text.startswith("a.csv, row 7: agent=Mozilla/5.0 xxx")
    assert text.endswith("…, q=, u=ann") and len(text) < 150
    torn = {**row, "raw": {"_corrupt": "y" * 250}}
    assert example_of(torn).endswith("_corrupt=" + "y" * 250)


def test_every_rule_has_a_meaning():
    known = meanings()
    assert {*RULES, *LABELS, *neighbour_labels(), "bot_declared"} <= set(known)
    assert all(known.values())


def test_what_a_cleaning_refused_is_explained_until_one_is_published(
    tmp_path, make_settings, make_job
):
    path = tmp_path / "own" / "a.csv"
    write_csv(
        path, "a,x,2024-06-01,1,1", "b,x,2024-06-01,1,1", "c,x,2019-06-01,1,1", "d,x,noon,1,1"
    )
    os.utime(path, (1_577_836_800, 1_577_836_800))  # 2020
    dataset = write_dataset(tmp_path / "own", {"path": str(path)})
    settings = make_settings(dataset=dataset)
    ingest(make_job("ingest", settings))
    job = make_job("clean", settings)
    with pytest.raises(DataError) as caught:
        clean(job)
    for part in (
        "'2024-06-01'",
        "2020-01-01 00:00 UTC",
        "set clean.times.max_time",
        "explain-quarantine",
    ):
        assert part in str(caught.value)
    found = explain_quarantine(job.lake)
    assert {r.name: r.rows for r in found.reasons} == {"time_in_future": 2, "unreadable_time": 1}
    assert (found.table, found.rows) == ("ops.refused", 3)
    assert "ops.refused, version 0: 3 rows, which the last 'clean' refused" in repr(found)
    assert job.lake.version("silver.events") is None
    better = replace(settings, clean=replace(settings.clean, max_time="2024-12-31"))
    clean(make_job("clean", better, job.lake))
    found = explain_quarantine(job.lake)
    assert found.table == "silver.quarantine"
    assert {r.name: r.rows for r in found.reasons} == {"unreadable_time": 1}


def test_the_command_prints_the_explanation(cleaned, capsys):
    lake, dataset = cleaned
    assert main(["explain-quarantine", "--dataset", dataset, "--lake", lake.root]) == 0
    assert "missing_user  1 rows. The user is empty." in capsys.readouterr().out


def test_a_lake_that_was_never_cleaned_has_nothing_to_explain(lake):
    with pytest.raises(TableError, match=r"has no silver\.quarantine yet"):
        explain_quarantine(lake)


def test_maintenance_brings_files_together_and_says_so(spark, lake):
    schema = "x string, source_file string, source_row bigint, file_time timestamp, batch_id string"
    for number in range(3):
        frame = spark.createDataFrame([("a", "f", number, None, "b")], schema)
        lake.append("bronze.events", frame, f"b{number}")
    done = maintain(lake)
    (table,) = [t for t in done.tables if t.name == "bronze.events"]
    assert (table.files_before, table.files_after, table.files_deleted) == (3, 1, 0)
    assert lake.read("bronze.events").count() == 3
    forced = maintain(lake, retention_hours=0, force=True)
    (table,) = [t for t in forced.tables if t.name == "bronze.events"]
    assert table.files_deleted >= 3
    assert len(list(Path(lake.uri("bronze.events")).glob("*.parquet"))) == 1
    assert "bronze.events" in repr(forced)


def test_a_retention_that_could_hurt_running_jobs_is_refused(lake: Lake):
    with pytest.raises(ConfigError, match="expected at least 168"):
        maintain(lake, retention_hours=1)
