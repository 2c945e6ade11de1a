"""Simulated traffic through Spark: the rows of the kernel in any layout, and files of them."""

import csv
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from truelift.cli import main
from truelift.config import load_settings
from truelift.errors import ConfigError
from truelift.pipeline import step_named
from truelift.simulate.traffic.memory import simulate_traffic
from truelift.simulate.traffic.plan import TrafficPlan
from truelift.simulate.traffic.spark import traffic_frame, write_traffic
from truelift.simulate.traffic.text import EVENT_COLUMNS, TRUTH_SCHEMA
from truelift.simulate.traffic.world import BOT_KINDS, DIRT_KINDS, TrafficWorld

# What cleaning says of a row, where that is more than the name of its fault.
CALLED = {
    "negative_quantity": {"return_without_purchase"},
    "return_of_purchase": {"return_of_purchase", "negative_quantity_allowed"},
    "time_in_future": {"time_in_future", "clock_skew"},
}
ROWS = 50_000
WORLD = TrafficWorld(top_user_share=0.2, days=7)
PLAN = TrafficPlan(ROWS, WORLD, seed=9)


@pytest.fixture(scope="module")
def traffic():
    return simulate_traffic(ROWS, WORLD, seed=9)


def by_number(table):
    return table.sort_by("row").combine_chunks()


@pytest.mark.parametrize("rows_per_task", [20_000, 500_000])
def test_the_frame_has_the_rows_of_the_memory_whatever_the_tasks(spark, traffic, rows_per_task):
    frame = traffic_frame(spark, PLAN, rows_per_task)
    found = pa.table(frame.toArrow()).cast(pa.schema([*traffic.events.schema, *TRUTH_SCHEMA]))
    wanted = traffic.truth
    for place, name in enumerate(EVENT_COLUMNS):
        wanted = wanted.add_column(place, name, traffic.events[name])
    assert by_number(found).equals(by_number(wanted))


def texts(file):
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.reader(lines))[1:]


@pytest.mark.parametrize("files_by", ["size", "day"])
@pytest.mark.parametrize("rows_per_task", [20_000, 500_000])
def test_the_files_hold_the_rows_whatever_the_layout(
    spark, traffic, tmp_path, files_by, rows_per_task
):
    out = tmp_path / "logs"
    written = write_traffic(spark, PLAN, str(out), "csv", files_by, rows_per_task)
    files = sorted((out / "events").rglob("*.csv"))
    rows = [row for file in files for row in texts(file)]
    assert written.rows == len(rows) == ROWS
    assert written.files == len(files) >= (7 if files_by == "day" else 1)
    assert written.bytes == sum(file.stat().st_size for file in files)
    whole = [tuple(row) for row in rows if len(row) == len(EVENT_COLUMNS)]
    memory = [tuple(v or "" for v in row.values()) for row in traffic.events.to_pylist()]
    assert sorted(whole) == sorted(memory)


def test_the_truth_is_found_by_file_and_row(spark, traffic, tmp_path):
    write_traffic(spark, PLAN, str(tmp_path / "logs"), "parquet", "day", 20_000)
    truth = [pq.read_table(f) for f in sorted((tmp_path / "logs/truth").rglob("*.parquet"))]
    for part in truth:
        (name,) = set(part["file"].to_pylist())
        events = pq.read_table(tmp_path / "logs" / name)
        assert part["event_id"].equals(events["event_id"])
        assert part["file_row"].to_pylist() == list(range(events.num_rows))
    together = pa.concat_tables(truth).select(TRUTH_SCHEMA.names)
    assert by_number(together).equals(by_number(traffic.truth))


def test_a_folder_with_logs_is_not_written_over(spark, tmp_path):
    write_traffic(spark, TrafficPlan(2_000), str(tmp_path), "jsonl")
    with pytest.raises(ConfigError, match="holds events and truth already"):
        write_traffic(spark, TrafficPlan(2_000), str(tmp_path), "jsonl")


def test_unknown_formats_and_too_many_days_are_refused(spark, tmp_path):
    with pytest.raises(ConfigError, match="Found format 'xml'"):
        write_traffic(spark, PLAN, str(tmp_path), "xml")
    years = TrafficPlan(2_000, TrafficWorld(days=2_000))
    with pytest.raises(ConfigError, match=r"traffic\.days: found 2000"):
        write_traffic(spark, years, str(tmp_path), "csv", "day")
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_a_data_set_and_says_how_to_go_on(spark, tmp_path, capsys):
    out = tmp_path / "logs"
    assert main(["simulate_logs", "--rows", "1e4", "--out", str(out), "--set", "days=3"]) == 0
    said = capsys.readouterr().out
    assert "10,000 rows" in said and "rows/s" in said
    assert f"truelift run_pipeline --dataset {out}/dataset.yaml" in said
    settings = load_settings(dataset=f"{out}/dataset.yaml")
    assert settings.source.path == f"{out}/events"
    assert settings.source.items.path == f"{out}/items.csv"


def test_cleaning_and_sessions_find_the_truth_and_nothing_else(
    spark, tmp_path, make_settings, make_job
):
    # Outliers stand out among many purchases of an item only: so few items.
    plan = TrafficPlan(20_000, TrafficWorld(items=1_000), seed=3)
    write_traffic(spark, plan, str(tmp_path / "logs"))
    settings = make_settings("buckets=5", dataset=f"{tmp_path}/logs/dataset.yaml")
    jobs = {}
    for name in ("ingest", "clean", "sessionize"):
        jobs[name] = make_job(name, settings)
        step_named(name).run(jobs[name])
    lake = jobs["clean"].lake
    place = ("source_file", "source_row")
    marks = {
        **{
            (r[0], r[1]): r[2]
            for r in lake.read("silver.events").select(*place, "labels").collect()
        },
        **{
            (r[0], r[1]): r[2]
            for r in lake.read("silver.quarantine").select(*place, "reasons").collect()
        },
    }
    truth = pq.read_table(tmp_path / "logs/truth").to_pylist()
    assert len(marks) == len(truth)
    right, said, true = Counter(), Counter(), Counter()
    for row in truth:
        known = row["dirt"] or row["bot"]
        expected = CALLED.get(known, {known} - {None})
        found = set(marks[f"{tmp_path}/logs/{row['file']}", row["file_row"]])
        true.update(expected)
        said.update(found)
        right.update(expected & found)
    # Every fault is there, if not under its own name.
    assert {*DIRT_KINDS, *BOT_KINDS} - set(true) == set(CALLED) - set().union(*CALLED.values())
    assert set(said) == set(true)
    figures = {name: (right[name] / said[name], right[name] / true[name]) for name in true}
    assert figures == dict.fromkeys(true, (1.0, 1.0)), "precision and recall by rule"
    sessions = {(r["true_user"], r["true_session"]) for r in truth if r["true_session"] is not None}
    assert lake.read("silver.sessions").count() == len(sessions)
