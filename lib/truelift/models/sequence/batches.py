"""Windows of similar length side by side, a near constant number of positions a batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from truelift.models.sequence.windows import Window


@dataclass(frozen=True)
class Batch:
    """Windows of a batch as a list of (window, slot, item) entries.

    Parameters
    ----------
    rows, slots, items : numpy.ndarray of int32, shape (entries,)
    windows : int
        Number of windows.
    width : int
        Positions of the longest window; slots run from 0 to ``width``.
    sequences : int
        Windows that are real; 0 marks the filler batch of a rank that has run out.
    times : numpy.ndarray of int64, shape (entries,)
        Microseconds since the epoch.
    features : mapping of str to numpy.ndarray of int32, shape (entries,)
        Side features of each entry.
    sessions : numpy.ndarray of int32, shape (entries,)
        Session number of each entry.
    """

    rows: np.ndarray
    slots: np.ndarray
    items: np.ndarray
    windows: int
    width: int
    sequences: int
    times: np.ndarray
    features: Mapping[str, np.ndarray] = field(default_factory=dict)
    sessions: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))


def pack(windows: Sequence[Window]) -> Batch:
    """Lay windows side by side."""
    sizes = [len(w.items) for w in windows]
    return Batch(
        rows=np.repeat(np.arange(len(windows), dtype=np.int32), sizes),
        slots=np.concatenate([w.slots for w in windows]).astype(np.int32),
        items=np.concatenate([w.items for w in windows]).astype(np.int32),
        windows=len(windows),
        width=max(w.length for w in windows),
        sequences=len(windows),
        times=np.concatenate([w.times for w in windows]),
        features={
            name: np.concatenate([w.features[name] for w in windows])
            for name in windows[0].features
        },
        sessions=np.concatenate([w.sessions for w in windows]),
    )


def filler(features: Sequence[str] = ()) -> Batch:
    """A batch without targets: its loss and gradient are zero."""
    nothing = np.zeros(0, dtype=np.int32)
    return Batch(
        nothing,
        nothing,
        nothing,
        windows=1,
        width=1,
        sequences=0,
        times=nothing.astype(np.int64),
        features=dict.fromkeys(features, nothing),
    )


@dataclass(frozen=True)
class LengthBuckets:
    """Which windows share a batch, and how many.

    Parameters
    ----------
    max_length : int
        Longest window.
    batch_size : int
        Windows a batch at full length; shorter windows come in greater number.
    """

    max_length: int
    batch_size: int

    @property
    def edges(self) -> tuple[int, ...]:
        """Upper lengths of the buckets: powers of two from 8, then ``max_length``."""
        edges = []
        edge = 8
        while edge < self.max_length:
            edges.append(edge)
            edge *= 2
        return (*edges, self.max_length)

    def bucket(self, length: int) -> int:
        """The bucket of a window."""
        return int(np.searchsorted(self.edges, length))

    def rows(self, bucket: int) -> int:
        """Windows in a full batch of a bucket."""
        return max(1, self.batch_size * self.max_length // self.edges[bucket])

    def batches(self, counts: np.ndarray) -> int:
        """Batches that an epoch takes, from the number of windows in each bucket."""
        return int(sum(-(-int(n) // self.rows(b)) for b, n in enumerate(counts)))


def grouped(windows: Iterable[Window], buckets: LengthBuckets) -> Iterator[list[Window]]:
    """Windows of a batch, in the order in which their buckets fill; what is left comes at the end.

    Only the end of the epoch gives a part-filled batch, so the number of batches depends on
    the lengths and never on the order of the windows.
    """
    waiting: list[list[Window]] = [[] for _ in buckets.edges]
    for window in windows:
        bucket = buckets.bucket(window.length)
        waiting[bucket].append(window)
        if len(waiting[bucket]) == buckets.rows(bucket):
            yield waiting[bucket]
            waiting[bucket] = []
    yield from (rest for rest in waiting if rest)


def batched(windows: Iterable[Window], buckets: LengthBuckets) -> Iterator[Batch]:
    """The batches of :func:`grouped`, packed."""
    return map(pack, grouped(windows, buckets))
