"""Sessions on real tables: equal whatever the layout, and equal to Spark's own."""

from __future__ import annotations

import datetime
import random
from dataclasses import replace

import pyarrow as pa
import pytest

import truelift as tl
from tests.spark.logs_source import held, rows_of, write_csv, write_dataset
from truelift.logs.clean import clean
from truelift.logs.ingest import ingest
from truelift.logs.results import SessionsResult
from truelift.logs.sessionize import sessionize
from truelift.settings import SessionOptions
from truelift.typed import from_plain

HEADER = "u,i,t,s"
MAPPING = {"user": "u", "item": "i", "time": "t", "session": "s"}


def random_lines(seed=3, users=12, events=400):
    """Events with many gaps of exactly the timeout, and some at one moment."""
    chance = random.Random(seed)
    lines, clock = [], dict.fromkeys(range(users), 1_704_067_200)
    for number in range(events):
        user = chance.randrange(users)
        clock[user] += chance.choice([0, 5, 1799, 1800, 1801, 7200])
        lines.append(f"user{user},item{number},{clock[user]},{user}-{number // 100}")
    return lines


@pytest.fixture
def made(tmp_path, make_settings, make_job):
    """``made(lines, ...)``: ingest, clean and sessionize; the lake and the result."""

    def make(lines, *overrides, name="own", files=1):
        folder = tmp_path / name
        for number in range(files):
            write_csv(folder / f"{number}.csv", *lines[number::files], header=HEADER)
        source = {"path": str(folder / "*.csv"), "mapping": MAPPING, "time_format": "epoch_s"}
        settings = make_settings(*overrides, dataset=write_dataset(folder, source))
        settings = replace(settings, lake=str(tmp_path / f"lake-{name}"))
        for step in (ingest, clean, sessionize):
            job = make_job(step.__name__, settings)
            step(job)
        return job, from_plain(SessionsResult, job.results["SessionsResult"])

    return make


def test_sessions_are_those_of_sparks_session_window(made):
    from pyspark.sql import functions as F

    job, result = made(random_lines())
    events = job.lake.read("silver.events")
    # Both let a gap equal to the timeout continue the session, and a greater one end it.
    window = F.session_window("event_time", "1800 seconds")
    theirs = events.groupBy("user_key", window.alias("w")).agg(F.count("*").cast("int").alias("n"))
    ours = job.lake.read("silver.sessions")
    expected = rows_of(theirs.select("user_key", F.col("w.start").alias("start"), "n"), "*")
    assert rows_of(ours.select("user_key", "start", "events"), "*") == expected
    assert (result.sessions, result.events) == (len(expected), 400)
    # The public call on the same events, in memory and on Spark's rows, gives the job's rows.
    names = {"item": "item_id", "value": "value", "source_session": "source_session"}
    here = tl.sessions(job.lake.uri("silver.events"), **names)
    of_the_job = rows_of(ours.select(*here.table.column_names), "*")
    assert rows_of(tl.sessions(events, **names), "*") == of_the_job
    assert rows_of(events.sparkSession.createDataFrame(here.table), "*") == of_the_job


def test_three_layouts_and_both_ways_in_give_the_same_sessions(made, spark):
    lines = random_lines(events=300)
    content = ("session_id", "user_key", "start", "end", "events", "items", "value", "bucket")
    one, _ = made(lines, name="one")
    three, _ = made(lines, name="three", files=3)
    back, _ = made(lines[::-1], "buckets=5", name="back", files=2)
    expected = rows_of(held(one.lake, "silver.sessions"), *content)
    assert len(expected) > 50
    for other in (three, back):
        assert rows_of(held(other.lake, "silver.sessions"), *content) == expected
    # More files in a bucket, in no order: append the rows of one bucket in two halves.
    events = one.lake.read("silver.events")
    one.lake.replace("silver.events", events.repartition(7), "scattered")
    scattered = one.lake.plan("silver.events")
    assert len(scattered.units) > 5
    again = replace_inputs(one, scattered.version)
    sessionize(again)
    assert rows_of(held(again.lake, "silver.sessions"), *content) == expected
    # Spark's rows in place of files.
    through_rows = rows_of(_through_rows(one, scattered, spark), *content)
    assert through_rows == expected


