"""Files that tasks write themselves: the rows of Spark's writer, seen all or not at all."""

from __future__ import annotations

import datetime
import os
import shutil
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from tests.spark.logs_source import held, rows_of
from tests.spark.shop_lake import fill_lake
from truelift.config import load_settings
from truelift.errors import InvariantError, JobFailure
from truelift.lake import Lake, bucket_writes
from truelift.lake.maintenance import maintain
from truelift.lake.tables import TABLES, table_spec
from truelift.lake.writes import table_state
from truelift.logs.sessions.kernel import SESSION_SCHEMA, SessionKernel, event_columns
from truelift.settings import SessionOptions
from truelift.simulate.logs import simulate_logs

NAME = "silver.sessions"
OPTIONS = SessionOptions()


class Failing(SessionKernel):
    """Writes some buckets' files and breaks in another."""

    def __call__(self, bucket, tables):
        if bucket == 3:
            raise InvariantError("bucket 3 breaks")
        return super().__call__(bucket, tables)


class Doubled(SessionKernel):
    """Other rows, to see which are there."""

    def __call__(self, bucket, tables):
        rows = super().__call__(bucket, tables)
        return rows.set_column(
            rows.schema.get_field_index("value"),
            SESSION_SCHEMA.field("value"),
            pc.multiply(rows["value"], 2.0),
        )


@pytest.fixture(scope="module")
def filled(spark, tmp_path_factory):
    """A lake with events of several months and no sessions, made once."""
    settings = load_settings("local", "complete_journey", (), str(tmp_path_factory.mktemp("lake")))
    lake = Lake.open(settings, spark)
    fill_lake(lake, simulate_logs(users=40, days=70, seed=4), settings, streams=False)
    shutil.rmtree(lake.uri(NAME))
    return lake.root


@pytest.fixture
def shop(lake, filled):
    """That lake in a place of its own, and the plan to read its events by."""
    shutil.copytree(filled, lake.root, dirs_exist_ok=True)
    return lake, {"events": lake.plan("silver.events", event_columns(OPTIONS))}


def end_of_time():
    return int(datetime.datetime(2100, 1, 1).timestamp()) * 1_000_000


def kernel(kind=SessionKernel):
    return kind(OPTIONS, end_of_time(), "month")


def content(frame):
    """Rows as Spark reads them."""
    maps_as_text = frame.withColumn("event_types", pc_text("event_types"))
    return rows_of(maps_as_text, *table_spec(NAME).schema().names)


def rows_held(lake):
    """Rows of the newest version; that Spark reads the same is a test of its own."""
    return rows_of(held(lake, NAME), *table_spec(NAME).schema().names)


def pc_text(column):
    from pyspark.sql import functions as F

    return F.to_json(column)


def test_the_rows_are_those_of_sparks_writer(shop):
    lake, plans = shop
    lake.replace_by_kernel(NAME, kernel(), plans, "one", lake.state(NAME), {"left": 1})
    through_spark = lake.map_buckets(kernel(), plans, table_spec(NAME).schema())
    found = lake.read(NAME)
    assert found.schema.simpleString() == through_spark.schema.simpleString()
    assert content(found) == content(through_spark)
    state = lake.state(NAME)
    assert (state.sequence, dict(state.notes)) == (1, {"left": 1})
    metadata = DeltaTable(lake.uri(NAME)).metadata()
    assert tuple(metadata.partition_columns) == TABLES[NAME].partition_by
    assert metadata.configuration == TABLES[NAME].properties()


def test_sparks_writer_and_tasks_take_turns_on_one_table(shop):
    lake, plans = shop
    frame = lake.map_buckets(kernel(), plans, table_spec(NAME).schema())
    lake.replace_slices(NAME, frame, "spark", lake.state(NAME), {})
    calm = rows_held(lake)
    commit = lake.replace_by_kernel(NAME, kernel(Doubled), plans, "tasks", lake.state(NAME), {})
    assert commit.rows == len(calm)
    assert rows_held(lake) != calm
    lake.replace_slices(NAME, frame, "spark again", lake.state(NAME), {})
    assert rows_held(lake) == calm
    assert lake.state(NAME).sequence == 3


