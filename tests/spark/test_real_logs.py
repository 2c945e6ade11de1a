"""Logs as others recorded them: what the jobs find is what pandas finds in the raw files.

The rows are not part of this project. The tests look for them in the folder that the
environment variable TRUELIFT_SHARED_DATA names, and are skipped where it holds none.
"""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
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
            job = make_job(step.__name__, replace(settings, buckets=4))
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
    columns = ["user_key", "start_time", "events"]
    ours = lake.read("silver.sessions").select(*columns).toPandas().sort_values(columns[:2])
    expected = sessions_of(events)
    assert ours["user_key"].tolist() == expected["user"].tolist()
    assert (ours["start_time"].to_numpy() == expected["start"].to_numpy()).all()
    assert ours["events"].tolist() == expected["events"].tolist()


def test_a_shops_invoices(refined):
    path = raw_log("online_retail.parquet")
    raw = pd.read_parquet(path)
    lake, taken, cleaned, _ = refined("online_retail", path)
    named = raw[raw["CustomerID"].notna()]
    assert taken.rows_written == cleaned.bronze == len(raw) == 541_909
    assert cleaned.reasons["missing_user"] == raw["CustomerID"].isna().sum() == 135_080
    assert cleaned.duplicates == named.duplicated().sum()
    assert cleaned.silver + cleaned.quarantine + cleaned.duplicates == len(raw)
    silver = lake.read("silver.events").toPandas()
    print(cleaned.reasons, cleaned.labels, silver.columns, silver.head())


def test_readers_of_an_encyclopedia(refined):
    path = raw_log("wikipedia_reader_sessions.parquet")
    raw = pd.read_parquet(path)
    lake, taken, cleaned, sessions = refined("wikipedia_reader", path)
    assert taken.rows_written == cleaned.bronze == len(raw)
    kept = raw.drop_duplicates()
    print(cleaned, cleaned.reasons, cleaned.labels, len(kept), sessions)


def test_sessions_of_a_recommender_contest(refined):
    path = raw_log("otto_sample.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lake, taken, cleaned, sessions = refined("otto", path)
    print(len(lines), taken, cleaned, cleaned.reasons, cleaned.labels, sessions)


def test_requests_as_a_table(refined):
    path = raw_log("nasa_19950701.tsv")
    lake, taken, cleaned, sessions = refined("nasa_http", path)
    print(taken, cleaned, cleaned.reasons, cleaned.labels, sessions)


def test_requests_as_the_server_wrote_them(refined):
    path = raw_log("apache_access.log")
    lake, taken, cleaned, sessions = refined("access_log", path)
    print(taken, cleaned, cleaned.reasons, cleaned.labels, sessions)


def test_sessions_that_the_source_names(refined, tmp_path):
    path = raw_log("retentioneering_ecom.csv.gz")
    dataset = tmp_path / "ecom.yaml"
    mapping = {"user": "user_id", "item": "event", "time": "timestamp", "session": "session_id"}
    dataset.write_text(yaml.safe_dump({"source": {"format": "csv", "mapping": mapping}}))
    lake, taken, cleaned, sessions = refined(dataset, path)
    print(taken, cleaned, cleaned.reasons, cleaned.labels, sessions)