def replace_inputs(job, version):
    job.inputs = {"silver.events": version}
    job.fingerprint = "scattered"
    return job


def _through_rows(job, plan, spark):
    from truelift.lake.tables import table_spec
    from truelift.logs.sessions.kernel import EVENT_COLUMNS, SessionKernel

    indirect = replace(plan.select(EVENT_COLUMNS), direct=False, reason="a test", units=())
    schema = table_spec("silver.sessions").schema()
    return job.lake.map_buckets(
        SessionKernel(SessionOptions(), 10**18), {"events": indirect}, schema
    )


def test_number_of_buckets_does_not_change_the_sessions(made):
    lines = random_lines(events=200)
    content = ("session_id", "user_key", "start", "end", "events")
    few, _ = made(lines, "buckets=5", name="few")
    many, _ = made(lines, "buckets=11", name="many")
    assert rows_of(held(few.lake, "silver.sessions"), *content) == rows_of(
        held(many.lake, "silver.sessions"), *content
    )


def test_result_counts_days_open_sessions_and_agreement(made):
    day = 1_704_067_200  # 2024-01-01
    job, result = made(
        [
            f"a,x,{day},s1",
            f"a,y,{day + 60},s1",
            f"a,x,{day + 4000},s2",
            f"b,x,{day + 86_400},s3",
            f"b,x,{day + 86_460},s4",
            f"c,x,{day + 86_400 + 1860},s5",
        ]
    )
    assert result.per_day == (("2024-01-01", 2), ("2024-01-02", 2))
    assert (result.sessions, result.events, result.users, result.open_sessions) == (4, 6, 3, 2)
    found = result.agreement
    assert (found.true_sessions, found.exact_matches, found.merged, found.split) == (5, 3, 1, 0)
    assert (found.precision, found.recall) == (0.75, 0.6)
    assert job.run.metrics["session_recall"] == pytest.approx(0.6)


def test_respected_source_sessions_are_the_sessions(made):
    day = 1_704_067_200
    lines = [f"a,x,{day},s1", f"a,y,{day + 9000},s1", f"a,x,{day + 9000},s2"]
    job, result = made(lines, "sessions.given=respect")
    assert (result.sessions, result.agreement.f1) == (2, 1.0)
    assert rows_of(held(job.lake, "silver.sessions"), "events") == [(1,), (2,)]


def test_the_same_job_again_writes_no_new_version(made, make_job):
    job, _ = made(random_lines(events=50))
    version = job.lake.version("silver.sessions")
    again = make_job("sessionize", job.settings, job.lake)
    sessionize(again)
    assert job.lake.version("silver.sessions") == version


def test_users_of_two_deliveries_are_counted_once_without_reading_the_old_ones(spark):
    from truelift.logs.session_counts import SessionCountKernel, added_up, united_users

    def sketch(first: int, last: int) -> bytes:
        users = [f"u{n}" for n in range(first, last)]
        starts = [datetime.datetime(2024, 1, 1 + n % 9) for n in range(first, last)]
        sessions = pa.table(
            {
                "user_key": users,
                "start": pa.array(starts, pa.timestamp("us", tz="UTC")),
                "events": pa.array([1] * len(users), pa.int32()),
                "is_open": [False] * len(users),
            }
        )
        counts = SessionCountKernel()(0, {"sessions": sessions})
        found = added_up(spark.createDataFrame(counts))
        assert found.users == found.events == last - first
        return found.user_sketch

    both, users = united_users(spark, sketch(0, 60), sketch(40, 100))
    assert users == 100
    assert united_users(spark, both, sketch(0, 100))[1] == 100
    many = united_users(spark, sketch(0, 6000), sketch(3000, 9000))[1]
    assert abs(many - 9000) < 0.05 * 9000
