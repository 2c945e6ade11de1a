"""Times of rows: which columns may hold them, their order, and whether treatment follows it."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import gammaln

from truelift.effects.panel.columns import PanelColumns

# Whole numbers and texts are times only where many rows share them.
_ROWS_A_TIME = 5
_TIME_LIKE = re.compile(
    r"(^|_)(t|time|date|day|week|month|quarter|year|period|wave|round|post|after)(_|$|\d)", re.I
)


def time_columns(schema: pa.Schema, columns: PanelColumns) -> tuple[str, ...]:
    """Columns that may hold times: of those that play a part, and of dates or what is called so."""
    weight = [columns.weight] if columns.weight else []
    taken = {columns.arms.column, columns.cluster, columns.unit, *columns.outcomes, *weight}
    plays = set(columns.of_scores())
    found = []
    for field in schema:
        kind = field.type
        known = any(
            is_kind(kind)
            for is_kind in (
                pa.types.is_integer, pa.types.is_floating, pa.types.is_string,
                pa.types.is_large_string, pa.types.is_date32, pa.types.is_timestamp,
            )
        )  # fmt: skip
        # Spark does not hand on nanoseconds.
        known &= not (pa.types.is_timestamp(kind) and kind.unit == "ns")
        called = is_time_like(field)
        if known and field.name not in taken and (called or field.name in plays):
            found.append((not called, field.name))
    return tuple(name for _, name in sorted(found))


def is_time_like(field: pa.Field) -> bool:
    """Whether a column has dates, or is called as times are; it need not play a part."""
    return _is_dated(field.type) or _TIME_LIKE.search(field.name) is not None


def _is_dated(kind: pa.DataType) -> bool:
    return pa.types.is_date(kind) or pa.types.is_timestamp(kind)


def times_of(batch: pa.RecordBatch, column: str) -> np.ndarray | None:
    """Values in an order of time, or None where the column does not look like one."""
    values = batch.column(batch.schema.get_field_index(column))
    kind = values.type
    if values.null_count or (pa.types.is_floating(kind) and not _whole(values)):
        return None
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        distinct = pc.unique(values)
        if not pc.all(pc.match_substring_regex(distinct, r"\d")).as_py():
            return None
    ranks = pc.rank(values, tiebreaker="dense").to_numpy(zero_copy_only=False).astype(float)
    found = int(ranks.max())
    shared = found * _ROWS_A_TIME <= len(ranks)
    return ranks if found > 1 and (shared or _is_dated(kind)) else None


def _whole(values: pa.Array) -> bool:
    numbers = values.to_numpy(zero_copy_only=False)
    return bool(np.all(np.isfinite(numbers)) and np.all(numbers == np.round(numbers)))


def in_order(
    cluster: np.ndarray, treated: np.ndarray, time: np.ndarray
) -> tuple[int, float, float]:
    """Clusters with both kinds of rows, the share in which all treated come last, and by how many
    standard deviations these are more than if rows were treated in any order.

    Parameters
    ----------
    cluster : ndarray of int, n
        Codes from 0 on.
    treated : ndarray of bool, n
    time : ndarray, n
    """
    size = int(cluster.max()) + 1
    n, k = np.bincount(cluster, minlength=size), np.bincount(cluster, treated, minlength=size)
    last, first = np.full(size, -np.inf), np.full(size, np.inf)
    np.maximum.at(last, cluster[~treated], time[~treated])
    np.minimum.at(first, cluster[treated], time[treated])
    both = (k > 0) & (k < n)
    count = int(np.count_nonzero(both))
    if not count:
        return 0, 0.0, 0.0
    found = last[both] < first[both]
    n, k = n[both], k[both]
    chance = np.exp(gammaln(k + 1) + gammaln(n - k + 1) - gammaln(n + 1))
    spread = float(np.sqrt(np.sum(chance * (1 - chance))))
    surplus = (float(found.sum()) - float(chance.sum())) / max(spread, 1e-12)
    return count, float(found.mean()), surplus