def test_only_the_slices_are_replaced(shop):
    lake, plans = shop
    lake.replace_by_kernel(NAME, kernel(), plans, "one", lake.state(NAME), {})
    before = totals(lake)
    (bucket, periods), *_ = lake.plan(NAME).slices().items()
    narrow = {"events": plans["events"].within({bucket: ("all",)})}
    slices = {period: [bucket] for period in periods}
    lake.replace_by_kernel(NAME, kernel(Doubled), narrow, "two", lake.state(NAME), {}, slices)
    after = totals(lake)
    changed = {key for key in before if after[key] != before[key]}
    assert before.keys() == after.keys()
    assert len(before) > 10
    assert changed == {(bucket, period) for period in periods}


def totals(lake):
    """Values added up by bucket and period."""
    found = held(lake, NAME).group_by(["bucket", "period"]).aggregate([("value", "sum")])
    return {(row["bucket"], row["period"]): row["value_sum"] for row in found.to_pylist()}


def test_a_kernel_that_breaks_leaves_the_table_as_it_was(shop):
    lake, plans = shop
    lake.replace_by_kernel(NAME, kernel(), plans, "one", lake.state(NAME), {})
    before, version = rows_held(lake), lake.version(NAME)
    with pytest.raises(Exception, match="bucket 3 breaks"):
        lake.replace_by_kernel(NAME, kernel(Failing), plans, "two", lake.state(NAME), {})
    assert lake.version(NAME) == version
    assert rows_held(lake) == before


@pytest.mark.parametrize("first", [True, False])
def test_of_two_runs_from_one_state_the_second_is_refused(shop, first):
    lake, plans = shop
    if not first:
        lake.replace_by_kernel(NAME, kernel(), plans, "zero", lake.state(NAME), {})
    state = lake.state(NAME)
    lake.replace_by_kernel(NAME, kernel(Doubled), plans, "one", state, {})
    theirs = rows_held(lake)
    with pytest.raises(JobFailure, match="another run wrote to it meanwhile"):
        lake.replace_by_kernel(NAME, kernel(), plans, "two", state, {})
    assert rows_held(lake) == theirs
    assert table_state(lake.uri(NAME)).sequence == state.sequence + 1


def test_bounds_in_the_log_let_readers_leave_files_out_and_lose_no_row(shop):
    lake, plans = shop
    lake.replace_by_kernel(NAME, kernel(), plans, "one", lake.state(NAME), {})
    rows = lake.read(NAME)
    starts = sorted(row.start for row in rows.select("start").collect())
    for moment in (starts[0], starts[len(starts) // 2], starts[-1]):
        literal = f"start = timestamp_micros({int(moment.timestamp() * 1e6 + 0.5)})"
        found = rows.filter(literal).count()
        assert found == sum(start == moment for start in starts)
    actions = pa.table(DeltaTable(lake.uri(NAME)).get_add_actions(flatten=True)).to_pylist()
    assert all(action["num_records"] > 0 for action in actions)
    assert all(action["min.start"] <= action["max.start"] for action in actions)
    early = rows.filter(rows.end < starts[len(starts) // 2]).inputFiles()
    assert len(early) <= len(actions)


def test_maintenance_takes_nothing_from_a_reader_or_from_a_writer_that_has_not_committed(
    shop, monkeypatch
):
    lake, plans = shop
    lake.replace_by_kernel(NAME, kernel(Doubled), plans, "one", lake.state(NAME), {})
    reader, doubled = lake.read(NAME), content(lake.read(NAME))
    lake.replace_by_kernel(NAME, kernel(), plans, "two", lake.state(NAME), {})
    # What a killed run left eight days ago goes; what is younger than the retention stays.
    left = Path(lake.uri(NAME)) / "left-behind.parquet"
    shutil.copy(next(Path(lake.uri(NAME)).rglob("part-*.parquet")), left)
    os.utime(left, (time.time() - 8 * 86_400,) * 2)
    really, seen = bucket_writes.commit_files, []

    def tended(*args):
        seen.append(maintain(lake))
        return really(*args)

    monkeypatch.setattr(bucket_writes, "commit_files", tended)
    lake.replace_by_kernel(NAME, kernel(Doubled), plans, "three", lake.state(NAME), {})
    (done,) = seen
    assert {t.name: t.files_deleted for t in done.tables} == {"silver.events": 0, NAME: 1}
    assert not left.exists()
    assert content(reader) == doubled
    assert content(lake.read(NAME)) == doubled
