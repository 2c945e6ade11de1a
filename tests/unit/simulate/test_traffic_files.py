"""Files of the traffic hold its rows, broken lines included, and say which is which."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs as pafs

from truelift.cli import main
from truelift.errors import ConfigError
from truelift.simulate.traffic.block import traffic_block
from truelift.simulate.traffic.dataset import dataset_yaml, item_table, run_command
from truelift.simulate.traffic.job import row_count, world_of
from truelift.simulate.traffic.memory import without_broken
from truelift.simulate.traffic.parts import PartWriter, by_day
from truelift.simulate.traffic.plan import TrafficPlan
from truelift.simulate.traffic.tasks import blocks_a_task, blocks_of_tasks, write_parts
from truelift.simulate.traffic.text import EVENT_COLUMNS
from truelift.simulate.traffic.world import TrafficWorld

PLAN = TrafficPlan(40_000, seed=6)


def write(folder, form):
    writer = PartWriter(pafs.LocalFileSystem(), str(folder), "part-0", form, "a")
    for block in range(PLAN.blocks):
        writer.append(traffic_block(PLAN, block))
    return writer.close()


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as lines:
        header, *rows = csv.reader(lines)
    return header, rows


def expected():
    return [row for block in range(PLAN.blocks) for row in traffic_block(PLAN, block).to_pylist()]


def test_a_csv_file_has_every_row_and_shorter_lines_for_broken_ones(tmp_path):
    record = write(tmp_path, "csv")
    header, rows = read_csv(tmp_path / "events/part-0.csv")
    truth = pq.read_table(tmp_path / "truth/part-0.parquet").to_pylist()
    assert tuple(header) == EVENT_COLUMNS
    assert record["rows"] == len(rows) == len(truth) == 40_000
    assert record["bytes"] == (tmp_path / "events/part-0.csv").stat().st_size
    by_number = {row["row"]: row for row in expected()}
    for values, known in zip(rows, truth, strict=True):
        row = [by_number[known["row"]][name] or "" for name in EVENT_COLUMNS]
        assert values == (row[:5] if known["dirt"] == "corrupt_row" else row)
    assert [r["file_row"] for r in truth] == list(range(40_000))
    assert {r["file"] for r in truth} == {"events/part-0.csv"}


def test_json_lines_hold_every_row_and_broken_objects(tmp_path):
    write(tmp_path, "jsonl")
    lines = (tmp_path / "events/part-0.jsonl").read_text(encoding="utf-8").splitlines()
    truth = pq.read_table(tmp_path / "truth/part-0.parquet").to_pylist()
    by_number = {row["row"]: row for row in expected()}
    for line, known in zip(lines, truth, strict=True):
        if known["dirt"] == "corrupt_row":
            with pytest.raises(json.JSONDecodeError):
                json.loads(line)
        else:
            row = by_number[known["row"]]
            assert json.loads(line) == {name: row[name] for name in EVENT_COLUMNS}


def test_parquet_files_hold_all_rows_but_the_broken_ones(tmp_path):
    record = write(tmp_path, "parquet")
    table = pq.read_table(tmp_path / "events/part-0.parquet")
    whole = [without_broken(traffic_block(PLAN, block)) for block in range(PLAN.blocks)]
    assert table.num_rows == record["rows"] == sum(part.num_rows for part in whole) < 40_000
    ids = [i for part in whole for i in part["event_id"].to_pylist()]
    assert table["event_id"].to_pylist() == ids


def test_files_have_their_names_only_when_they_are_whole(tmp_path):
    writer = PartWriter(pafs.LocalFileSystem(), str(tmp_path), "part-0", "csv", "a")
    writer.append(traffic_block(PLAN, 0))
    assert [p.name for p in (tmp_path / "events").iterdir()] == [".part-0.csv.a"]
    writer.abandon()
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_days_of_receipt_part_the_rows():
    table = traffic_block(PLAN, 0)
    parts = dict(by_day(table))
    assert sum(part.num_rows for part in parts.values()) == table.num_rows
    for day, part in parts.items():
        assert all(text.startswith(day) for text in part["received"].to_pylist())
    assert list(parts) == sorted(parts) and len(parts) >= 28


def test_the_yaml_is_a_data_set_that_the_configuration_reads(tmp_path):
    from truelift.config import load_settings

    file = tmp_path / "dataset.yaml"
    file.write_text(dataset_yaml(PLAN, str(tmp_path), "csv"), encoding="utf-8")
    settings = load_settings(dataset=str(file))
    assert settings.source.path == f"{tmp_path}/events"
    assert settings.clean.min_time == "2023-12-31"
    mapping = settings.source.mapping
    assert {mapping.user, mapping.item, mapping.time, mapping.event_id} <= set(EVENT_COLUMNS)
    assert run_command(str(file)) == f"truelift run_pipeline --dataset {file}"
    assert "copy s3://b/dataset.yaml" in run_command("s3://b/dataset.yaml")


def test_the_catalogue_lists_every_item_that_people_touch():
    sold = set(item_table(PLAN.world)["item"].to_pylist())
    touched = {
        row["item"]
        for row in expected()
        if row["dirt"] not in ("negative_quantity",) and row["item"]
    }
    assert touched <= sold and len(sold) == 5_000


def test_numbers_of_rows_are_read_as_people_write_them():
    assert [row_count(t) for t in ("10000", "1e6", "2_000_000")] == [10_000, 10**6, 2 * 10**6]
    for text in ("many", "1.5", "-3"):
        with pytest.raises(ConfigError, match="expected a number of rows"):
            row_count(text)


def test_the_world_takes_nested_keys_and_refuses_unknown_ones():
    world = world_of(["days=7", "dirt.duplicate=0.2", "first_day=2025-06-01"])
    assert (world.days, world.dirt.duplicate, world.first_day) == (7, 0.2, "2025-06-01")
    assert world_of([]) == TrafficWorld()
    with pytest.raises(ConfigError, match=r"Did you mean 'traffic\.dirt\.misclick'"):
        world_of(["dirt.misclic=0.1"])
    with pytest.raises(ConfigError, match="expected key=value"):
        world_of(["days"])


def test_the_command_refuses_too_few_rows_in_one_line_and_before_spark(tmp_path, capsys):
    assert main(["simulate_logs", "--rows", "10", "--out", str(tmp_path / "logs")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("truelift: rows: found 10, expected at least 2000")
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize("rows_per_task", [20_000, 1_000_000])
@pytest.mark.parametrize("files_by", ["size", "day"])
def test_the_files_of_any_number_of_tasks_hold_the_same_rows(tmp_path, rows_per_task, files_by):
    size = blocks_a_task(rows_per_task)
    tasks = pa.RecordBatch.from_pydict({"id": list(range(-(-PLAN.blocks // size)))})
    records = [
        record
        for blocks in blocks_of_tasks(PLAN, rows_per_task, [tasks])
        for record in write_parts(PLAN, blocks, str(tmp_path), "csv", files_by, rows_per_task)
    ]
    assert len({record["file"] for record in records}) == len(records)
    found = [tuple(row) for r in records for row in read_csv(tmp_path / r["file"])[1]]
    rows = [tuple(row[name] or "" for name in EVENT_COLUMNS) for row in expected()]
    assert sorted(row for row in found if len(row) > 5) == sorted(
        row for row, known in zip(rows, expected(), strict=True) if known["dirt"] != "corrupt_row"
    )
    assert len(found) == sum(record["rows"] for record in records) == 40_000
