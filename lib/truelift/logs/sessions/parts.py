"""A bucket that is larger than memory, cut into sessions stretch by stretch of time.

Files come period by period. When what is held grows over the limit, all chains that can no
longer go on are cut and given away, and the rest waits for the next period. So a task holds a
limited number of bytes, one period's events of the bucket, and the chains that are open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from truelift.arrays.times import MICROSECONDS, microseconds
from truelift.errors import InvariantError
from truelift.lake.periods import period_bounds, period_of
from truelift.logs.sessions.chains import Chains
from truelift.settings import SessionOptions

Cut = Callable[[int, dict[str, pa.Table]], pa.Table]


def sessions_in_parts(
    cut: Cut,
    bucket: int,
    batches: Iterator[pa.RecordBatch],
    schema: pa.Schema,
    options: SessionOptions,
    period_unit: str,
    most_bytes: int,
) -> Iterator[pa.Table]:
    """Sessions of a bucket, in several tables where it is large.

    Parameters
    ----------
    cut : callable
        The kernel for events that are held at once.
    batches : iterator of RecordBatch
        The bucket's events; batches of one period follow each other, periods in order.
    most_bytes : int
        Arrow bytes above which events are given away at the end of a period.

    Raises
    ------
    InvariantError
        If a batch comes after the end of a period that was given away.
    """
    timeout = options.timeout_seconds * MICROSECONDS
    held: list[pa.RecordBatch] = []
    size, done, current = 0, None, ""
    for batch in batches:
        if not batch.num_rows:
            continue
        period = period_of(microseconds(batch.column("event_time"))[:1], period_unit)[0].as_py()
        if done is not None and period <= done:
            raise InvariantError(f"Bucket {bucket}: events of {period} came after those of {done}.")
        if period != current and size > most_bytes:
            end = period_bounds(current, period_unit)[1]
            events = pa.Table.from_batches(held, schema=schema)
            over = _over(events, end, timeout)
            yield cut(bucket, {"events": events.filter(pa.array(over))})
            held = events.filter(pa.array(~over)).combine_chunks().to_batches()
            size, done = sum(b.nbytes for b in held), current
        current = period
        held.append(batch)
        size += batch.nbytes
    yield cut(bucket, {"events": pa.Table.from_batches(held, schema=schema)})


def _over(events: pa.Table, end: int, timeout: int) -> np.ndarray:
    """Which events lie in chains that no event at or after ``end`` could join."""
    chains = Chains.of(events, timeout)
    return chains.rows(end - chains.last > timeout)
