"""Cleaning and sessions by increments give what a rebuild from nothing gives, row for row."""

from __future__ import annotations

import os
import random
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.spark.logs_source import held, rows_of, write_csv, write_dataset
from truelift.errors import JobFailure
from truelift.lake import Lake
from truelift.lake.maintenance import compact
from truelift.lake.tables import table_spec
from truelift.logs.clean import clean
from truelift.logs.ingest import ingest
from truelift.logs.results import CleanResult, SessionsResult
from truelift.logs.sessionize import sessionize
from truelift.typed import from_plain

HEADER = "u,i,t,q,v,id,k"
SOURCE = {
    "mapping": {
        "user": "u", "item": "i", "time": "t", "quantity": "q", "value": "v", "event_id": "id",
        "event_type": "k",
    }
}  # fmt: skip
CLEAN = {
    "max_quarantine_share": 1.0,
    "allow_negative_quantity": True,
    "return_days": 0.5,
    "double_click_seconds": 1,
    "misclick_seconds": 2,
    "repeat_window_seconds": 600,
    "bots": {"events_per_minute": 6, "items_per_day": 12, "metronome_events": 8},
}
SILVER = (
    "event_id", "user_key", "event_time", "event_type", "item_id", "quantity", "value", "context",
    "labels", "source_file", "source_row", "bucket", "period",
)  # fmt: skip
# More arrival orders: TRUELIFT_SEEDS=1,2,3 make test-spark ARGS="-k deliveries"
SEEDS = [int(seed) for seed in os.environ.get("TRUELIFT_SEEDS", "1").split(",")]
REMOVED = ("event_id", "user_key", "event_time", "item_id", "reasons", "raw", "source_row")


def deliveries(seed: int, parts: int) -> list[list[str]]:
    """Lines of several files: three days of few users, with late, repeated and damaged rows."""
    rng = random.Random(seed)
    lines = []
    for number in range(170):
        second = rng.choice([rng.randrange(3 * 86_400), 86_400 + rng.randrange(-4, 4)])
        stamp = f"2024-01-{1 + second // 86_400:02}T{second % 86_400 // 3600:02}:" \
                f"{second % 3600 // 60:02}:{second % 60:02}"  # fmt: skip
        user, item = rng.choice("abcdef"), rng.choice("xyz")
        kind = rng.choice(["view", "view", "buy"])
        lines.append(f"{user},{item},{stamp},{rng.choice([1, 1, -1])},2,e{number},{kind}")
    # A machine: one event every ten seconds, over midnight.
    for number in range(30):
        second = 86_400 - 150 + 10 * number
        stamp = f"2024-01-{1 + second // 86_400:02}T{second % 86_400 // 3600:02}:" \
                f"{second % 3600 // 60:02}:{second % 60:02}"  # fmt: skip
        lines.append(f"robot,i{number % 14},{stamp},1,1,r{number},view")
    again = rng.sample(lines, 20)
    late = [line.replace(",2,e", ",3,e") for line in rng.sample(lines[:170], 20)]
    broken = ["a,x,noon,1,1,n1,view", ",x,2024-01-02,1,1,n2,view", "too,few"]
    everything = lines + again + late + broken
    rng.shuffle(everything)
    return [everything[part::parts] for part in range(parts)]


@pytest.fixture
def workshop(tmp_path, make_settings, make_job, spark):
    """``workshop(name)``: a lake of its own over the files of ``tmp_path``; runs the jobs."""

    class Workshop:
        def __init__(self, name: str, **overrides):
            options = {"period": "day", "buckets": 5, "sessions": {"timeout_seconds": 1800}}
            source = {"path": str(tmp_path / "raw" / "*.csv"), **SOURCE}
            dataset = write_dataset(
                tmp_path / name, source, clean=CLEAN, **{**options, **overrides}
            )
            folder = replace(make_settings(dataset=dataset).report, path=str(tmp_path / name))
            settings = make_settings(dataset=dataset)
            self.settings = replace(settings, lake=str(tmp_path / name / "lake"), report=folder)
            self.lake = Lake.open(self.settings, spark)

        def run(self, *jobs):
            results = {}
            for job in jobs or (ingest, clean, sessionize):
                made = make_job(job.__name__, self.settings, self.lake)
                job(made)
                results |= made.results
            return results

    return Workshop


def deliver(tmp_path: Path, number: int, lines: list[str]) -> None:
    write_csv(tmp_path / "raw" / f"{number}.csv", *lines, header=HEADER)


def content(lake: Lake) -> dict[str, list]:
    """Rows of the three tables, without what names a run."""
    tables = {"silver.events": SILVER, "silver.quarantine": REMOVED}
    tables["silver.sessions"] = table_spec("silver.sessions").names
    return {name: rows_of(held(lake, name), *columns) for name, columns in tables.items()}


