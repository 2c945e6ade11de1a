"""Which slices of ``silver.sessions`` have to be made anew after silver has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from truelift.arrays.times import MICROSECONDS
from truelift.fingerprints import fingerprint_of
from truelift.imported_code import code_digest
from truelift.lake.writes import TableState
from truelift.logs.sessions.incremental import (
    EDGE_COLUMNS,
    EDGE_DDL,
    EdgeProbeKernel,
    grown,
    with_margin,
)
from truelift.typed import to_plain

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.lake import ScanPlan

# What cuts sessions: these modules, and all that they import.
CUTTING = (
    "truelift.logs.sessions.given",
    "truelift.logs.sessions.incremental",
    "truelift.logs.sessions.kernel",
)
BucketPeriods = Mapping[int, tuple[str, ...]]


@dataclass(frozen=True)
class SessionStanding:
    """Where ``silver.sessions`` stands before a run.

    Attributes
    ----------
    state : TableState
    since : int or None
        Version of ``silver.events`` that the sessions are of; None to begin anew.
    rules : str
        Hash of code and settings that decide what a session is.
    """

    state: TableState
    since: int | None
    rules: str


def session_standing(job: Job) -> SessionStanding:
    """Go on from the sessions that are there, if they were made by the same rules."""
    settings = job.settings
    code = code_digest(*CUTTING, sections=(type(settings.sessions),))
    layout: dict[str, Any] = {"buckets": settings.buckets, "period": settings.period}
    options = {k: v for k, v in to_plain(settings.sessions).items() if k != "most_bytes"}
    rules = fingerprint_of(code=code, options=options, **layout)
    state = job.lake.state("silver.sessions")
    since = state.notes.get("events")
    goes_on = state.notes.get("rules") == rules
    return SessionStanding(state, since if goes_on else None, rules)


def changed_slices(before: ScanPlan, now: ScanPlan) -> dict[int, tuple[str, ...]]:
    """Slices whose files are not the same in two versions; a compaction counts too."""
    changed: dict[int, set[str]] = {}
    old = {(u.uri, u.row_group): u for u in before.units}
    new = {(u.uri, u.row_group): u for u in now.units}
    for key in old.keys() ^ new.keys():
        partition = (old.get(key) or new[key]).partition
        changed.setdefault(int(partition["bucket"] or 0), set()).add(partition["period"] or "")
    return {bucket: tuple(sorted(periods)) for bucket, periods in sorted(changed.items())}


def whole_windows(job: Job, events: ScanPlan, changed: BucketPeriods) -> BucketPeriods:
    """The changed slices, grown until no event outside can matter to what is inside."""
    options, unit = job.settings.sessions, job.settings.period
    if options.given == "respect":
        held = job.lake.plan("silver.sessions", ("user_key",)).slices()
        known = events.slices()
        return {
            b: tuple(sorted({*known.get(b, ()), *held.get(b, ()), *changed[b]})) for b in changed
        }
    windows = {b: with_margin(periods, unit, options) for b, periods in changed.items()}
    open_ends: BucketPeriods = windows
    while open_ends:
        probe = EdgeProbeKernel(options, unit, changed, windows)
        plan = events.select(EDGE_COLUMNS).within(open_ends)
        rows = job.lake.map_buckets(probe, {"events": plan}, EDGE_DDL).collect()
        open_ends = grown(windows, [(row["bucket"], row["period"]) for row in rows])
        windows = {**windows, **open_ends}
    return windows


def slices_to_reopen(job: Job, state: TableState, before: int, now: int) -> BucketPeriods:
    """Slices with sessions that are open and should not be, or the other way round.

    Parameters
    ----------
    before, now : int
        The end of the data, in microseconds, as the sessions know it and as it is.
    """
    from pyspark.sql import functions as F

    if before == now:
        return {}
    timeout = job.settings.sessions.timeout_seconds * MICROSECONDS
    # The condition on the end lets Spark leave out files by their statistics.
    late = F.col("end") >= F.timestamp_micros(F.lit(min(before, now) - timeout))
    is_open = F.lit(now) - F.unix_micros("end") <= timeout
    table = job.lake.read("silver.sessions", state.newest)
    wrong = table.filter(late & (F.col("is_open") != is_open))
    found: dict[int, set[str]] = {}
    for row in wrong.select("bucket", "period").distinct().collect():
        found.setdefault(row["bucket"], set()).add(row["period"])
    return {bucket: tuple(sorted(periods)) for bucket, periods in sorted(found.items())}
