"""The feed: every sequence once an epoch, equal steps on all ranks, the same with a seed."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truelift.lake.scan import ScanPlan, ScanUnit
from truelift.models.sequence.histories import COLUMNS
from truelift.training.feed import Feed, FeedOptions, shards_of

OPTIONS = FeedOptions(max_length=4, step="session", batch_size=2, shuffle_buffer=3, seed=1)
WHOLE = dataclasses.replace(OPTIONS, batch_size=1, shuffle_buffer=50)


class Table:
    """Units in memory: user ``u`` of session count ``n`` has the items ``1000 u + s``."""

    def __init__(self, units: list[list[int]]):
        self.tables = []
        user = 0
        for lengths in units:
            rows = []
            for n in lengths:
                rows.append((f"u{user:04d}", [1000 * user + s for s in range(1, n + 1)], n))
                user += 1
            self.tables.append(
                pa.table(
                    {
                        "user_key": [r[0] for r in rows],
                        "item_index": pa.array([r[1] for r in rows], pa.list_(pa.int32())),
                        "event_time": pa.array(
                            [list(range(r[2])) for r in rows], pa.list_(pa.int64())
                        ),
                        "session_number": pa.array(
                            [list(range(r[2])) for r in rows], pa.list_(pa.int32())
                        ),
                    }
                )
            )
        self.plan = ScanPlan(
            "gold.sequences",
            "memory",
            0,
            COLUMNS,
            tuple(
                ScanUnit(str(i), None, t.num_rows, 1, {"bucket": str(i)})
                for i, t in enumerate(self.tables)
            ),
        )
        self.items = sorted(
            i for t in self.tables for row in t["item_index"].to_pylist() for i in row
        )

    def read(self, plan: ScanPlan, unit: ScanUnit) -> pa.Table:
        return self.tables[int(unit.uri)]

    def feed(
        self, rank: int = 0, size: int = 1, options: FeedOptions = OPTIONS, training=lambda h: h
    ) -> Feed:
        return Feed(self.plan, rank, size, options, training, self.read)


def targets(batch) -> list[int]:
    return [int(i) for i, s in zip(batch.items, batch.slots, strict=True) if s >= 1]


UNITS = st.lists(st.lists(st.integers(0, 11), max_size=7), min_size=1, max_size=5)


@given(UNITS, st.integers(1, 4))
@settings(deadline=None)
def test_each_row_belongs_to_exactly_one_rank(units, size):
    plan = Table(units).plan
    owned = Counter(
        (shard.unit.uri, row)
        for rank in range(size)
        for shard in shards_of(plan, rank, size)
        for row in range(shard.start, shard.stop)
    )
    expected = {(str(i), row) for i, u in enumerate(units) for row in range(len(u))}
    assert set(owned) == expected
    assert set(owned.values()) <= {1}


@given(UNITS, st.integers(1, 4))
@settings(deadline=None)
def test_ranks_own_equal_numbers_of_rows_to_within_one(units, size):
    plan = Table(units).plan
    rows = [sum(s.stop - s.start for s in shards_of(plan, r, size)) for r in range(size)]
    assert max(rows) - min(rows) <= 1


def steps_of(feeds: list[Feed]) -> int:
    """Batches of an epoch, as the ranks agree on them."""
    census = [f.census() for f in feeds]
    if feeds[0].options.reading == "all":
        return feeds[0].buckets.batches(sum(census))
    return max(f.buckets.batches(c) for f, c in zip(feeds, census, strict=True))


@given(
    UNITS, st.integers(1, 4), st.integers(1, 3), st.integers(1, 5), st.sampled_from(["all", "own"])
)
@settings(deadline=None, max_examples=80)
def test_an_epoch_trains_each_interaction_once_in_equal_steps(
    units, size, epoch, batch_size, reading
):
    table = Table(units)
    options = dataclasses.replace(OPTIONS, batch_size=batch_size, reading=reading)
    feeds = [table.feed(rank, size, options) for rank in range(size)]
    steps = steps_of(feeds)
    batches = [list(f.epoch(epoch, steps)) for f in feeds]
    assert {len(b) for b in batches} == {steps}
    assert sorted(t for own in batches for b in own for t in targets(b)) == table.items


@given(UNITS, st.integers(2, 4), st.integers(1, 5))
@settings(deadline=None, max_examples=60)
def test_the_number_of_ranks_does_not_change_what_a_step_learns_from(units, size, batch_size):
    table = Table(units)
    options = dataclasses.replace(OPTIONS, batch_size=batch_size)
    alone = [table.feed(options=options)]
    steps = steps_of(alone)
    together = [list(table.feed(rank, size, options).epoch(1, steps)) for rank in range(size)]
    for step, whole in enumerate(alone[0].epoch(1, steps)):
        parts = [own[step] for own in together]
        assert [t for part in parts for t in targets(part)] == targets(whole)
        shares = [part.sequences for part in parts]
        assert max(shares) - min(shares) <= 1


@given(UNITS, st.integers(1, 3), st.integers(0, 12), st.sampled_from(["all", "own"]))
@settings(deadline=None, max_examples=60)
def test_a_fresh_feed_goes_on_where_another_stopped(units, size, done, reading):
    table = Table(units)
    options = dataclasses.replace(OPTIONS, reading=reading)
    steps = steps_of([table.feed(rank, size, options) for rank in range(size)])
    done = min(done, steps)
    for rank in range(size):
        whole = [targets(b) for b in table.feed(rank, size, options).epoch(2, steps)]
        rest = [targets(b) for b in table.feed(rank, size, options).epoch(2, steps, done)]
        assert rest == whole[done:]


def test_only_what_the_split_allows_is_trained_on():
    table = Table([[5, 3]])
    feed = table.feed(training=lambda histories: histories.before(2))
    seen = sorted(t for b in feed.epoch(1, steps_of([feed])) for t in targets(b))
    assert seen == [1, 2, 1001, 1002]


def test_side_features_reach_the_batch_beside_their_items():
    table = Table([[3, 2], [4]])
    sides = [
        pa.array(
            [[i % 7 for i in row] for row in t["item_index"].to_pylist()], pa.list_(pa.int32())
        )
        for t in table.tables
    ]
    table.tables = [
        t.append_column("category", side) for t, side in zip(table.tables, sides, strict=True)
    ]
    table.plan = dataclasses.replace(table.plan, columns=(*COLUMNS, "category"))
    feeds = [table.feed(rank, 3, dataclasses.replace(OPTIONS, batch_size=1)) for rank in range(3)]
    for feed in feeds:
        for batch in feed.epoch(1, steps_of(feeds)):
            np.testing.assert_array_equal(batch.features["category"], batch.items % 7)


def test_no_more_windows_are_held_than_the_buffer_and_the_batches_under_way():
    # One window a unit, so the units that were read are the windows that were taken in.
    table = Table([[4]] * 200)
    taken_in = 0

    def read(plan, unit):
        nonlocal taken_in
        taken_in += 1
        return table.read(plan, unit)

    options = dataclasses.replace(OPTIONS, shuffle_buffer=20)
    feed = Feed(table.plan, 0, 1, options, lambda h: h, read)
    given_out = most = 0
    for batch in feed.epoch(1, 100):
        time.sleep(0.001)
        given_out += batch.sequences
        most = max(most, taken_in - given_out)
    assert given_out == 200
    under_way = (8 + 2) * options.batch_size  # of the background thread, and one here and there
    assert most <= options.shuffle_buffer + under_way + 1


def test_a_window_in_the_buffer_does_not_keep_its_unit_in_memory():
    window = next(Table([[4, 4]]).feed()._windows(np.random.default_rng(0)))
    assert window.items.base is None
    assert window.times.base is None


def order(table: Table, epoch: int, seed: int = 1) -> list[int]:
    options = dataclasses.replace(WHOLE, seed=seed)
    return [t for b in table.feed(options=options).epoch(epoch, 0) for t in targets(b)]


def test_the_same_seed_and_epoch_give_the_same_order():
    table = Table([[4] * 20, [4] * 20])
    assert order(table, 1) == order(table, 1)


def test_another_epoch_or_seed_gives_another_order():
    table = Table([[4] * 20, [4] * 20])
    assert order(table, 1) != order(table, 2)
    assert order(table, 1) != order(table, 1, seed=2)


def test_the_order_of_rows_in_a_file_does_not_matter():
    table = Table([[4, 3, 2, 6]])
    before = order(table, 1)
    table.tables[0] = table.tables[0].take([2, 0, 3, 1])
    assert order(table, 1) == before


def test_an_error_while_reading_reaches_the_trainer():
    table = Table([[4], [4]])

    def broken(plan, unit):
        raise OSError("the file is gone")

    feed = Feed(table.plan, 0, 1, OPTIONS, lambda h: h, broken)
    with pytest.raises(OSError, match="the file is gone"):
        list(feed.epoch(1, 2))


def test_a_consumer_that_stops_early_leaves_no_thread():
    table = Table([[11] * 40])
    for _ in table.feed().epoch(1, 100):
        break
    assert "feed" not in {t.name for t in threading.enumerate()}


def test_waiting_for_input_is_measured():
    table = Table([[4], [4]])

    def slow(plan, unit):
        time.sleep(0.05)
        return table.read(plan, unit)

    feed = Feed(table.plan, 0, 1, OPTIONS, lambda h: h, slow)
    list(feed.epoch(1, 1))
    assert feed.waited >= 0.05


def test_rank_slices_of_one_big_unit_cover_it():
    table = Table([[1] * 10])
    parts = [shards_of(table.plan, rank, 3) for rank in range(3)]
    assert [(p[0].start, p[0].stop) for p in parts] == [(0, 3), (3, 6), (6, 10)]
    users = np.concatenate([h.users for r in range(3) for h in table.feed(r, 3).histories()])
    assert sorted(users) == sorted(table.tables[0]["user_key"].to_pylist())
