"""The feed: every sequence once an epoch, equal steps on all ranks, the same with a seed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truelift.lake.scan import ScanPlan, ScanUnit
from truelift.models.histories import COLUMNS
from truelift.training.feed import Feed, FeedOptions, shards_of

OPTIONS = FeedOptions(
    cut=10**9, max_length=4, step="session", batch_size=2, shuffle_buffer=3, seed=1
)


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

    def feed(self, rank: int = 0, size: int = 1, options: FeedOptions = OPTIONS) -> Feed:
        return Feed(self.plan, rank, size, options, self.read)


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


@given(UNITS, st.integers(1, 4), st.integers(1, 3))
@settings(deadline=None, max_examples=60)
def test_an_epoch_trains_each_interaction_once_in_equal_steps(units, size, epoch):
    table = Table(units)
    feeds = [table.feed(rank, size) for rank in range(size)]
    steps = max(f.options.buckets.batches(f.census()) for f in feeds)
    batches = [list(f.epoch(epoch, steps)) for f in feeds]
    assert {len(b) for b in batches} == {steps}
    assert sorted(t for own in batches for b in own for t in targets(b)) == table.items


def test_only_events_before_the_cut_are_trained_on():
    table = Table([[5, 3]])
    options = FeedOptions(
        cut=2, max_length=4, step="session", batch_size=2, shuffle_buffer=9, seed=1
    )
    feed = table.feed(options=options)
    steps = options.buckets.batches(feed.census())
    seen = sorted(t for b in feed.epoch(1, steps) for t in targets(b))
    assert seen == [1, 2, 1001, 1002]


def order(table: Table, epoch: int, seed: int = 1) -> list[int]:
    options = FeedOptions(
        cut=10**9, max_length=4, step="session", batch_size=1, shuffle_buffer=50, seed=seed
    )
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

    feed = Feed(table.plan, 0, 1, OPTIONS, broken)
    with pytest.raises(OSError, match="the file is gone"):
        list(feed.epoch(1, 2))


def test_a_consumer_that_stops_early_leaves_no_thread():
    import threading

    table = Table([[11] * 40])
    for _ in table.feed().epoch(1, 100):
        break
    assert "feed" not in {t.name for t in threading.enumerate()}


def test_waiting_for_input_is_measured():
    import time

    table = Table([[4], [4]])

    def slow(plan, unit):
        time.sleep(0.05)
        return table.read(plan, unit)

    feed = Feed(table.plan, 0, 1, OPTIONS, slow)
    list(feed.epoch(1, 1))
    assert feed.waited >= 0.05


def test_rank_slices_of_one_big_unit_cover_it():
    table = Table([[1] * 10])
    parts = [shards_of(table.plan, rank, 3) for rank in range(3)]
    assert [(p[0].start, p[0].stop) for p in parts] == [(0, 3), (3, 6), (6, 10)]
    users = np.concatenate([h.users for r in range(3) for h in table.feed(r, 3).histories()])
    assert sorted(users) == sorted(table.tables[0]["user_key"].to_pylist())