@pytest.mark.parametrize("seed", SEEDS)
def test_deliveries_in_any_order_give_the_tables_of_one_rebuild(tmp_path, workshop, seed):
    parts = deliveries(seed, 3)
    grown = workshop("grown")
    for number, lines in enumerate(parts):
        deliver(tmp_path, number, lines)
        results = grown.run()
    whole = workshop("whole")
    wanted = whole.run()
    found, expected = content(grown.lake), content(whole.lake)
    for name, rows in expected.items():
        assert found[name] == rows, name
    for cls in (CleanResult, SessionsResult):
        ours = from_plain(cls, results[cls.__name__])
        theirs = from_plain(cls, wanted[cls.__name__])
        if cls is CleanResult:
            assert ours.new_rows < ours.bronze == theirs.new_rows
            assert (ours.reasons, ours.labels) == (theirs.reasons, theirs.labels)
            assert {"repeated_event_id", "duplicate", "double_click"} <= set(ours.reasons)
            assert {"bot_metronome", "bot_breadth", "bot_rate"} <= set(ours.labels)
        else:
            assert ours.per_day == theirs.per_day
            assert (ours.users, ours.open_sessions) == (theirs.users, theirs.open_sessions)


def test_an_increment_leaves_other_slices_as_they_are(tmp_path, workshop):
    lines = [f"u{n},x,2024-01-0{1 + n % 5} 10:00:00,1,1,e{n},view" for n in range(50)]
    # The data end later than anything that comes, so no other session is opened or closed.
    deliver(tmp_path, 0, [*lines, "z,x,2024-01-08 10:00:00,1,1,last,view"])
    shop = workshop("own")
    shop.run()
    tables = ("silver.events", "silver.sessions")
    before = {name: {u.uri for u in shop.lake.plan(name).units} for name in tables}
    deliver(tmp_path, 1, ["u1,y,2024-01-05 15:00:00,1,1,late,view"])
    shop.run()
    # Sessions are made anew in the bucket's days within the timeout of the change, too.
    reached = {"silver.events": {"2024-01-05"}, "silver.sessions": {"2024-01-04", "2024-01-05"}}
    for name, periods in reached.items():
        fresh = [u.partition for u in shop.lake.plan(name).units if u.uri not in before[name]]
        assert {place["period"] for place in fresh} <= periods, name
        assert len({place["bucket"] for place in fresh}) == 1, name


def test_compaction_brings_nothing_to_do(tmp_path, workshop):
    shop = workshop("own")
    for number in range(2):
        deliver(tmp_path, number, [f"a,x,2024-01-01 10:0{number}:00,1,1,e{number},view"])
        shop.run()
    versions = [shop.lake.version(n) for n in ("silver.events", "silver.sessions")]
    before = content(shop.lake)
    compact(shop.lake, "bronze.events")
    shop.run(clean, sessionize)
    assert [shop.lake.version(n) for n in ("silver.events", "silver.sessions")] == versions
    deliver(tmp_path, 3, ["a,x,2024-01-01 10:09:00,1,1,e9,view"])
    shop.run()
    assert len(content(shop.lake)["silver.events"]) == len(before["silver.events"]) + 1


def test_changed_rules_clean_everything_anew(tmp_path, workshop):
    deliver(
        tmp_path, 0, ["a,x,2024-01-01 10:00:00,7,1,e1,view", "a,x,2024-01-01 11:00:00,1,1,e2,view"]
    )
    shop = workshop("own")
    shop.run()
    shop.settings = replace(shop.settings, clean=replace(shop.settings.clean, max_quantity=5.0))
    result = from_plain(CleanResult, shop.run(clean)["CleanResult"])
    assert (result.silver, result.reasons) == (1, {"quantity_over_maximum": 1})


def test_of_two_writers_at_once_one_wins_and_no_row_is_lost(tmp_path, workshop, make_job):
    lines = [f"u{n % 9},x{n},2024-01-0{1 + n % 5} 1{n % 10}:00:00,1,1,e{n},view" for n in range(60)]
    deliver(tmp_path, 0, lines[:30])
    shop = workshop("own")
    shop.run()
    deliver(tmp_path, 1, lines[30:])
    shop.run(ingest)
    jobs = [make_job("clean", shop.settings, shop.lake, fingerprint=f"writer-{n}") for n in (1, 2)]
    failed: list[BaseException] = []
    gate = threading.Barrier(2)

    def run(job):
        gate.wait()
        try:
            clean(job)
        except JobFailure as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(failed) <= 1
    assert all("another run wrote to it meanwhile" in str(error) for error in failed)
    shop.run(clean, sessionize)
    ids = [row[0] for row in content(shop.lake)["silver.events"]]
    assert sorted(ids) == sorted(f"e{n}" for n in range(60))
    assert content(shop.lake)["silver.quarantine"] == []
