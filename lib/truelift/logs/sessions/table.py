"""Sessions of a table of events at hand: the job's cuts and ids, only the columns asked for.

:class:`~.kernel.SessionKernel` makes all columns of ``silver.sessions`` from clean events. Here
the events have the columns that someone has, and sessions get what follows from those.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.texts import encode
from truelift.arrays.times import MICROSECONDS
from truelift.errors import InvariantError
from truelift.logs.sessions.bucket import CutBucket, cut_bucket, texts_at
from truelift.logs.sessions.kernel import SESSION_SCHEMA, still_open
from truelift.logs.sessions.totals import pairs_of, sums
from truelift.settings import SessionOptions

_ABSENT = {
    "event_type": pa.string(),
    "item_id": pa.string(),
    "quantity": pa.float64(),
    "value": pa.float64(),
    "source_session": pa.string(),
}


def session_schema(columns: Collection[str]) -> pa.Schema:
    """What :func:`session_table` gives for events with these columns."""
    names = ["session_id", "user_key", "start", "end", "duration_seconds", "events"]
    names += ["items", "entry_item", "exit_item"] if "item_id" in columns else []
    names += [name for name in ("quantity", "value") if name in columns]
    if "event_type" in columns:
        names += ["event_types", "conversions", "converted"]
    names += ["is_open"]
    names += ["source_sessions"] if "source_session" in columns else []
    return pa.schema([SESSION_SCHEMA.field(name) for name in names])


def cut_events(events: pa.Table, options: SessionOptions) -> CutBucket:
    """Events in order, cut into sessions.

    Parameters
    ----------
    events : pyarrow.Table
        ``user_key`` and ``event_time`` without nulls; where there are such, ``event_type``,
        ``item_id``, ``quantity``, ``value`` and ``source_session``.
    options : SessionOptions
    """
    absent = [name for name in _ABSENT if name not in events.column_names]
    for name in absent:
        events = events.append_column(name, pa.nulls(events.num_rows, _ABSENT[name]))
    return cut_bucket(events, options)


def session_table(
    events: pa.Table, held: CutBucket, options: SessionOptions, end_of_data: int
) -> pa.Table:
    """A row a session, by user and start; columns as in ``silver.sessions``.

    Parameters
    ----------
    events : pyarrow.Table
        Of :func:`cut_events`, which made ``held`` of it.
    held : CutBucket
    options : SessionOptions
    end_of_data : int
        Microseconds of the last event there is.

    Raises
    ------
    InvariantError
        If an event were lost.
    """
    cuts, first, last = held.cuts, held.firsts, held.lasts
    schema = session_schema(events.column_names)
    starts, ends = held.time[first], held.time[last]
    made: dict[str, Any] = {
        "session_id": held.session_ids(),
        "user_key": texts_at(held.users, first),
        "start": pa.array(starts, pa.int64()).cast(SESSION_SCHEMA.field("start").type),
        "end": pa.array(ends, pa.int64()).cast(SESSION_SCHEMA.field("end").type),
        "duration_seconds": pa.array((ends - starts) / MICROSECONDS),
        "events": pa.array(cuts.lengths, pa.int32()),
        "is_open": pa.array(still_open(ends, end_of_data, options)),
    }
    if "items" in schema.names:
        made["items"] = pa.array(pairs_of(cuts, held.items).distinct(), pa.int32())
        made["entry_item"] = texts_at(held.items, first)
        made["exit_item"] = texts_at(held.items, last)
    for name, numbers in (("quantity", held.quantity), ("value", held.value)):
        if name in schema.names:
            made[name] = pa.array(sums(cuts, numbers), pa.float64())
    if "event_types" in schema.names:
        types = pairs_of(cuts, encode(events["event_type"]))
        wanted = pc.is_in(types.values, pa.array(options.conversion_types, types.values.type))
        conversions = types.count_of(np.asarray(wanted, dtype=bool))
        made["event_types"] = types.maps()
        made["conversions"] = pa.array(conversions, pa.int32())
        made["converted"] = pa.array(conversions > 0)
    if "source_sessions" in schema.names:
        made["source_sessions"] = pa.array(pairs_of(cuts, held.given).distinct(), pa.int32())
    if int(cuts.lengths.sum()) != events.num_rows:
        raise InvariantError(
            f"{events.num_rows} events came in and {int(cuts.lengths.sum())} lie in sessions."
        )
    return pa.table({name: made[name] for name in schema.names}, schema=schema)
