"""Sessions of a bucket after some periods of its events changed, without reading all of it.

The work is done in a *window*: the changed periods, grown until what is computed in it cannot
depend on an event outside. :class:`EdgeProbeKernel` names the periods that are missing,
:class:`IncrementalSessionKernel` gives the window's rows of ``silver.sessions``.

Ids: an id is a hash of user and start. An event that joins a session after its start leaves
the id as it is; one that bridges two sessions makes one with the id of the first; a late event
before the start makes a session with another start and so another id. The rows that are
replaced are gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.times import MICROSECONDS, microseconds
from truelift.errors import InvariantError
from truelift.lake.periods import period_bounds, periods_between
from truelift.logs.sessions.chains import Chains, Intervals
from truelift.logs.sessions.kernel import SESSION_SCHEMA, SessionKernel, still_open
from truelift.settings import SessionOptions

EDGE_COLUMNS = ("user_key", "event_time")
EDGE_SCHEMA = pa.schema([("bucket", pa.int32()), ("period", pa.string())])
EDGE_DDL = "bucket int, period string"
BucketPeriods = Mapping[int, tuple[str, ...]]


def with_margin(periods: Iterable[str], unit: str, options: SessionOptions) -> tuple[str, ...]:
    """Periods and all that come within the timeout of them: the window to begin with.

    Where events are only ever added, the periods themselves will do. Where an event can leave
    a period (a duplicate that turns out not to be the earliest), what it held together may lie
    just outside, in sessions whose user has no event left inside.
    """
    timeout = options.timeout_seconds * MICROSECONDS
    found: set[str] = set()
    for period in periods:
        start, end = period_bounds(period, unit)
        found.update(periods_between(start - timeout, end - 1 + timeout, unit))
    return tuple(sorted(found))


def grown(windows: BucketPeriods, missing: Iterable[tuple[int, str]]) -> dict[int, tuple[str, ...]]:
    """Windows with the periods that the probe found missing, for the buckets it names."""
    added: dict[int, set[str]] = {}
    for bucket, period in missing:
        added.setdefault(bucket, set(windows.get(bucket, ()))).add(period)
    return {bucket: tuple(sorted(periods)) for bucket, periods in added.items()}


@dataclass(frozen=True)
class EdgeProbeKernel:
    """Row kernel: the periods by which a bucket's window has to grow; no rows when it is whole.

    It is whole when every chain that the changes touch is further than the timeout from the
    window's edges, so that no event outside could join it. A period that is asked for counts
    as part of the window from then on, whether or not the bucket has events in it.

    Attributes
    ----------
    options : SessionOptions
        With ``given: respect`` nothing is asked for: a given id can reach anywhere, so the
        caller takes all periods of the bucket.
    period_unit : str
    changed, windows : mapping of bucket to periods
        The window holds the changed periods; it may have holes.
    """

    options: SessionOptions
    period_unit: str
    changed: BucketPeriods = field(default_factory=dict)
    windows: BucketPeriods = field(default_factory=dict)

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        missing: set[str] = set()
        if self.options.given != "respect":
            missing = self._missing(bucket, tables["events"])
        return pa.table(
            {
                "bucket": pa.array([bucket] * len(missing), pa.int32()),
                "period": pa.array(sorted(missing), pa.string()),
            },
            schema=EDGE_SCHEMA,
        )

    def _missing(self, bucket: int, events: pa.Table) -> set[str]:
        timeout = self.options.timeout_seconds * MICROSECONDS
        changed = Intervals.of(self.changed.get(bucket, ()), self.period_unit)
        window = Intervals.of(self.windows.get(bucket, ()), self.period_unit)
        chains = Chains.of(events, timeout)
        touched = changed.near(chains.first, chains.last, timeout)
        first, last = chains.first[touched], chains.last[touched]
        low, high = window.number_of(first), window.number_of(last)
        if (low < 0).any() or (high < 0).any():
            raise InvariantError(f"Bucket {bucket}: events outside of the window were given.")
        below = first - window.starts[low] < timeout
        above = window.ends[high] - last <= timeout
        # A chain over a hole of the window: what lies in the hole may belong to it.
        bridge = low != high
        reaches = np.concatenate(
            [
                np.stack([first[below] - timeout, window.starts[low[below]]], axis=1),
                np.stack([window.ends[high[above]], last[above] + timeout], axis=1),
                np.stack([first[bridge], last[bridge]], axis=1),
            ]
        )
        found: set[str] = set()
        for start, end in self._spans(reaches):
            found.update(periods_between(start, end, self.period_unit))
        return found - set(self.windows.get(bucket, ()))

    def _spans(self, reaches: np.ndarray) -> list[tuple[int, int]]:
        """Stretches of time, joined where they overlap."""
        spans: list[tuple[int, int]] = []
        for start, end in np.unique(reaches, axis=0).tolist():
            if spans and start <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
            else:
                spans.append((start, end))
        return spans


@dataclass(frozen=True)
class IncrementalSessionKernel:
    """Row kernel: all rows of ``silver.sessions`` that start in a bucket's window.

    Rows of chains that the changes touch are computed anew, the others stay; ``is_open`` is
    set for all of them. A bucket without changed periods keeps its rows, with ``is_open`` set:
    so a partition takes part as well where ``is_open`` is no longer what
    ``end_of_data - end <= timeout`` says.

    Attributes
    ----------
    options : SessionOptions
    end_of_data : int
        Microseconds of the last event of the whole table.
    period_unit : str
    changed, windows : mapping of bucket to periods
        The windows are whole (see :class:`EdgeProbeKernel`); with ``given: respect`` they are
        all periods that the bucket has.

    Tables
    ------
    ``events``
        All events of the bucket in its window (:func:`~truelift.logs.sessions.kernel.event_columns`).
    ``sessions``
        Its present rows of ``silver.sessions`` whose ``period`` lies in the window.
    """

    options: SessionOptions
    end_of_data: int
    period_unit: str
    changed: BucketPeriods = field(default_factory=dict)
    windows: BucketPeriods = field(default_factory=dict)

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        present = tables["sessions"].select(SESSION_SCHEMA.names).cast(SESSION_SCHEMA)
        events = tables["events"]
        again, stale = self._touched(bucket, events, present)
        kept = self._with_open(present.filter(pa.array(~stale)))
        kernel = SessionKernel(self.options, self.end_of_data, self.period_unit)
        made = kernel(bucket, {"events": events.filter(pa.array(again))})
        outside = set(pc.unique(made["period"]).to_pylist())
        outside -= set(self.windows.get(bucket, ()))
        if outside:
            raise InvariantError(
                f"Bucket {bucket}: sessions start in {', '.join(sorted(outside))}, outside of "
                "the window that was read."
            )
        return pa.concat_tables([kept, made])

    def _touched(
        self, bucket: int, events: pa.Table, present: pa.Table
    ) -> tuple[np.ndarray, np.ndarray]:
        """Events whose sessions are made anew, and present rows that they replace; as masks."""
        changed = Intervals.of(self.changed.get(bucket, ()), self.period_unit)
        if self.options.given == "respect" or not len(changed):
            everything = len(changed) > 0
            return np.full(events.num_rows, everything), np.full(present.num_rows, everything)
        timeout = self.options.timeout_seconds * MICROSECONDS
        chains = Chains.of(events, timeout)
        touched = changed.near(chains.first, chains.last, timeout)
        start, end = microseconds(present["start"]), microseconds(present["end"])
        # An old chain that touches a changed period left its events in chains that do, except
        # for those in the period itself; so one of the two conditions finds its rows.
        stale = changed.near(start, end, timeout) | chains.cover(
            touched, present["user_key"], start
        )
        return chains.rows(touched), stale

    def _with_open(self, rows: pa.Table) -> pa.Table:
        still = still_open(microseconds(rows["end"]), self.end_of_data, self.options)
        return rows.set_column(
            rows.schema.get_field_index("is_open"), SESSION_SCHEMA.field("is_open"), pa.array(still)
        )
