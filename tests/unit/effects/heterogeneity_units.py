"""Scored units whose true effects are known, in buckets, for tests without Arrow or Spark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from truelift.arrays.keys import mix
from truelift.effects.heterogeneity import PassKernel, ScoredBlock
from truelift.lake.states import add_states

BUCKETS = 10


@dataclass(frozen=True, eq=False)
class Units:
    """Scored units as columns, with the true effect of each."""

    score: np.ndarray
    x: np.ndarray
    cluster: np.ndarray
    effect: np.ndarray
    weight: np.ndarray | None = None

    @property
    def bucket(self) -> np.ndarray:
        return (self.cluster % np.uint64(BUCKETS)).astype(int)

    def fold(self, folds: int) -> np.ndarray:
        return self.bucket % folds

    def block(self, rows: np.ndarray) -> ScoredBlock:
        weight = None if self.weight is None else self.weight[rows]
        return ScoredBlock(self.score[rows], self.x[:, rows], self.cluster[rows], weight)


def simulate(
    seed: int,
    units: int = 2000,
    clusters: int = 400,
    covariates: int = 3,
    slopes: tuple[float, ...] = (),
    weighted: bool = False,
) -> Units:
    """Scores = 1 + slopes'x + noise of the cluster + noise that grows with the first covariate."""
    rng = np.random.default_rng(seed)
    member = rng.integers(0, clusters, units)
    shared = rng.normal(size=(covariates, clusters))
    x = (shared[:, member] + rng.normal(size=(covariates, units))) / np.sqrt(2)
    effect = 1.0 + sum((b * x[j] for j, b in enumerate(slopes)), np.zeros(units))
    noise = rng.normal(size=units) * (1.5 + 0.5 * np.tanh(x[0]))
    score = effect + rng.normal(size=clusters)[member] + noise
    hashes = mix(np.arange(clusters, dtype=np.uint64) + np.uint64(1000 * seed))
    weight = rng.uniform(0.5, 2.0, units) if weighted else None
    return Units(score, x, hashes[member], effect, weight)


def summed(units: Units, block_rows: int = 10**9, order: np.ndarray | None = None) -> Callable:
    """A ``sum_pass`` over the units' buckets, cut into blocks, in the given order of rows."""
    rows = np.arange(len(units.score)) if order is None else order
    of_bucket = [rows[units.bucket[rows] == b] for b in range(BUCKETS)]

    def blocks(mine: np.ndarray) -> Iterator[ScoredBlock]:
        for start in range(0, len(mine), block_rows):
            yield units.block(mine[start : start + block_rows])

    def sum_pass(kernel: PassKernel) -> dict[str, np.ndarray]:
        return add_states(kernel(b, blocks(mine)) for b, mine in enumerate(of_bucket))

    return sum_pass


def as_is(block: ScoredBlock, fold: int) -> ScoredBlock:
    """Reads blocks that are scored already."""
    return block
