"""Records of finished steps, and fingerprints."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from tests.conftest import RecordingRun
from truelift.fingerprints import fingerprint_of
from truelift.job import Job
from truelift.lake import Lake
from truelift.steps import StepRecord, StepStore, code_version

RECORD = StepRecord(
    step="clean",
    fingerprint="abc",
    inputs={"bronze.events": 3},
    outputs={"silver.events": 1},
    rows_in=10,
    rows_out=9,
    seconds=1.5,
    headline={"duplicates": 1},
    results={"Found": {"rows": 9, "share": 0.9, "names": ["a"]}},
    run_id="run",
    code_version="1",
    finished="2026-01-01T00:00:00+00:00",
)


@dataclass(frozen=True)
class Found:
    rows: int
    share: float
    names: tuple[str, ...]


def test_a_record_is_read_back_as_it_was_written(tmp_path):
    store = StepStore(str(tmp_path))
    assert store.read("clean") is None
    store.write(RECORD)
    assert store.read("clean") == RECORD
    assert store.read("clean").result(Found) == Found(9, 0.9, ("a",))


def test_a_later_record_takes_the_place_of_the_earlier(tmp_path):
    store = StepStore(str(tmp_path))
    store.write(RECORD)
    store.write(replace(RECORD, fingerprint="def"))
    assert store.read("clean").fingerprint == "def"
    assert [p.name for p in (tmp_path / "_truelift" / "steps").iterdir()] == ["clean.json"]


def test_a_damaged_record_counts_as_none(tmp_path):
    store = StepStore(str(tmp_path))
    store.write(RECORD)
    (tmp_path / "_truelift" / "steps" / "clean.json").write_text('{"step": "cle')
    assert store.read("clean") is None


def test_fingerprints_depend_on_values_and_not_on_their_order():
    assert fingerprint_of(a=1, b={"x": 1, "y": 2}) == fingerprint_of(b={"y": 2, "x": 1}, a=1)
    assert fingerprint_of(a=1) != fingerprint_of(a=2)


def test_the_code_version_is_stable_within_a_process():
    assert code_version() == code_version()
    assert "+" in code_version()


@dataclass(frozen=True)
class Part:
    count: int


@dataclass(frozen=True)
class Nested:
    parts: tuple[Part, ...]
    named: dict[str, Part]
    perhaps: Part | None = None


def test_a_field_that_this_version_does_not_know_is_left_out_and_said():
    found = {"parts": [{"count": 1, "gone": 2}], "named": {"a": {"count": 3}}, "lost": 4,
             "perhaps": {"count": 5, "odd": 6}}  # fmt: skip
    result, said = replace(RECORD, results={"Nested": found}).read(Nested)
    assert result == Nested((Part(1),), {"a": Part(3)}, Part(5))
    (sentence,) = said
    for name in ("clean", "Nested.parts[0].gone", "Nested.lost", "Nested.perhaps.odd"):
        assert name in sentence


@pytest.mark.parametrize("found", [{"rows": 9}, {"rows": "many", "share": 0.9, "names": []}, []])
def test_a_result_that_this_version_cannot_read_is_none_and_said(found):
    record = replace(RECORD, results={"Found": found})
    result, (sentence,) = record.read(Found)
    assert result is None
    assert "Run 'clean' again; until then it counts as not done" in sentence


def test_a_result_of_this_version_is_read_without_a_word():
    assert RECORD.read(Found) == (Found(9, 0.9, ("a",)), ())
    assert RECORD.read(Part) == (None, ())


def test_a_job_says_once_what_it_could_not_read(make_settings, tmp_path):
    settings = make_settings()
    lake = Lake(settings)
    store = StepStore(lake.root)
    store.write(replace(RECORD, results={"Found": {"rows": 9}}))
    job = Job("report", settings, lake, {}, "f", RecordingRun(), tmp_path, store=store)
    assert [job.load_result(Found) for _ in range(2)] == [None, None]
    assert len(job.said) == 1


def test_the_newest_result_of_a_class_is_taken(make_settings, tmp_path):
    settings = make_settings()
    lake = Lake(settings)
    store = StepStore(lake.root)
    newer = {"Found": {"rows": 1, "share": 0.1, "names": []}}
    store.write(RECORD)
    store.write(replace(RECORD, step="a", results=newer, finished="2026-01-02T00:00:00+00:00"))
    job = Job("report", settings, lake, {}, "f", RecordingRun(), tmp_path, store=store)
    assert job.load_result(Found).rows == 1
