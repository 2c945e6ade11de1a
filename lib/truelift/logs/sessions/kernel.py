"""One bucket of events to its rows of ``silver.sessions``, with NumPy and Arrow alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.texts import encode
from truelift.arrays.times import MICROSECONDS
from truelift.errors import InvariantError
from truelift.lake.periods import period_of
from truelift.lake.tables import table_spec
from truelift.logs.sessions.bucket import cut_bucket, texts_at
from truelift.logs.sessions.parts import sessions_in_parts
from truelift.logs.sessions.totals import label_pairs, pairs_of, sums
from truelift.settings import SessionOptions

EVENT_COLUMNS = (
    "user_key",
    "event_time",
    "event_type",
    "item_id",
    "quantity",
    "value",
    "source_session",
    "labels",
)
# Read as dictionaries: the kernel works on codes.
CODED_COLUMNS = ("user_key", "event_type", "item_id", "source_session")
BOT_PREFIX = "bot"
_MOMENT = pa.timestamp("us", tz="UTC")
SESSION_SCHEMA = table_spec("silver.sessions").arrow


def event_columns(options: SessionOptions) -> tuple[str, ...]:
    """Columns of ``silver.events`` that sessions are made of."""
    return (*EVENT_COLUMNS, "context") if "campaign" in options.split_on else EVENT_COLUMNS


@dataclass(frozen=True)
class SessionKernel:
    """Row kernel: cut a bucket's ``events`` into sessions and total them.

    Attributes
    ----------
    options : SessionOptions
        What ends a session, and which event types are conversions.
    end_of_data : int
        Microseconds of the last event of the whole table. A session whose last event is no
        further than the timeout from it is open: more of it may still come.
    period_unit : str
        Unit of the column ``period`` (:mod:`truelift.lake.periods`).
    most_bytes : int, optional
        A bucket with more Arrow bytes is cut stretch by stretch of time
        (:mod:`truelift.logs.sessions.parts`); its batches have to come period by period.
    """

    options: SessionOptions
    end_of_data: int
    period_unit: str = "month"
    most_bytes: int | None = None

    def in_parts(
        self, bucket: int, batches: Iterator[pa.RecordBatch], schema: pa.Schema
    ) -> Iterator[pa.Table]:
        """The same rows, in several tables where the bucket is large."""
        if self.most_bytes is None or self.options.given == "respect":
            events = pa.Table.from_batches(list(batches), schema=schema)
            return iter([self(bucket, {"events": events})])
        return sessions_in_parts(
            self, bucket, batches, schema, self.options, self.period_unit, self.most_bytes
        )

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        events = tables["events"]
        held = cut_bucket(events, self.options)
        cuts, first, last = held.cuts, held.firsts, held.lasts
        starts, ends = held.time[first], held.time[last]
        types = pairs_of(cuts, encode(events["event_type"]))
        labels = label_pairs(cuts, events["labels"])
        conversions = types.count_of(_among(types.values, self.options.conversion_types))
        bots = labels.count_of(np.asarray(pc.starts_with(labels.values, BOT_PREFIX), dtype=bool))
        columns = {
            "session_id": held.session_ids(),
            "user_key": texts_at(held.users, first),
            "start": pa.array(starts, pa.int64()).cast(_MOMENT),
            "end": pa.array(ends, pa.int64()).cast(_MOMENT),
            "duration_seconds": pa.array((ends - starts) / MICROSECONDS),
            "events": pa.array(cuts.lengths, pa.int32()),
            "items": pa.array(pairs_of(cuts, held.items).distinct(), pa.int32()),
            "entry_item": texts_at(held.items, first),
            "exit_item": texts_at(held.items, last),
            "quantity": pa.array(sums(cuts, held.quantity), pa.float64()),
            "value": pa.array(sums(cuts, held.value), pa.float64()),
            "event_types": types.maps(),
            "conversions": pa.array(conversions, pa.int32()),
            "converted": pa.array(conversions > 0),
            "is_open": pa.array(still_open(ends, self.end_of_data, self.options)),
            "is_bot": pa.array(bots > 0),
            "source_sessions": pa.array(pairs_of(cuts, held.given).distinct(), pa.int32()),
            "labels": labels.lists(),
            "bucket": pa.array(np.full(len(first), bucket), pa.int32()),
            "period": period_of(starts, self.period_unit),
        }
        table = pa.table(columns, schema=SESSION_SCHEMA)
        if int(cuts.lengths.sum()) != events.num_rows:
            raise InvariantError(
                f"Bucket {bucket}: {events.num_rows} events came in and "
                f"{int(cuts.lengths.sum())} lie in sessions."
            )
        return table


def still_open(ends: np.ndarray, end_of_data: int, options: SessionOptions) -> np.ndarray:
    """Whether an event after the end of the data could still join; times in microseconds."""
    return end_of_data - ends <= options.timeout_seconds * MICROSECONDS


def _among(values: pa.Array, wanted: tuple[str, ...]) -> np.ndarray:
    return np.asarray(pc.is_in(values, value_set=pa.array(wanted, values.type)), dtype=bool)
