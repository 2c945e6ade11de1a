"""``build_features`` on a simulated shop: the gold tables, layouts, repeats and refusals."""

from __future__ import annotations

import datetime
from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pytest

from tests.conftest import RecordingRun
from tests.spark.shop_lake import fill_lake, fill_stream
from truelift.config import load_settings
from truelift.errors import ConfigError, DataError
from truelift.features.build import build_features
from truelift.features.items import lookup_of
from truelift.features.results import FeaturesResult
from truelift.job import Job
from truelift.lake import Lake
from truelift.pipeline import pin_inputs, step_named
from truelift.simulate.log_files import write_logs
from truelift.simulate.logs import simulate_logs
from truelift.typed import from_plain

LOGS = simulate_logs(users=50, days=60, seed=2)
GOLD = ("gold.items", "gold.users", "gold.sequences", "gold.exposures")


class World:
    """A lake filled with the shop, and its job."""

    def __init__(self, spark, folder, *overrides: str):
        mapping = write_logs(LOGS, folder / "shop")
        small = ("buckets=6", "features.item_level=category", *overrides)
        self.settings = load_settings("local", str(mapping), small, str(folder / "lake"))
        self.lake = Lake.open(self.settings, spark)
        self.folder = folder

    def build(self, fingerprint: str = "one") -> Job:
        inputs = pin_inputs(step_named("build_features"), self.lake)
        job = Job(
            "build_features", self.settings, self.lake, inputs, fingerprint,
            RecordingRun(), self.folder,
        )  # fmt: skip
        self.report = build_features(job)
        self.result = from_plain(FeaturesResult, job.results["FeaturesResult"])
        return job

    def rows(self, name: str) -> list[dict]:
        frame = self.lake.read(name)
        return (
            frame.orderBy(*[c for c, t in frame.dtypes if not t.startswith("map")])
            .toArrow()
            .to_pylist()
        )

    def versions(self) -> dict[str, int | None]:
        return {name: self.lake.version(name) for name in GOLD}


@pytest.fixture(scope="module")
def world(spark, tmp_path_factory):
    made = World(spark, tmp_path_factory.mktemp("features"))
    fill_lake(made.lake, LOGS, made.settings)
    made.build()
    return made


@pytest.mark.parametrize("files", [3, 7])
def test_other_layouts_of_the_inputs_give_equal_tables(world, spark, tmp_path, files):
    other = World(spark, tmp_path)
    fill_lake(other.lake, LOGS, other.settings, files)
    other.build()
    assert other.result == world.result
    for name in GOLD:
        assert other.rows(name) == world.rows(name), name


def test_a_repeat_writes_nothing_and_a_forced_one_writes_the_same(world):
    before, rows = world.versions(), {name: world.rows(name) for name in GOLD}
    result = world.result
    world.build("one")
    assert world.versions() == before
    assert world.result == result
    world.build("two")
    assert world.versions() == {name: version + 1 for name, version in before.items()}
    assert {name: world.rows(name) for name in GOLD} == rows


def test_items_are_numbered_from_one_by_a_hash_that_knows_no_counts(world):
    items = sorted(world.rows("gold.items"), key=lambda row: row["item_index"])
    assert [row["item_index"] for row in items] == list(range(1, 7))
    assert sum(row["events"] for row in items) == LOGS.clean_events
    hashed = world.lake.read("gold.items").selectExpr("item_key", "xxhash64(item_key) AS hash")
    by_hash = [row.item_key for row in hashed.orderBy("hash").collect()]
    assert [row["item_key"] for row in items] == by_hash
    assert all(row["name"] == row["category"] == row["item_key"] for row in items)


def test_users_carry_their_counts_and_their_filled_attributes(world):
    visits = Counter(LOGS.sessions["visitor"].to_pylist())
    events = Counter()
    for visitor, count in zip(
        LOGS.sessions["visitor"].to_pylist(), LOGS.sessions["events"].to_pylist(), strict=True
    ):
        events[visitor] += count
    known = {row["visitor"]: row for row in LOGS.users.to_pylist()}
    users = world.lake.read("gold.users").toArrow().to_pylist()
    assert {u["user_key"]: u["sessions"] for u in users} == dict(visits)
    assert {u["user_key"]: u["events"] for u in users} == dict(events)
    for user in users:
        row = known[user["user_key"]]
        expected = {k: row[k] for k in ("segment", "channel") if row[k]}
        assert dict(user["attributes"]) == expected


