"""A rank's rows of a panel, epoch by epoch, without holding them all.

A background thread reads the rank's parts in a seeded order, mixes rows inside a buffer and cuts
batches, so that the training step does not wait for input and memory is bounded by the buffer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from truelift.distributed.read_ahead import read_ahead
from truelift.effects.boosting.reading import Block
from truelift.models.causal.rows import Rows
from truelift.models.trees.binning import drawn

# Rows mixed with one another; at 200 features of four bytes 50 MB.
BUFFER_ROWS = 65_536
_AHEAD = 4
_VALIDATION = 7

#: One part of a rank's rows: called each epoch, gives its rows block by block.
Part = Callable[[], Iterator[Block]]


def rows_of(block: Block, keep: np.ndarray) -> Rows:
    """The rows of a block where ``keep`` is true."""
    return Rows(
        np.ascontiguousarray(block.covariates[:, keep].T, dtype=np.float32),
        block.arm[keep].astype(np.int32),
        np.ascontiguousarray(block.outcome[:, keep].T, dtype=np.float32),
        block.fold[keep].astype(np.int32),
        block.weights()[keep].astype(np.float32),
    )


def chooses(cluster: np.ndarray, share: float) -> np.ndarray:
    """Whether each unit's cluster (a hash) is among those that choose the epoch."""
    return drawn(cluster, share, salt=_VALIDATION)


@dataclass(frozen=True, eq=False)
class RankRows:
    """The rows of one rank.

    Parameters
    ----------
    parts : sequence of Part
    validation : float
        Share of the clusters that train no model.
    batch_size : int
        Rows of this rank a step.
    seed : tuple of int
        With the rank in it.
    """

    parts: Sequence[Part]
    validation: float
    batch_size: int
    seed: tuple[int, ...]
    buffer_rows: int = BUFFER_ROWS

    def counts(self, folds: int, arms: int) -> tuple[int, int, np.ndarray]:
        """Rows to train on, rows that choose, and the weight of the former by fold and arm (K, A).

        Reads all parts once.
        """
        train = choose = 0
        weight = np.zeros(folds * arms)
        for part in self.parts:
            for block in part():
                kept = ~chooses(block.cluster, self.validation)
                train, choose = train + int(kept.sum()), choose + int((~kept).sum())
                cell = block.fold[kept].astype(np.int64) * arms + block.arm[kept]
                weight += np.bincount(cell, block.weights()[kept], folds * arms)
        return train, choose, weight.reshape(folds, arms)

    def epoch(self, number: int) -> Iterator[Rows]:
        """Training batches, each row once, in an order of the epoch's own."""
        return read_ahead(self._batches(number), _AHEAD, "panel rows")

    def choosing(self) -> Iterator[Rows]:
        """The validation rows."""
        for part in self.parts:
            for block in part():
                rows = rows_of(block, chooses(block.cluster, self.validation))
                if len(rows):
                    yield rows

    def _batches(self, number: int) -> Iterator[Rows]:
        generator = np.random.default_rng([*self.seed, number])
        held: list[Rows] = []
        size = 0
        for index in generator.permutation(len(self.parts)):
            for block in self.parts[index]():
                rows = rows_of(block, ~chooses(block.cluster, self.validation))
                held.append(rows)
                size += len(rows)
                if size >= self.buffer_rows:
                    # Half a buffer stays behind to be mixed with what comes next.
                    mixed = Rows.joined(held)
                    mixed = mixed.take(generator.permutation(len(mixed)))
                    leave = (size // 2) // self.batch_size * self.batch_size
                    yield from self._cut(mixed.take(slice(0, leave)))
                    held, size = [mixed.take(slice(leave, None))], size - leave
        if size:
            mixed = Rows.joined(held)
            yield from self._cut(mixed.take(generator.permutation(len(mixed))))

    def _cut(self, rows: Rows) -> Iterator[Rows]:
        for start in range(0, len(rows), self.batch_size):
            yield rows.take(slice(start, start + self.batch_size))

    def steps(self, train_rows: int) -> int:
        """Batches an epoch of so many rows."""
        return -(-train_rows // self.batch_size)
