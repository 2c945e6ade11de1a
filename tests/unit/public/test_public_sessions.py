"""``tl.sessions``: the job's sessions and ids of a table of events at hand."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

import truelift as tl
from truelift.lake.buckets import buckets_of
from truelift.logs.sessions.kernel import SessionKernel
from truelift.settings import SessionOptions

UTC = timezone.utc
START = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = {
    "user_key": "visitor", "event_time": "at", "item_id": "sku", "event_type": "what",
    "quantity": "pieces", "value": "price", "source_session": "visit",
}  # fmt: skip
ASKED = {
    "user": "visitor", "time": "at", "item": "sku", "event_type": "what", "quantity": "pieces",
    "value": "price", "source_session": "visit",
}  # fmt: skip


@pytest.fixture(scope="module")
def silver() -> pa.Table:
    """Clean events as the job has them: ties, gaps, missing items, conversions."""
    rng = np.random.default_rng(3)
    n = 4000
    micro = np.cumsum(rng.integers(0, 400, n)) * 1_000_000 + rng.integers(0, 2, n)
    micro = rng.permutation(np.where(rng.random(n) < 0.1, micro[0], micro))
    types = np.array(["view", "cart", "purchase"])[rng.integers(0, 3, n)]
    items = [None if i % 11 == 0 else f"i{i}" for i in rng.integers(0, 50, n)]
    return pa.table(
        {
            "user_key": [f"ü{u}" for u in rng.integers(0, 40, n)],
            "event_time": pa.array(micro + int(START.timestamp() * 1e6), pa.timestamp("us", "UTC")),
            "event_type": types,
            "item_id": pa.array(items, pa.string()),
            "quantity": rng.integers(1, 4, n).astype(float),
            "value": rng.random(n),
            "source_session": [f"s{i}" for i in rng.integers(0, 90, n)],
            "labels": pa.array([[]] * n, pa.list_(pa.string())),
        }
    )


def of_the_job(silver: pa.Table, options: SessionOptions) -> pa.Table:
    """Buckets one after the other through the job's kernel, then in our order."""
    end = int(np.asarray(silver["event_time"].cast(pa.int64())).max())
    place = buckets_of(silver["user_key"], 7)
    kernel = SessionKernel(options, end)
    parts = [kernel(b, {"events": silver.filter(pa.array(place == b))}) for b in range(7)]
    return pa.concat_tables(parts).sort_by([("user_key", "ascending"), ("start", "ascending")])


def theirs(silver: pa.Table) -> pa.Table:
    return silver.select(list(NAMES)).rename_columns(list(NAMES.values()))


def to_csv(table, folder):
    pacsv.write_csv(table, folder / "events.csv")
    return folder / "events.csv"


def to_parquet(table, folder):
    pq.write_table(table, folder / "events.parquet", row_group_size=700)
    return str(folder / "events.parquet")


