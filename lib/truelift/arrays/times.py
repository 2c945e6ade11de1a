"""Instants as whole microseconds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

MICROSECONDS = 1_000_000
MICROSECONDS_PER_DAY = 86_400 * MICROSECONDS


def microseconds(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Times as int64 microseconds since 1970-01-01 UTC.

    Raises
    ------
    ValueError
        For a time that is missing: no number stands for it.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if column.null_count:
        raise ValueError(
            "a column such as event_time holds nulls; clean rejects them before sessions are made"
        )
    unit = pa.timestamp("us", tz=getattr(column.type, "tz", None))
    return column.cast(unit).view(pa.int64()).to_numpy(zero_copy_only=False)
