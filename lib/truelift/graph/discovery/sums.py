"""One pass: cross-products of all columns by bucket of clusters, exact and additive."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.graph.discovery.columns import Variable, encoded, places
from truelift.lake.buckets import buckets_of
from truelift.lake.states import State

_ROWS = 1 << 16


@dataclass(frozen=True)
class GramKernel:
    """A sum kernel: Gram matrices of the encoded columns, with a one before them, by bucket.

    Entries are whole numbers below 2^18 and a block has at most 2^16 rows, so products add up to less
    than 2^53: floating point has them exactly, and the order of rows does not matter.

    Parameters
    ----------
    variables : tuple of Variable
    cluster : str or None
        Rows that share it may depend; without it rows are dealt out by their number.
    buckets : int
    """

    variables: tuple[Variable, ...]
    cluster: str | None
    buckets: int

    def __call__(self, bucket: int, batches: Iterable[pa.RecordBatch]) -> State:
        """The state of some rows, of whatever buckets."""
        width = int(places(self.variables)[-1]) + 1
        gram = np.zeros((self.buckets, width, width), np.int64)
        seen = 0
        for whole in batches:
            for at in range(0, whole.num_rows, _ROWS):
                batch = whole.slice(at, _ROWS)
                self._add(batch, gram, seen)
                seen += batch.num_rows
        return {"gram": gram}

    def _add(self, batch: pa.RecordBatch, gram: np.ndarray, seen: int) -> None:
        rows = encoded(batch, self.variables)
        place = self.place(batch, seen)
        order = np.argsort(place, kind="stable")
        cuts = np.searchsorted(place[order], np.arange(self.buckets + 1))
        block = np.ones((len(rows) + 1, batch.num_rows))
        np.take(rows, order, axis=1, out=block[1:])
        for b in range(self.buckets):
            own = block[:, cuts[b] : cuts[b + 1]]
            if own.shape[1]:
                gram[b] += (own @ own.T).astype(np.int64)

    def place(self, batch: pa.RecordBatch, seen: int = 0) -> np.ndarray:
        """The bucket of each row."""
        if self.cluster is None:
            return (seen + np.arange(batch.num_rows)) % self.buckets
        keys = batch.column(batch.schema.get_field_index(self.cluster))
        found = buckets_of(keys, self.buckets)
        assert found is not None  # of all types in which columns are kept
        return found


@dataclass(frozen=True, eq=False)
class Moments:
    """Second moments of the columns, by bucket.

    Parameters
    ----------
    starts : ndarray of int, p + 1
        Where each variable's columns begin.
    rows : ndarray, B
    crosses : ndarray, B x q x q
        Sums of products of the columns, each less its mean over all rows, in standard deviations.
    """

    starts: np.ndarray
    rows: np.ndarray
    crosses: np.ndarray

    @property
    def n(self) -> float:
        """All rows."""
        return float(self.rows.sum())

    @property
    def correlation(self) -> np.ndarray:
        """Of all columns."""
        found: np.ndarray = self.crosses.sum(axis=0) / self.n
        return found


def moments_of(
    gram: np.ndarray, variables: Sequence[Variable], weights: np.ndarray | None = None
) -> Moments:
    """Moments of the sums; ``weights`` are whole numbers by bucket, as a bucket drawn twice has.

    Buckets without rows, or of weight zero, are left out.
    """
    weights = np.ones(len(gram), np.int64) if weights is None else weights
    kept = (weights > 0) & (gram[:, 0, 0] > 0)
    gram, weights = gram[kept], weights[kept]
    total = np.tensordot(weights, gram, 1).astype(np.float64)
    n = total[0, 0]
    mean = total[0, 1:] / n
    own = (weights[:, None, None] * gram).astype(np.float64)
    rows, firsts = own[:, 0, 0], own[:, 0, 1:]
    crosses = own[:, 1:, 1:] - firsts[:, :, None] * mean - mean[:, None] * firsts[:, None, :]
    crosses += rows[:, None, None] * np.outer(mean, mean)
    spread = np.sqrt(np.maximum(np.diagonal(crosses.sum(axis=0)) / n, 1e-300))
    crosses /= spread[:, None] * spread
    return Moments(places(variables), rows, crosses)
