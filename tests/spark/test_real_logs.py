"""Logs as others recorded them: what the jobs find is what pandas finds in the raw files.

The rows are not part of this project. The tests look for them in the folder that the
environment variable TRUELIFT_SHARED_DATA names, and are skipped where it holds none.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from truelift.logs.clean import clean
from truelift.logs.ingest import ingest
from truelift.logs.results import CleanResult, IngestResult, SessionsResult
from truelift.logs.sessionize import sessionize
from truelift.typed import from_plain

TIMEOUT = pd.Timedelta(minutes=30)


def raw_log(name: str) -> Path:
    """The file of that name, or a skipped test."""
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    place = Path(os.environ.get("TRUELIFT_SHARED_DATA") or default) / "logs" / name
    if not place.exists():
        pytest.skip(f"needs {name} in $TRUELIFT_SHARED_DATA/logs")
    return place


@pytest.fixture
def refined(tmp_path, make_settings, make_job):
    """``refined(dataset, path, ...)``: the three jobs; the lake and each one's result."""

    def refine(dataset, path, *overrides):
        settings = make_settings(f"source.path={path}", *overrides, dataset=str(dataset))
        results = {}
        for step in (ingest, clean, sessionize):
            job = make_job(step.__name__, replace(settings, buckets=5))
            step(job)
            results |= job.results
        kinds = (IngestResult, CleanResult, SessionsResult)
        return job.lake, *(from_plain(kind, results[kind.__name__]) for kind in kinds)

    return refine


def sessions_of(events: pd.DataFrame) -> pd.Series:
    """First event and number of events of each session of ``user`` and ``time``."""
    events = events.sort_values(["user", "time"], kind="stable")
    gap = events.groupby("user")["time"].diff()
    number = (gap.isna() | (gap > TIMEOUT)).cumsum()
    found = events.groupby(number).agg(user=("user", "first"), start=("time", "first"))
    return found.assign(events=events.groupby(number).size()).sort_values(["user", "start"])


def assert_sessions(lake, events: pd.DataFrame) -> None:
    """The lake's sessions are those of the events, users and seconds included."""
    columns = ["user_key", "start", "events"]
    ours = lake.read("silver.sessions").select(*columns).toPandas().sort_values(columns[:2])
    expected = sessions_of(events)
    assert ours["user_key"].tolist() == expected["user"].tolist()
    assert (ours["start"].to_numpy() == expected["start"].to_numpy()).all()
    assert ours["events"].tolist() == expected["events"].tolist()


def test_a_shops_invoices(refined):
    path = raw_log("online_retail.parquet")
    raw = pd.read_parquet(path)
    lake, taken, cleaned, _ = refined("online_retail", path)
    returned = raw["Quantity"] < 0
    valid = raw[raw["CustomerID"].notna() & ~returned]
    kept = valid.drop_duplicates()
    assert taken.rows_written == cleaned.bronze == len(raw) == 541_909
    assert cleaned.reasons["missing_user"] == raw["CustomerID"].isna().sum() == 135_080
    assert cleaned.reasons["negative_quantity"] == returned.sum()
    assert cleaned.duplicates == len(valid) - len(kept)
    assert cleaned.silver == len(kept)
    assert cleaned.labels["zero_value"] == (kept["UnitPrice"] == 0).sum()
    silver = lake.read("silver.events").selectExpr("sum(quantity)", "sum(value)").first()
    assert silver[0] == kept["Quantity"].sum()
    assert silver[1] == pytest.approx(kept["UnitPrice"].sum())


def test_readers_of_an_encyclopedia(refined):
    path = raw_log("wikipedia_reader_sessions.parquet")
    raw = pd.read_parquet(path)
    lake, taken, cleaned, _ = refined("wikipedia_reader", path)
    kept = raw.drop_duplicates()
    assert taken.rows_written == cleaned.bronze == len(raw) == 63_524
    assert (cleaned.duplicates, cleaned.silver) == (len(raw) - len(kept), len(kept))
    assert_sessions(lake, kept.rename(columns={"uuid": "user", "timestamp": "time"}))


def test_sessions_of_a_recommender_contest(refined):
    path = raw_log("otto_sample.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    raw = pd.DataFrame(
        [(str(line["session"]), event["ts"], event["type"])
         for line in lines for event in line["events"]],
        columns=["user", "ts", "kind"],
    )  # fmt: skip
    lake, taken, cleaned, _ = refined("otto", path)
    assert taken.rows_written == cleaned.bronze == cleaned.silver == len(raw) == 862
    assert_sessions(lake, raw.assign(time=pd.to_datetime(raw["ts"], unit="ms")))
    kinds = lake.read("silver.events").groupBy("event_type").count().collect()
    assert {row["event_type"]: row["count"] for row in kinds} == dict(raw["kind"].value_counts())


def test_requests_as_a_table(refined):
    path = raw_log("nasa_19950701.tsv")
    lines = path.read_text(encoding="latin-1").splitlines()[1:]
    cells = [line.split("\t") for line in lines]
    lake, taken, cleaned, _ = refined("nasa_http", path)
    assert taken.rows_written == cleaned.bronze == len(lines) == 9_999
    raw = pd.DataFrame({"user": [c[0] for c in cells], "url": [c[4] for c in cells]})
    raw["time"] = pd.to_datetime([int(c[2]) for c in cells], unit="s")
    kept = raw[~pd.Series(lines).duplicated()]
    assert cleaned.silver == len(kept)
    assert_sessions(lake, kept)


def test_requests_as_the_server_wrote_them(refined):
    path = raw_log("apache_access.log")
    lines = path.read_text().splitlines()
    lake, taken, cleaned, sessions = refined("access_log", path)
    assert taken.rows_written == cleaned.bronze == len(lines) == 10_000
    kept = {line: number for number, line in reversed(list(enumerate(lines)))}
    assert (cleaned.silver, cleaned.duplicates) == (len(kept), len(lines) - len(kept))
    assert sessions.events == cleaned.silver
    marked = lake.read("silver.events").filter("array_contains(labels, 'bot_declared')")
    # One line is cut inside its user agent and has no closing quote.
    crawlers = {
        n for line, n in kept.items() if "Googlebot" in line.removesuffix('"').rsplit('"', 1)[1]
    }
    rows = {row.source_row for row in marked.select("source_row").collect()}
    assert crawlers and crawlers <= rows


def test_sessions_that_the_source_names(refined, tmp_path):
    path = raw_log("retentioneering_ecom.csv.gz")
    raw = pd.read_csv(path)
    mapping = {"user": "user_id", "item": "event", "time": "timestamp", "session": "session_id"}
    dataset = tmp_path / "ecom.yaml"
    dataset.write_text(yaml.safe_dump({"source": {"format": "csv", "mapping": mapping}}))
    lake, _, cleaned, found = refined(dataset, path)
    kept = raw.drop_duplicates()
    assert (cleaned.bronze, cleaned.duplicates) == (len(raw), len(raw) - len(kept))
    agreement = found.agreement
    sessions = raw["session_id"].nunique()
    assert agreement.true_sessions == agreement.exact_matches == sessions == 3_605
    kept = kept.assign(user=kept["user_id"], time=pd.to_datetime(kept["timestamp"]))
    assert_sessions(lake, kept)
