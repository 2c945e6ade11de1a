"""Rows on their way to the task that judges them: one parcel of Arrow data a slice.

Spark's shuffle and sort cost several microseconds a wide row. A parcel is one row to them: the
rows of a slice (bucket and period) that a task has read, as the bytes of one record batch. The
rows themselves are sorted where they arrive, as arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.lake.kernels import tables_of_rows
from truelift.lake.periods import DAY, period_bounds, period_of
from truelift.lake.workers import remember_archives
from truelift.logs.bots import declares_itself
from truelift.logs.neighbours.flat import full_rows
from truelift.logs.neighbours.users import is_valid

PARCEL_COLUMNS = "bucket int, period string, part int, parcel binary"
_PARCELS = pa.schema(
    [
        ("bucket", pa.int32()),
        ("period", pa.string()),
        ("part", pa.int32()),
        ("parcel", pa.binary()),
    ]
)
_ROWS_AT_ONCE = 200_000
_ROWS_A_PARCEL = 20_000
_BATCH_BYTES = 2**20
_FIRST, _END = period_bounds("all", "all")


@dataclass(frozen=True)
class Parcelling:
    """What a task needs to know to make parcels.

    Attributes
    ----------
    schema : pyarrow.Schema
        Columns of the rows in a parcel.
    period : str
        Unit of periods.
    near, far : int
        Microseconds that any row matters to others, and a purchase to a return after it.
    rejected_slice : str
        The period under which rejected rows are filed.
    context : tuple of str, optional
        Names of the context's entries, where the rows come flat.
    """

    schema: pa.Schema
    period: str
    near: int
    far: int
    rejected_slice: str
    context: tuple[str, ...] | None = None


def parcel_task(
    batches: Iterable[pa.RecordBatch], parcelling: Parcelling
) -> Iterator[pa.RecordBatch]:
    """Parcels of a stream of judged rows, as ``mapInArrow`` asks for them.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
        Rows in full, or flat (see :mod:`truelift.logs.neighbours.flat`), with ``bucket`` and
        ``part``.
    """
    remember_archives()
    for rows in tables_of_rows(batches, _ROWS_AT_ONCE):
        yield from parcels(rows, parcelling)


def parcels(rows: pa.Table, parcelling: Parcelling) -> Iterator[pa.RecordBatch]:
    """The rows as parcels, a slice after the other; rows that other slices look at are copied."""
    rows = rows.combine_chunks()
    if parcelling.context is not None:
        rows = full_rows(rows, parcelling.context)
    place, period, names = _placed(rows, parcelling)
    own = np.arange(len(place)) < rows.num_rows
    bucket, part = (np.asarray(rows[name])[place].astype(np.int64) for name in ("bucket", "part"))
    parts = int(part.max(initial=0)) + 1
    key = (bucket * len(names) + period) * parts + part
    # NumPy sorts short integers by radix.
    order = np.argsort(key.astype(np.int16) if key.max() < 2**15 else key, kind="stable")
    agents = _crawlers_only(rows["_user_agent"])
    rows = rows.set_column(rows.schema.get_field_index("_user_agent"), "_user_agent", agents)
    for field in parcelling.schema:
        if field.name not in (*rows.column_names, "_own"):
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    names_sent = [name for name in parcelling.schema.names if name != "_own"]
    sent = rows.select(names_sent).take(pa.array(place[order]))
    sent = sent.append_column("_own", pa.array(own[order])).select(parcelling.schema.names)
    (batch,) = sent.cast(parcelling.schema).combine_chunks().to_batches()
    sorted_key = key[order]
    first = np.append(True, sorted_key[1:] != sorted_key[:-1])
    first[::_ROWS_A_PARCEL] = True
    starts = np.flatnonzero(first)
    made: list[tuple[int, str | None, int, pa.Buffer]] = []
    size = 0
    for start, end in pairwise([*starts.tolist(), len(order)]):
        at = order[start]
        data = batch.slice(start, end - start).serialize()
        made.append((int(bucket[at]), names[period[at]], int(part[at]), data))
        size += data.size
        if size >= _BATCH_BYTES:
            yield _batch(made)
            made, size = [], 0
    if made:
        yield _batch(made)


def opened(parcels: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows of a slice's parcels, in one chunk, with their slice."""
    batches = [
        pa.ipc.read_record_batch(parcel.as_buffer(), schema)
        for chunk in parcels["parcel"].chunks
        for parcel in chunk
    ]
    rows = pa.Table.from_batches(batches, schema).combine_chunks()
    for name in ("bucket", "period"):
        value = parcels[name][0]
        rows = rows.append_column(name, pa.repeat(value, rows.num_rows))
    return rows


def _batch(made: list[tuple[int, str | None, int, pa.Buffer]]) -> pa.RecordBatch:
    bucket, period, part, data = zip(*made, strict=True)
    ends = np.cumsum([0, *(one.size for one in data)], dtype=np.int32)
    # As bytes they would be copied twice more, and by pages.
    joined = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(data))]
    return pa.RecordBatch.from_arrays(
        [
            pa.array(bucket, pa.int32()),
            pa.array(period, pa.string()),
            pa.array(part, pa.int32()),
            pa.BinaryArray.from_buffers(pa.binary(), len(made), joined),
        ],
        schema=_PARCELS,
    )


def _placed(
    rows: pa.Table, parcelling: Parcelling
) -> tuple[np.ndarray, np.ndarray, list[str | None]]:
    """Rows and the slices in which they are looked at: first all in their own, then copies.

    A return asks for the purchase before it, and only for that: so of all rows but the near
    ones, purchases alone are copied, and only to the slice that follows.

    Returns
    -------
    place, period : ndarray of int64, shape (n,)
        Row, and number of the period.
    names : list of str
        The periods; the last two are that of rejected rows, and none.
    """
    time = rows["event_time"].combine_chunks()
    known = np.asarray(time.is_valid())
    micros = np.clip(pc.fill_null(time.cast(pa.int64()), 0).to_numpy(), _FIRST, _END - 1)
    valid = is_valid(rows)
    bought = np.asarray(pc.fill_null(pc.greater(rows["quantity"], 0), False))
    ahead = np.where(bought, parcelling.near + parcelling.far, parcelling.near)
    moments = np.stack([micros, micros - parcelling.near, micros + ahead])
    days = np.clip(moments, _FIRST, _END - 1) // DAY
    coded = pa.array(days.ravel()).dictionary_encode()
    named = period_of(coded.dictionary.to_numpy() * DAY, parcelling.period).dictionary_encode()
    numbers = named.indices.to_numpy()[coded.indices.to_numpy()].reshape(days.shape)
    own, before, after = numbers.astype(np.int64)
    names = [*named.dictionary.to_pylist(), parcelling.rejected_slice, None]
    looked_at = valid & known
    copied = [np.flatnonzero(looked_at & (other != own)) for other in (before, after)]
    own = np.where(valid, np.where(known, own, len(names) - 1), len(names) - 2)
    place = np.concatenate([np.arange(rows.num_rows), *copied])
    return place, np.concatenate([own, before[copied[0]], after[copied[1]]]), names


def _crawlers_only(user_agents: pa.ChunkedArray) -> pa.Array:
    """User agents of crawlers; others have nothing to say and need not be carried along."""
    column = user_agents.combine_chunks()
    if column.null_count == len(column):
        return column
    coded = column.dictionary_encode()
    words = coded.dictionary.to_pylist()
    kept = pa.array([word if declares_itself(word) else None for word in words], pa.string())
    return kept.take(coded.indices)
