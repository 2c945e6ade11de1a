"""Cleaning and sessions by increments give what a rebuild from nothing gives, row for row."""

from __future__ import annotations

import os
import random
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import RecordingRun
from tests.spark.logs_source import held, rows_of, write_csv, write_dataset
from truelift.config import load_settings
from truelift.errors import JobFailure
from truelift.job import Job
from truelift.lake import Lake
from truelift.lake.maintenance import compact
from truelift.lake.tables import table_spec
from truelift.logs.clean import clean
from truelift.logs.ingest import ingest
from truelift.logs.results import CleanResult, SessionsResult
from truelift.logs.sessionize import sessionize
from truelift.pipeline import pin_inputs, step_named
from truelift.steps import StepStore
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


class Workshop:
    """A lake over the raw files of a folder, and a way to run jobs on it."""

    def __init__(self, spark, folder: Path, name: str):
        self.raw, self.place = folder / "raw", folder / name
        options = {"period": "day", "buckets": 5, "sessions": {"timeout_seconds": 1800}}
        source = {"path": str(self.raw / "*.csv"), **SOURCE}
        dataset = write_dataset(self.place, source, clean=CLEAN, **options)
        places = (f"report.path={self.place}",)
        self.settings = load_settings("local", dataset, places, str(self.place / "lake"))
        self.lake = Lake.open(self.settings, spark)
        self.store = StepStore(self.lake.root)

    def job(self, name: str, fingerprint: str = "") -> Job:
        inputs = pin_inputs(step_named(name), self.lake)
        label = fingerprint or f"test-{name}-{sorted(inputs.items())}"
        return Job(
            name, self.settings, self.lake, inputs, label, RecordingRun(), self.place,
            store=self.store,
        )  # fmt: skip

    def run(self, *steps):
        results = {}
        for step in steps or (ingest, clean, sessionize):
            job = self.job(step.__name__)
            step(job)
            results |= job.results
        return results

    def deliver(self, number: int, lines: list[str]) -> Path:
        return Path(write_csv(self.raw / f"{number}.csv", *lines, header=HEADER))


@pytest.fixture
def copied(spark, tmp_path_factory):
    """``copied(workshop)``: the same files with another lake of the same content; what is then
    delivered is taken away after the test."""
    before: dict[Path, set[Path]] = {}

    def copy(shop: Workshop) -> Workshop:
        folder, name = shop.place.parent, tmp_path_factory.mktemp("copy").name
        before[shop.raw] = set(shop.raw.iterdir())
        made = Workshop(spark, folder, name)
        shutil.copytree(shop.lake.root, made.lake.root, dirs_exist_ok=True)
        return made

    yield copy
    for raw, files in before.items():
        for file in set(raw.iterdir()) - files:
            file.unlink()


@pytest.fixture(scope="module", params=SEEDS)
def grown(request, spark, tmp_path_factory):
    """A lake after three deliveries, and what the last runs left."""
    shop = Workshop(spark, tmp_path_factory.mktemp("grown"), "grown")
    for number, lines in enumerate(deliveries(request.param, 3)):
        shop.deliver(number, lines)
        results = shop.run()
    return shop, results


@pytest.fixture(scope="module")
def week(spark, tmp_path_factory):
    """A lake after the first delivery of calm days."""
    lines = [f"u{n},x,2024-01-0{1 + n % 5} 10:00:00,1,1,e{n},view" for n in range(50)]
    shop = Workshop(spark, tmp_path_factory.mktemp("week"), "own")
    # The data end later than anything that comes, so no other session is opened or closed.
    shop.deliver(0, [*lines, "z,x,2024-01-08 10:00:00,7,1,last,view"])
    shop.run()
    return shop


def content(lake: Lake) -> dict[str, list]:
    """Rows of the three tables, without what names a run."""
    tables = {"silver.events": SILVER, "silver.quarantine": REMOVED}
    tables["silver.sessions"] = table_spec("silver.sessions").names
    return {name: rows_of(held(lake, name), *columns) for name, columns in tables.items()}


def test_deliveries_in_any_order_give_the_tables_of_one_rebuild(spark, grown):
    shop, results = grown
    whole = Workshop(spark, shop.place.parent, "whole")
    wanted = whole.run()
    found, expected = content(shop.lake), content(whole.lake)
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


def test_an_increment_leaves_other_slices_as_they_are(week, copied):
    shop = copied(week)
    tables = ("silver.events", "silver.sessions")
    before = {name: {u.uri for u in shop.lake.plan(name).units} for name in tables}
    shop.deliver(1, ["u1,y,2024-01-05 15:00:00,1,1,late,view"])
    shop.run()
    # Sessions are made anew in the bucket's days within the timeout of the change, too.
    reached = {"silver.events": {"2024-01-05"}, "silver.sessions": {"2024-01-04", "2024-01-05"}}
    for name, periods in reached.items():
        fresh = [u.partition for u in shop.lake.plan(name).units if u.uri not in before[name]]
        assert {place["period"] for place in fresh} <= periods, name
        assert len({place["bucket"] for place in fresh}) == 1, name


def test_compaction_brings_nothing_to_do(grown, copied):
    shop = copied(grown[0])
    tables = ("silver.events", "silver.sessions")
    versions = [shop.lake.version(n) for n in tables]
    before, bronze = content(shop.lake), shop.lake.version("bronze.events")
    compact(shop.lake, "bronze.events")
    assert shop.lake.version("bronze.events") > bronze
    shop.run(clean, sessionize)
    assert [shop.lake.version(n) for n in tables] == versions
    shop.deliver(3, ["c,new,2024-01-03 23:59:00,1,1,after,view"])
    shop.run()
    assert len(content(shop.lake)["silver.events"]) == len(before["silver.events"]) + 1


def test_changed_rules_clean_everything_anew(week, copied):
    shop = copied(week)
    shop.settings = replace(shop.settings, clean=replace(shop.settings.clean, max_quantity=5.0))
    result = from_plain(CleanResult, shop.run(clean)["CleanResult"])
    assert (result.silver, result.reasons) == (50, {"quantity_over_maximum": 1})


def test_of_two_writers_at_once_one_wins_and_no_row_is_lost(week, copied):
    shop = copied(week)
    lines = [f"u{n % 9},y{n},2024-01-0{1 + n % 5} 1{n % 10}:30:00,1,1,n{n},view" for n in range(30)]
    shop.deliver(1, lines)
    shop.run(ingest)
    jobs = [shop.job("clean", f"writer-{n}") for n in (1, 2)]
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
    assert sorted(ids) == sorted(
        [*(f"e{n}" for n in range(50)), "last", *(f"n{n}" for n in range(30))]
    )
    assert content(shop.lake)["silver.quarantine"] == []
