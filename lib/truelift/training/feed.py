"""The scan-plan feed: batches of ``gold.sequences``, read with Arrow alone.

The order of an epoch is a pure function of seed and epoch: units come in a seeded order, their
histories are cut into windows, windows are mixed in a buffer, and windows of similar length
make a *global* batch, of which each rank trains an equal part. So neither the number of ranks
nor a restart changes what a step learns from, all ranks take equal numbers of steps, and the
position in an epoch is one number, the batches that lie behind.

For that every rank reads every unit (``reading='all'``), which costs little beside the training
of a model: a window takes some ten microseconds. Where it does not, ``reading='own'`` lets each
rank read its own stretch of the table and make its own batches of a rank's share; then the
batches depend on the number of ranks, and a rank that runs out early goes on with batches
without targets, because Horovod's ranks have to take equal numbers of steps.

A background thread reads ahead, so that the training step does not wait for input.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from truelift.distributed.read_ahead import read_ahead
from truelift.lake.scan import ScanPlan, ScanUnit
from truelift.models.sequence.batches import Batch, LengthBuckets, filler, grouped, pack
from truelift.models.sequence.histories import COLUMNS, SIDE_FEATURES, Histories
from truelift.models.sequence.windows import Window, step_counts, training_windows, window_bounds

ReadUnit = Callable[[ScanPlan, ScanUnit], pa.Table]
# What of whole histories may be trained on: the ``training`` of a split.
TrainingPart = Callable[[Histories], Histories]
# Batches that may wait for the training.
_AHEAD = 8


@dataclass(frozen=True)
class Shard:
    """The rows ``start:stop`` of a unit."""

    unit: ScanUnit
    start: int
    stop: int


def shards_of(plan: ScanPlan, rank: int, size: int) -> tuple[Shard, ...]:
    """The ``rank``-th of ``size`` equal stretches of a plan: each row is in exactly one."""
    units = sorted(plan.units, key=lambda u: (int(u.partition.get("bucket") or 0), u.uri, u.row_group or 0))  # fmt: skip
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
    table = read(plan, shard.unit)
    sides = [name for name in SIDE_FEATURES if name in table.column_names]
    table = table.select([*COLUMNS, *sides]).sort_by("user_key")
    return Histories.from_arrow(table.slice(shard.start, shard.stop - shard.start))


@dataclass(frozen=True)
class FeedOptions:
    """How windows are cut, mixed and packed.

    Parameters
    ----------
    max_length : int
        Positions of the longest window.
    step : str
        ``'session'`` or ``'event'``.
    batch_size : int
        Windows of full length a batch, all ranks together.
    shuffle_buffer : int
        Windows that are mixed with one another; with a unit of reading and the batches under
        way they are all that is in memory.
    seed : int
    reading : str
        ``'all'``: the batches do not depend on the number of ranks. ``'own'``: each rank reads
        its own stretch of the table alone.
    """

    max_length: int
    step: str
    batch_size: int
    shuffle_buffer: int
    seed: int
    reading: str = "all"


class Feed:
    """One rank's training batches.

    Parameters
    ----------
    plan : ScanPlan
        ``gold.sequences`` with the columns of :data:`~truelift.models.sequence.histories.COLUMNS` and
        the side features wanted.
    rank, size : int
    options : FeedOptions
    training : callable
        ``split.training``: what of the histories may be trained on.
    read : callable
        Reads a unit; :func:`truelift.lake.scan.read_unit` outside tests.
    """

    def __init__(
        self,
        plan: ScanPlan,
        rank: int,
        size: int,
        options: FeedOptions,
        training: TrainingPart,
        read: ReadUnit,
    ) -> None:
        self.options = options
        self.shards = shards_of(plan, rank, size)
        self._shared = options.reading == "all"
        self._sources = shards_of(plan, 0, 1) if self._shared else self.shards
        self._plan = plan
        self._rank, self._size = rank, size
        self._training = training
        self._read = read
        self._sides = tuple(name for name in SIDE_FEATURES if name in plan.columns)
        windows = options.batch_size if self._shared else max(1, options.batch_size // size)
        self.buckets = LengthBuckets(options.max_length, windows)
        self.waited = 0.0

    def histories(self) -> Iterator[Histories]:
        """Whole histories of the rank's own stretch, a shard at a time, in the table's order."""
        for shard in self.shards:
            yield read_shard(self._plan, shard, self._read)

    def census(self) -> np.ndarray:
        """Windows of the rank's own stretch in each length bucket; reads it once."""
        counts = np.zeros(len(self.buckets.edges), dtype=np.int64)
        for histories in self.histories():
            past = self._training(histories)
            for steps in step_counts(past, self.options.step):
                for length in np.diff(window_bounds(int(steps), self.options.max_length)):
                    counts[self.buckets.bucket(int(length))] += 1
        return counts

    def epoch(self, number: int, steps: int, done: int = 0) -> Iterator[Batch]:
        """The rank's part of the batches of an epoch, with fillers up to ``steps``.

        Parameters
        ----------
        number : int
            The epoch; decides the order.
        steps : int
            Batches of the epoch.
        done : int
            Batches that an earlier feed has given already; they are passed over.

        Notes
        -----
        ``waited`` grows by the seconds that the caller spent waiting for input.
        """
        taken = done
        with closing(read_ahead(self._batches(number, done), _AHEAD, "feed")) as batches:
            for batch in self._timed(batches):
                taken += 1
                yield batch
        for _ in range(steps - taken):
            yield filler(self._sides)

    def _batches(self, number: int, done: int) -> Iterator[Batch]:
        place = [] if self._shared else [self._rank]
        generator = np.random.default_rng([self.options.seed, *place, number])
        windows = _mixed(self._windows(generator), self.options.shuffle_buffer, generator)
        for position, group in enumerate(grouped(windows, self.buckets)):
            if position >= done:
                yield self._own_part(group)

    def _own_part(self, group: list[Window]) -> Batch:
        if self._shared:
            low, high = (len(group) * r // self._size for r in (self._rank, self._rank + 1))
            group = group[low:high]
        return pack(group) if group else filler(self._sides)

    def _windows(self, generator: np.random.Generator) -> Iterator[Window]:
        for index in generator.permutation(len(self._sources)):
            histories = read_shard(self._plan, self._sources[index], self._read)
            past = self._training(histories)
            for window in training_windows(past, self.options.max_length, self.options.step):
                yield _by_itself(window)

    def _timed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        while True:
            begin = time.perf_counter()
            batch = next(batches, None)
            self.waited += time.perf_counter() - begin
            if batch is None:
                return
            yield batch


def _by_itself(window: Window) -> Window:
    """A copy: a window cut from a unit's arrays would keep all of the unit in memory."""
    return replace(
        window,
        items=window.items.copy(),
        times=window.times.copy(),
        features={name: values.copy() for name, values in window.features.items()},
    )


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
