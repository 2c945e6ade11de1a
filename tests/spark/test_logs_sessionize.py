"""Sessions on real tables: equal whatever the layout, and equal to Spark's own."""

from __future__ import annotations

import datetime
import random
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

import truelift as tl
from tests.spark.logs_source import held, put_rows, rows_of, run_steps, write_dataset
from truelift.config import load_settings
from truelift.lake import Lake
from truelift.lake.buckets import buckets_of
from truelift.lake.periods import period_of
from truelift.lake.tables import table_spec
from truelift.logs.results import SessionsResult
from truelift.logs.sessionize import sessionize
from truelift.logs.sessions.kernel import EVENT_COLUMNS, SessionKernel
from truelift.settings import SessionOptions, Settings
from truelift.typed import from_plain

CONTENT = ("session_id", "user_key", "start", "end", "events", "items", "value", "bucket")


def random_events(seed=3, users=12, events=400):
    """Events (user, item, second, session) with many gaps of exactly the timeout, and some at one
    moment."""
    chance = random.Random(seed)
    rows, clock = [], dict.fromkeys(range(users), 1_704_067_200)
    for number in range(events):
        user = chance.randrange(users)
        clock[user] += chance.choice([0, 5, 1799, 1800, 1801, 7200])
        rows.append((f"user{user}", f"item{number}", clock[user], f"{user}-{number // 100}"))
    return rows


def write_events(lake: Lake, settings: Settings, rows, parts: int = 1) -> None:
    """Rows of ``silver.events`` in files of their own for each part, in the order given."""
    buckets = buckets_of(pa.array([user for user, *_ in rows]), settings.buckets).tolist()
    micros = np.array([second for _, _, second, _ in rows]) * 1_000_000
    periods = period_of(micros, settings.period).to_pylist()
    events = [
        {
            "event_id": f"e{item}-{second}",
            "user_key": user,
            "event_time": datetime.datetime.fromtimestamp(second, datetime.timezone.utc),
            "event_type": "event",
            "item_id": item,
            "quantity": 1.0,
            "value": float(second % 7),
            "source_session": session,
            "context": [],
            "labels": [],
            "bucket": bucket,
            "period": period,
        }
        for (user, item, second, session), bucket, period in zip(
            rows, buckets, periods, strict=True
        )
    ]
    for part in range(parts):
        put_rows(lake, "silver.events", events[part::parts], "append")


@pytest.fixture(scope="module")
def made(spark, tmp_path_factory):
    """``made(rows, ...)``: the lake with these events, sessionized; the job and the result."""

    def make(rows, *overrides, parts=1):
        folder = tmp_path_factory.mktemp("sessions")
        mapping = {"user": "u", "item": "i", "time": "t", "session": "s"}
        dataset = write_dataset(folder, {"path": "none.csv", "mapping": mapping})
        places = (f"report.path={folder}/report", *overrides)
        settings = load_settings("local", dataset, places, str(folder / "lake"))
        lake = Lake.open(settings, spark)
        write_events(lake, settings, rows, parts)
        job = run_steps(lake, settings, folder, sessionize)
        return job, from_plain(SessionsResult, job.results["SessionsResult"])

    return make


@pytest.fixture(scope="module")
def whole(made):
    """Many events in a file a bucket."""
    return made(random_events())


def sessions_of(job):
    return rows_of(held(job.lake, "silver.sessions"), *CONTENT)


def test_sessions_are_those_of_sparks_session_window(whole):
    from pyspark.sql import functions as F

    job, result = whole
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


def test_three_layouts_and_both_ways_in_give_the_same_sessions(whole, made):
    expected = sessions_of(whole[0])
    assert len(expected) > 50
    rows = random_events()
    # More files in a bucket, in an order of their own.
    for ordered, parts in ((rows, 3), (rows[::-1], 2)):
        other, _ = made(ordered, parts=parts)
        files = len(whole[0].lake.plan("silver.events").units)
        assert len(other.lake.plan("silver.events").units) == files * parts > files
        assert sessions_of(other) == expected
    # Spark's rows in place of files.
    assert rows_of(_through_rows(other), *CONTENT) == expected


def _through_rows(job):
    plan = job.lake.plan("silver.events", EVENT_COLUMNS)
    indirect = replace(plan, direct=False, reason="a test", units=())
    schema = table_spec("silver.sessions").schema()
    return job.lake.map_buckets(
        SessionKernel(SessionOptions(), 10**18), {"events": indirect}, schema
    )


def test_number_of_buckets_does_not_change_the_sessions(whole, made):
    many, _ = made(random_events(), "buckets=11")
    buckets = {row[-1] for row in sessions_of(many)}
    assert max(buckets) > 5
    assert [row[:-1] for row in sessions_of(many)] == [row[:-1] for row in sessions_of(whole[0])]


def test_result_counts_days_open_sessions_and_agreement(made):
    day = 1_704_067_200  # 2024-01-01
    job, result = made(
        [
            ("a", "x", day, "s1"),
            ("a", "y", day + 60, "s1"),
            ("a", "x", day + 4000, "s2"),
            ("b", "x", day + 86_400, "s3"),
            ("b", "x", day + 86_460, "s4"),
            ("c", "x", day + 86_400 + 1860, "s5"),
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
    rows = [("a", "x", day, "s1"), ("a", "y", day + 9000, "s1"), ("a", "x", day + 9000, "s2")]
    job, result = made(rows, "sessions.given=respect")
    assert (result.sessions, result.agreement.f1) == (2, 1.0)
    assert rows_of(held(job.lake, "silver.sessions"), "events") == [(1,), (2,)]


def test_the_same_job_again_writes_no_new_version(whole, make_job):
    job, _ = whole
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
