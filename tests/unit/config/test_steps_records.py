"""Records of finished steps, and fingerprints."""

from __future__ import annotations

from dataclasses import dataclass, replace

from truelift.steps import StepRecord, StepStore, code_version, fingerprint_of

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
