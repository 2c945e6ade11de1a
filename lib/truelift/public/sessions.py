"""Sessions of a table of events at hand: the job's cuts and session ids, in memory."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.errors import ConfigError, DataError, TableError
from truelift.extras import naming_extras
from truelift.logs.sessions.bucket import CutBucket
from truelift.logs.sessions.table import cut_events, session_schema, session_table
from truelift.public.tables import instants, is_spark_frame, named_columns, opened, text_codes
from truelift.settings import SessionOptions, Settings

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

_TEXTS = frozenset({"user_key", "event_type", "item_id", "source_session"})
_KEYS = ("user", "item", "event_type", "source_session")
_SECONDS = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600,
            "hour": 3600, "d": 86400, "day": 86400}  # fmt: skip
_GAP = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+?)s?\s*")


@dataclass(frozen=True, eq=False)
class Sessions:
    """Sessions, and which one each event belongs to.

    Parameters
    ----------
    table : pyarrow.Table
        A row a session, by user and start, with columns as ``silver.sessions`` has them
        (docs/tables.md), as far as the events have what they are made of.
    left_out : int
        Events without a user or a time, which belong to none.
    gap_seconds : int
    """

    table: pa.Table
    left_out: int
    gap_seconds: int
    _events: int = field(repr=False)
    _rows: np.ndarray | None = field(repr=False)
    _held: CutBucket = field(repr=False)

    def __len__(self) -> int:
        return self.table.num_rows

    @cached_property
    def of_events(self) -> np.ndarray:
        """For each event, in the order given, the row of its session; -1 where it has none.

        Returns
        -------
        ndarray of int64, shape (events,)
        """
        cuts = self._held.cuts
        found = np.empty(len(cuts.order), np.int64)
        found[cuts.order] = cuts.session
        if self._rows is None:
            return found
        everywhere = np.full(self._events, -1, np.int64)
        everywhere[self._rows] = found
        return everywhere

    def to_pandas(self) -> pd.DataFrame:
        """The table as a DataFrame."""
        return self.table.to_pandas()

    def summary(self) -> str:
        """How many there are, how long, and what was left out."""
        if not len(self):
            return "No sessions: there are no events with a user and a time."
        users = pc.count_distinct(self.table["user_key"]).as_py()
        median = pc.quantile(self.table["duration_seconds"], 0.5)[0].as_py()
        first = pc.min(self.table["start"]).as_py().date()
        last = pc.max(self.table["end"]).as_py().date()
        open_ = pc.sum(self.table["is_open"]).as_py()
        told = (
            f"{len(self):,} sessions of {users:,} users from {self._events - self.left_out:,} events, "
            f"{first} to {last} (UTC). A session ends where more than {self.gap_seconds:,} seconds "
            f"pass; the median lasts {median:,.0f} s. {open_:,} were open when the data ended."
        )
        if self.left_out:
            told += f" Left out: {self.left_out:,} events without a user or a time."
        return told

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        return f"Sessions({self.summary()})"

    def _repr_html_(self) -> str:
        head = self.table.slice(0, 20).to_pandas()
        return f"<p>{self.summary()}</p>{head.to_html(index=False)}"


def sessions(
    events: Any,
    *,
    user: str = "user_key",
    time: str = "event_time",
    gap: str | float | datetime.timedelta = "30 minutes",
    item: str | None = None,
    event_type: str | None = None,
    quantity: str | None = None,
    value: str | None = None,
    source_session: str | None = None,
    unit: str | None = None,
    split_on: Iterable[str] = ("gap",),
    time_zone: str = "UTC",
    max_duration: str | float | datetime.timedelta | None = None,
    conversion_types: Iterable[str] = SessionOptions.conversion_types,
) -> Sessions | DataFrame:
    """Cut a table of events into sessions, as the job does, with the same ids.

    Parameters
    ----------
    events : DataFrame, Arrow table, str or path
        As for :func:`~truelift.public.effects.estimate_effects`. Of a Spark DataFrame Spark makes
        the sessions, and the result is its lazy DataFrame.
    user, time : str
        Columns of the user (texts or whole numbers) and the time: timestamps, ISO 8601 texts, or
        numbers with ``unit``. A time without a zone counts as UTC.
    gap : str, number of seconds or timedelta
        A session ends where the gap to the user's next event is **greater**.
    item, event_type, quantity, value, source_session : str, optional
        Further columns; each brings its own to the sessions (entry and exit item, events by type
        and conversions, sums, how many of the source's sessions meet).
    unit : str, optional
        What numbers in ``time`` count since 1970: ``'s'``, ``'ms'``, ``'us'`` or ``'ns'``.
    split_on : list of str
        ``'day'`` (of ``time_zone``) and ``'max_duration'`` end sessions too.
    max_duration : str, number of seconds or timedelta, optional
    conversion_types : list of str
        Event types that count as a conversion.

    Returns
    -------
    Sessions
        Prints a sentence, draws itself in a notebook; ``table``, ``of_events``, ``to_pandas()``.

    Raises
    ------
    TrueliftError
        For a table, column or option that cannot be used.

    Examples
    --------
    >>> import truelift as tl
    >>> tl.sessions("clicks.parquet", user="visitor", time="at", gap="20 min")  # doctest: +SKIP
    """
    named = {
        "user_key": (user, "user"), "event_time": (time, "time"), "item_id": (item, "item"),
        "event_type": (event_type, "event_type"), "quantity": (quantity, "quantity"),
        "value": (value, "value"), "source_session": (source_session, "source_session"),
    }  # fmt: skip
    columns = {name: (column, told) for name, (column, told) in named.items() if column is not None}
    most = None if max_duration is None else _seconds(max_duration, "max_duration")
    ends = tuple(dict.fromkeys([*([split_on] if isinstance(split_on, str) else split_on)]))
    if "campaign" in ends:
        raise ConfigError(
            "split_on: found 'campaign', which needs the context of the lake's events; expected "
            "'gap', 'day' or 'max_duration'. The job 'sessionize' splits on it."
        )
    options = SessionOptions(
        timeout_seconds=_seconds(gap, "gap"),
        split_on=ends,
        time_zone=time_zone,
        max_duration_seconds=most,
        conversion_types=tuple(conversion_types),
    )
    with naming_extras():
        if is_spark_frame(events):
            return _on_spark(events, columns, options)
        table = opened(events)
        rows = named_columns(table, columns, _TEXTS)
        return _sessions(_typed(rows, columns, table.name, unit), options)


def _sessions(events: pa.Table, options: SessionOptions) -> Sessions:
    count, kept = events.num_rows, None
    if events["user_key"].null_count or events["event_time"].null_count:
        there = pc.and_(pc.is_valid(events["user_key"]), pc.is_valid(events["event_time"]))
        kept = np.flatnonzero(there.to_numpy())
        events = events.filter(there)
    held = cut_events(events, options)
    end = int(held.time.max(initial=0))
    table = session_table(events, held, options, end)
    return Sessions(table, count - events.num_rows, options.timeout_seconds, count, kept, held)


def _typed(
    rows: pa.Table, columns: dict[str, tuple[str, str]], table: str, unit: str | None
) -> pa.Table:
    """Columns in the types that the kernel takes."""
    made: dict[str, Any] = {}
    for name, (column, argument) in columns.items():
        given = rows[name]
        if name == "event_time":
            made[name] = instants(given, table, column, unit)
        elif name in _TEXTS:
            made[name] = text_codes(given, table, column)
        else:
            if not (pa.types.is_integer(given.type) or pa.types.is_floating(given.type)
                    or pa.types.is_decimal(given.type)):  # fmt: skip
                raise TableError(
                    f"{table}, column {column!r}: found type {given.type}, expected numbers "
                    f"({argument})."
                )
            made[name] = given.cast(pa.float64(), safe=False)
    return pa.table(made)


def _seconds(given: str | float | datetime.timedelta, name: str) -> int:
    """A duration as whole seconds."""
    seconds: float | None = None
    if isinstance(given, datetime.timedelta):
        seconds = given.total_seconds()
    elif isinstance(given, str):
        found = _GAP.fullmatch(given.lower())
        if found and found[2] in _SECONDS:
            seconds = float(found[1]) * _SECONDS[found[2]]
    elif not isinstance(given, bool):
        seconds = float(given)
    if seconds is None or seconds <= 0 or seconds != int(seconds):
        raise ConfigError(
            f"{name}: found {given!r}, expected a whole number of seconds, or a text such as "
            "'30 minutes', '2 h' or '1 day'."
        )
    return int(seconds)


def _on_spark(
    events: DataFrame, columns: dict[str, tuple[str, str]], options: SessionOptions
) -> DataFrame:
    """The same of Spark's rows, bucket by bucket; one shuffle, by user."""
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_schema

    from truelift.lake.buckets import bucket_column
    from truelift.lake.conditions import quoted

    for column, argument in columns.values():
        if column not in events.columns:
            raise TableError(
                f"the DataFrame has no column {column!r} ({argument}); its columns are "
                f"{', '.join(events.columns)}."
            )
        kind = events.schema[column].dataType.typeName()
        fits, wanted = kind == "timestamp", "a timestamp"
        if argument != "time":
            fits = argument not in _KEYS or kind not in ("float", "double", "decimal")
            wanted = "texts or whole numbers"
        if not fits:
            raise TableError(
                f"the DataFrame, column {column!r} ({argument}): found type {kind}, expected "
                f"{wanted}. Cast it first."
            )
    kinds = {name: "string" for name in _TEXTS} | {"event_time": "timestamp"}
    chosen = events.select(
        *(F.col(quoted(c)).cast(kinds.get(n, "double")).alias(n) for n, (c, _) in columns.items())
    ).dropna(subset=["user_key", "event_time"])
    last = chosen.agg(F.max(F.unix_micros("event_time"))).first()
    if last is None or last[0] is None:
        raise DataError("the DataFrame has no events with a user and a time.")
    end_of_data = int(last[0])

    # Without annotations: Spark would look for types that are not loaded where it runs.
    def run(rows):  # type: ignore[no-untyped-def]
        held = rows.drop_columns(["bucket"])
        return session_table(held, cut_events(held, options), options, end_of_data)

    schema = from_arrow_schema(session_schema(columns))
    placed = chosen.withColumn("bucket", bucket_column("user_key", Settings.buckets))
    return placed.groupBy("bucket").applyInArrow(run, schema)