def test_exposures_are_half_open_windows_with_the_responses_to_them(world):
    rows = {(r["user_key"], r["campaign"]): r for r in world.rows("gold.exposures")}
    assert len(rows) == LOGS.exposures.num_rows == world.result.exposures
    for sent in LOGS.exposures.to_pylist():
        row = rows[sent["visitor"], sent["mailing"]]
        assert row["start"].date().isoformat() == sent["from"]
        assert (row["end"] - datetime.timedelta(days=1)).date().isoformat() == sent["until"]
    answered = {key: len(row["responses"]) for key, row in rows.items() if row["responses"]}
    assert answered == Counter((r["visitor"], r["mailing"]) for r in LOGS.responses.to_pylist())


def test_the_report_accounts_for_the_rows(world):
    assert world.report.rows_in == LOGS.clean_events
    sequences = world.lake.read("gold.sequences").toArrow()
    total = sum(len(each) for each in sequences["item_index"].to_pylist())
    assert world.result.sequence_events == total
    assert world.report.headline["events_without_item_key"] == 0


def test_a_lookup_that_workers_cannot_open_is_shipped_and_says_the_same(world):
    plan = world.lake.plan("gold.items", ("item_key", "item_index"))
    shipped = lookup_of(world.lake, replace(plan, direct=False, units=(), reason="a test"))
    assert shipped.plan is None
    key = [("item_index", "ascending")]
    assert shipped.load().sort_by(key).equals(lookup_of(world.lake, plan).load().sort_by(key))


def test_without_exposures_there_are_none_and_items_may_stand_for_themselves(spark, tmp_path):
    world = World(spark, tmp_path, "features.item_level=item_id")
    fill_lake(world.lake, LOGS, world.settings, streams=False)
    world.build()
    assert world.result.exposures == 0
    assert not world.lake.exists("gold.exposures")
    items = world.rows("gold.items")
    assert {row["name"] for row in items} == {row["item_key"] for row in items}
    assert all(row["events"] >= world.settings.features.min_item_count for row in items)


@pytest.fixture
def bare(spark, tmp_path):
    """A lake with silver tables and no reference stream."""
    made = World(spark, tmp_path, "features.item_level=item_id")
    fill_lake(made.lake, LOGS, made.settings, streams=False)
    return made


def everyone(*campaigns: tuple[str, str, str]) -> pa.Table:
    visitors = LOGS.users["visitor"].to_pylist()
    rows = [(name, v, low, high) for name, low, high in campaigns for v in visitors]
    names = ("mailing", "visitor", "from", "until")
    return pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def test_unreadable_dates_of_exposures_are_refused_before_any_write(bare):
    fill_stream(bare.lake, "exposures", everyone(("a", "first of May", "2024-02-10")))
    with pytest.raises(DataError, match=r"50 of 50 rows lack .* readable start \(from\)"):
        bare.build()
    assert set(bare.versions().values()) == {None}


def test_an_item_level_without_an_item_stream_is_refused_before_any_write(bare):
    features = replace(bare.settings.features, item_level="category")
    bare.settings = replace(bare.settings, features=features)
    with pytest.raises(
        ConfigError, match=r"features\.item_level: found 'category'.*no item stream"
    ):
        bare.build()
    assert set(bare.versions().values()) == {None}


def test_a_minimum_count_that_no_item_reaches_is_refused_before_any_write(bare):
    features = replace(bare.settings.features, min_item_count=100_000)
    bare.settings = replace(bare.settings, features=features)
    with pytest.raises(DataError, match=r"min_item_count = 100000 .* occurs \d+ times"):
        bare.build()
    assert set(bare.versions().values()) == {None}