FORMS = {
    "Arrow": lambda table, folder: table,
    "pandas": lambda table, folder: table.to_pandas(),
    "chunks": lambda table, folder: pa.concat_tables([table.slice(0, 1500), table.slice(1500)]),
    "large texts": lambda table, folder: table.cast(pa.schema(
        [f.with_type(pa.large_string()) if pa.types.is_string(f.type) else f for f in table.schema])),
    "codes": lambda table, folder: table.set_column(
        0, "visitor", table["visitor"].dictionary_encode()),
    "CSV": to_csv,
    "Parquet": to_parquet,
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_table_gives_the_rows_of_the_job(silver, tmp_path, form):
    expected = of_the_job(silver, SessionOptions())
    found = tl.sessions(FORMS[form](theirs(silver), tmp_path), **ASKED)
    names = found.table.column_names
    assert len(names) == 16
    for name in names:
        assert found.table[name].to_pylist() == expected[name].to_pylist(), name


def test_days_and_a_longest_duration_end_sessions_as_in_the_job(silver):
    options = SessionOptions(
        timeout_seconds=7200, split_on=("gap", "day", "max_duration"), time_zone="Europe/Zurich",
        max_duration_seconds=3600,
    )  # fmt: skip
    expected = of_the_job(silver, options)
    found = tl.sessions(
        theirs(silver), **ASKED, gap="2 hours", split_on=["gap", "day", "max_duration"],
        time_zone="Europe/Zurich", max_duration=timedelta(hours=1),
    )  # fmt: skip
    assert found.table["session_id"].to_pylist() == expected["session_id"].to_pylist()
    assert len(found) > len(tl.sessions(theirs(silver), **ASKED, gap="2 h"))


def test_sessions_have_only_what_the_events_have(silver):
    found = tl.sessions(silver)
    assert found.table.column_names == [
        "session_id", "user_key", "start", "end", "duration_seconds", "events", "is_open",
    ]  # fmt: skip
    assert sum(found.table["events"].to_pylist()) == silver.num_rows


def test_every_event_knows_the_row_of_its_session(silver):
    found = tl.sessions(silver)
    users = found.table["user_key"].take(pa.array(found.of_events))
    assert users.to_pylist() == silver["user_key"].to_pylist()
    counted = np.bincount(found.of_events, minlength=len(found))
    assert counted.tolist() == found.table["events"].to_pylist()


@pytest.mark.parametrize("coded", [False, True])
def test_a_blank_user_is_nobody(coded):
    frame = pd.DataFrame({"u": ["a", "", " ", None, "a"], "t": [START] * 5})
    found = tl.sessions(frame.astype({"u": "category"}) if coded else frame, user="u", time="t")
    assert found.of_events.tolist() == [0, -1, -1, -1, 0]
    assert found.left_out == 3


def test_events_without_a_user_or_a_time_belong_to_no_session():
    at = [START, None, START, START + timedelta(minutes=5)]
    frame = pd.DataFrame({"u": [1.0, 1, None, 1], "t": at})
    found = tl.sessions(frame, user="u", time="t")
    assert found.of_events.tolist() == [0, -1, -1, 0]
    assert found.left_out == 2
    assert found.table["user_key"].to_pylist() == ["1"]
    assert "Left out: 2 events without a user or a time." in str(found)


@pytest.mark.parametrize(
    "gap", ["30 minutes", "30min", "0.5 h", 1800, 1800.0, timedelta(minutes=30)]
)
def test_a_gap_may_be_said_in_many_ways_and_one_equal_to_it_ends_nothing(gap):
    at = [START, START + timedelta(minutes=30), START + timedelta(minutes=60, microseconds=1)]
    found = tl.sessions(pa.table({"u": [7, 7, 7], "t": at}), user="u", time="t", gap=gap)
    assert found.table["events"].to_pylist() == [2, 1]


@pytest.mark.parametrize(
    ("times", "unit"),
    [
        ([0, 1800, 1_767_225_600], "s"),
        ([0.0, 1_800_000.0, 1_767_225_600_000.0], "ms"),
        ([0, 1_800_000_000_000, 1_767_225_600_000_000_000], "ns"),
        (["1970-01-01", "1970-01-01 00:30:00", "2026-01-01T00:00:00"], None),
        ([datetime(1970, 1, 1), datetime(1970, 1, 1, 0, 30), datetime(2026, 1, 1)], None),
        ([datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
          datetime(1970, 1, 1, 0, 30, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)], None),
    ],
)  # fmt: skip
def test_times_of_every_kind_are_the_same_instants(times, unit):
    found = tl.sessions(pd.DataFrame({"u": "a", "t": times}), user="u", time="t", unit=unit)
    assert found.table["start"].to_pylist() == [
        datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    ]  # fmt: skip
    assert found.table["events"].to_pylist() == [2, 1]


def test_no_events_are_no_sessions(silver):
    found = tl.sessions(silver.slice(0, 0))
    assert len(found) == 0
    assert "no events" in str(found)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"user": "nobody"},
            r"the Table has no column 'nobody' \(user\); its columns are user_key",
        ),
        ({"gap": "soon"}, r"gap: found 'soon', expected a whole number of seconds"),
        ({"gap": 0}, r"gap: found 0"),
        ({"time": "quantity"}, r"column 'quantity': found numbers, expected timestamps, or unit="),
        ({"time": "item_id"}, r"column 'item_id': found string"),
        ({"user": "value"}, r"column 'value': found numbers with a fraction, expected keys"),
        ({"value": "item_id"}, r"column 'item_id': found type string, expected numbers"),
        ({"split_on": ["campaign"]}, r"The job 'sessionize' splits on it"),
        ({"split_on": ["week"]}, r"split_on: found \('week',\)"),
    ],
)
def test_a_mistake_is_one_message(silver, asked, message):
    with pytest.raises(tl.TrueliftError, match=message):
        tl.sessions(silver, **asked)


def test_sessions_draw_themselves(silver):
    found = tl.sessions(silver)
    assert "<table" in found._repr_html_()
    assert len(found.to_pandas()) == len(found)
    assert repr(found).startswith("Sessions(")
