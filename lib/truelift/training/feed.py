"""The scan-plan feed: each rank reads its own part of ``gold.sequences`` with Arrow alone.

The rows of the pinned version form one line; rank ``r`` of ``n`` owns the ``r``-th of ``n`` equal
stretches of it. A background thread reads the units of the stretch in a seeded random order,
cuts histories into windows, mixes them in a buffer and packs batches, so that the training step
does not wait for input. Every window comes once an epoch; a rank that runs out early goes on
with batches without targets, because Horovod's ranks have to take equal numbers of steps.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.lake.scan import ScanPlan, ScanUnit
from truelift.models.batches import Batch, LengthBuckets, batched, filler
from truelift.models.histories import COLUMNS, Histories
from truelift.models.windows import Window, step_counts, training_windows, window_bounds

ReadUnit = Callable[[ScanPlan, ScanUnit], pa.Table]


@dataclass(frozen=True)
class Shard:
    """The rows ``start:stop`` of a unit."""

    unit: ScanUnit
    start: int
    stop: int


def shards_of(plan: ScanPlan, rank: int, size: int) -> tuple[Shard, ...]:
    """The part of a plan that a rank reads: each row belongs to exactly one rank."""
    units = sorted(plan.units, key=lambda u: (int(u.partition.get("bucket") or 0), u.uri))
    total = sum(unit.rows for unit in units)
    low, high = total * rank // size, total * (rank + 1) // size
    shards = []
    begin = 0
    for unit in units:
        start, stop = max(low - begin, 0), min(high - begin, unit.rows)
        if start < stop:
            shards.append(Shard(unit, start, stop))
        begin += unit.rows
    return tuple(shards)


def read_shard(plan: ScanPlan, shard: Shard, read: ReadUnit) -> Histories:
    """The histories of a shard, by user key: the order of rows in a file carries no meaning."""
    table = read(plan, shard.unit).select(list(COLUMNS)).sort_by("user_key")
    return Histories.from_arrow(table.slice(shard.start, shard.stop - shard.start))


@dataclass(frozen=True)
class FeedOptions:
    """How windows are cut, mixed and packed.

    Parameters
    ----------
    cut : int
        Only events before this time (microseconds since the epoch) are trained on.
    max_length : int
        Positions of the longest window.
    step : str
        ``'session'`` or ``'event'``.
    batch_size : int
        Windows of full length a batch.
    shuffle_buffer : int
        Windows that are mixed with one another.
    seed : int
    """

    cut: int
    max_length: int
    step: str
    batch_size: int
    shuffle_buffer: int
    seed: int

    @property
    def buckets(self) -> LengthBuckets:
        """The length buckets of the batches."""
        return LengthBuckets(self.max_length, self.batch_size)


class Feed:
    """One rank's training batches.

    Parameters
    ----------
    plan : ScanPlan
        ``gold.sequences`` with the columns of :data:`~truelift.models.histories.COLUMNS`.
    rank, size : int
    options : FeedOptions
    read : callable
        Reads a unit; :func:`truelift.lake.scan.read_unit` outside tests.
    """

    def __init__(
        self, plan: ScanPlan, rank: int, size: int, options: FeedOptions, read: ReadUnit
    ) -> None:
        self.options = options
        self.shards = shards_of(plan, rank, size)
        self._plan = plan
        self._rank = rank
        self._read = read
        self.waited = 0.0

    def histories(self) -> Iterator[Histories]:
        """Whole histories, a shard at a time, in the order of the table."""
        for shard in self.shards:
            yield read_shard(self._plan, shard, self._read)

    def census(self) -> np.ndarray:
        """Windows of this rank in each length bucket; reads the shards once."""
        counts = np.zeros(len(self.options.buckets.edges), dtype=np.int64)
        for histories in self.histories():
            past = histories.before(self.options.cut)
            for steps in step_counts(past, self.options.step):
                for length in np.diff(window_bounds(int(steps), self.options.max_length)):
                    counts[self.options.buckets.bucket(int(length))] += 1
        return counts

    def epoch(self, number: int, steps: int) -> Iterator[Batch]:
        """The batches of an epoch: all own windows once, then fillers up to ``steps``.

        ``waited`` grows by the seconds that the caller spent waiting for input.
        """
        taken = 0
        for batch in self._in_background(self._batches(number)):
            taken += 1
            yield batch
        for _ in range(steps - taken):
            yield filler()

    def _batches(self, number: int) -> Iterator[Batch]:
        generator = np.random.default_rng([self.options.seed, self._rank, number])
        windows = _mixed(self._windows(generator), self.options.shuffle_buffer, generator)
        yield from batched(windows, self.options.buckets)

    def _windows(self, generator: np.random.Generator) -> Iterator[Window]:
        for index in generator.permutation(len(self.shards)):
            histories = read_shard(self._plan, self.shards[index], self._read)
            past = histories.before(self.options.cut)
            yield from training_windows(past, self.options.max_length, self.options.step)

    def _in_background(self, batches: Iterator[Batch], ahead: int = 8) -> Iterator[Batch]:
        ready: queue.Queue[Batch | BaseException | None] = queue.Queue(maxsize=ahead)
        stopped = threading.Event()

        def put(entry: Batch | BaseException | None) -> bool:
            while not stopped.is_set():
                try:
                    ready.put(entry, timeout=0.2)
                    return True
                except queue.Full:
                    continue
            return False

        def produce() -> None:
            try:
                for batch in batches:
                    if not put(batch):
                        return
                put(None)
            except BaseException as error:  # handed to the consumer, which raises it
                put(error)

        thread = threading.Thread(target=produce, name="feed", daemon=True)
        thread.start()
        try:
            while True:
                begin = time.perf_counter()
                entry = ready.get()
                self.waited += time.perf_counter() - begin
                if entry is None:
                    return
                if isinstance(entry, BaseException):
                    raise entry
                yield entry
        finally:
            stopped.set()
            thread.join()


def _mixed(
    windows: Iterator[Window], size: int, generator: np.random.Generator
) -> Iterator[Window]:
    """A shuffle buffer: each window leaves from a random place."""
    buffer: list[Window] = []
    for window in windows:
        if len(buffer) < size:
            buffer.append(window)
            continue
        place = int(generator.integers(size))
        yield buffer[place]
        buffer[place] = window
    for place in generator.permutation(len(buffer)):
        yield buffer[place]
