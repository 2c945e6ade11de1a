"""Sessions with events inside: one row an event."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truelift.errors import SourceError
from truelift.logs.sources.columns import CORRUPT
from truelift.logs.sources.planning import plan_streams
from truelift.logs.sources.registry import read
from truelift.settings import MappingOptions, SourceOptions

MAPPING = MappingOptions(user="session", item="aid", time="ts", event_type="type")


def rows(path):
    units = plan_streams(SourceOptions(format="otto", path=str(path), mapping=MAPPING))["events"]
    return [row for unit in units for batch in read(unit) for row in batch.to_pylist()]


def written(folder, *lines):
    path = folder / "sessions.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_each_event_is_a_row_with_its_session(tmp_path):
    path = written(
        tmp_path,
        '{"session": 7, "events": [{"aid": 1, "ts": 1659304800025, "type": "clicks"},'
        ' {"aid": 2, "ts": 1659304904511, "type": "carts"}]}',
        '{"session": 8, "events": [{"aid": 1, "ts": 1659367439426, "type": "orders"}]}',
    )
    names = ("session", "aid", "ts", "type", "source_row")
    assert [tuple(row[name] for name in names) for row in rows(path)] == [
        ("7", "1", "1659304800025", "clicks", 0),
        ("7", "2", "1659304904511", "carts", 1),
        ("8", "1", "1659367439426", "orders", 2),
    ]


def test_other_keys_of_an_event_are_kept(tmp_path):
    path = written(tmp_path, '{"session": "s", "events": [{"aid": 1, "price": 1.50}]}')
    (row,) = rows(path)
    assert (row["ts"], json.loads(row["_other"])) == (None, {"price": "1.50"})


def test_a_session_without_events_has_no_row(tmp_path):
    path = written(tmp_path, '{"session": 1, "events": []}', '{"session": 2, "events": [{}]}')
    assert [row["session"] for row in rows(path)] == ["2"]


@pytest.mark.parametrize(
    "line",
    ['{"session": 1', '{"events": []}', '{"session": 1, "events": 3}', '{"session": 1}',
     '{"session": 1, "events": [2]}', "[]"],
)  # fmt: skip
def test_a_line_that_is_no_session_is_one_corrupt_row(tmp_path, line):
    path = written(tmp_path, '{"session": 1, "events": [{"aid": 5}]}', line)
    first, second = rows(path)
    assert (first["aid"], first[CORRUPT]) == ("5", None)
    assert (second["aid"], second[CORRUPT], second["source_row"]) == (None, line, 1)


def test_a_file_without_sessions_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"sessions\.jsonl holds no session"):
        rows(written(tmp_path, '{"user": 1}'))


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=8))
def test_rows_are_as_many_as_events_and_numbered_without_gaps(tmp_path_factory, sessions):
    lines = [
        json.dumps({"session": n, "events": [{"aid": a, "ts": n, "type": "x"} for a in items]})
        for n, items in enumerate(sessions)
    ]
    found = rows(written(tmp_path_factory.mktemp("otto"), *lines))
    assert [row["aid"] for row in found] == [str(a) for items in sessions for a in items]
    assert [row["source_row"] for row in found] == list(range(len(found)))
