"""Silver events to sessions: a kernel per bucket, no shuffle, only what has changed."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.times import microseconds
from truelift.errors import DataError, InvariantError
from truelift.lake.periods import period_of
from truelift.logs.results import SessionAgreement, SessionsResult
from truelift.logs.session_counts import DayCounts, session_counts, united_users
from truelift.logs.session_windows import (
    SessionStanding,
    changed_slices,
    session_standing,
    slices_to_reopen,
    whole_windows,
)
from truelift.logs.sessions.agreement import (
    AGREEMENT_COLUMNS,
    AgreementKernel,
    agreement_columns,
    summarise,
)
from truelift.logs.sessions.given import GIVEN_DDL, GivenSessionsKernel
from truelift.logs.sessions.incremental import IncrementalSessionKernel
from truelift.logs.sessions.kernel import CODED_COLUMNS, SessionKernel, event_columns
from truelift.steps import StepReport

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.lake import ScanPlan
    from truelift.lake.kernels import RowKernel
    from truelift.lake.states import State


def sessionize(job: Job) -> StepReport:
    """Write ``silver.sessions`` and, where the source knows its sessions, score them.

    After the first time only the slices are read and written that changed events can reach.

    Raises
    ------
    DataError
        If there are no events.
    InvariantError
        If the sessions do not hold every event once. A bucket of which that is true is found
        before anything is written.
    """
    standing = session_standing(job)
    events = job.plan("silver.events", event_columns(job.settings.sessions)).coded(CODED_COLUMNS)
    if not events.rows:
        raise DataError("silver.events has no rows, so there are no sessions. Run 'clean' first.")
    if standing.since is None:
        return _from_scratch(job, standing, events)
    before = job.lake.plan("silver.events", events.columns, standing.since)
    changed = changed_slices(before, events)
    if not changed:
        job.outputs["silver.sessions"] = job.lake.version("silver.sessions") or 0
        held = _held(job, standing)
        return _report(job, held, events, _united(job, held.user_sketch, held.user_sketch)[1])
    return _increment(job, standing, events, changed)


def _from_scratch(job: Job, standing: SessionStanding, events: ScanPlan) -> StepReport:
    """All sessions anew."""
    settings = job.settings
    end_of_data = _end_of_data(job, events)
    assert end_of_data is not None
    # Files come period by period; Spark's own rows do not, so these are held bucket by bucket.
    limit = settings.sessions.most_bytes if events.direct else None
    kernel = SessionKernel(settings.sessions, end_of_data, settings.period, limit)
    job.progress.update("events to sessions")
    version = _publish(job, standing, kernel, {"events": events}, end_of_data, None)
    total = session_counts(job.lake, job.lake.plan("silver.sessions", version=version))
    return _report(job, total, events, total.users)


def _increment(
    job: Job, standing: SessionStanding, events: ScanPlan, changed: dict[int, tuple[str, ...]]
) -> StepReport:
    """The sessions of the slices that changed events can reach; the others stay."""
    settings, state = job.settings, standing.state
    job.progress.update("what has changed")
    end_before = int(state.notes["end_of_data"])
    end_of_data = _end_after(job, events, changed, end_before)
    windows = whole_windows(job, events, changed)
    for bucket, periods in slices_to_reopen(job, state, end_before, end_of_data).items():
        windows = {**windows, bucket: tuple(sorted({*windows.get(bucket, ()), *periods}))}
    kernel = IncrementalSessionKernel(
        settings.sessions, end_of_data, settings.period, changed, windows
    )
    sessions = job.lake.plan("silver.sessions", version=state.newest).within(windows)
    plans = {"events": events.within(windows), "sessions": sessions}
    job.progress.update("events to sessions")
    held = _held(job, standing)
    replaced = session_counts(job.lake, sessions)
    slices: dict[str, list[int]] = {}
    for bucket, periods in windows.items():
        for period in periods:
            slices.setdefault(period, []).append(bucket)
    version = _publish(job, standing, kernel, plans, end_of_data, slices)
    now = job.lake.plan("silver.sessions", version=version).within(windows)
    made = session_counts(job.lake, now)
    sketch, users = _united(job, held.user_sketch, made.user_sketch)
    total = replace(held.plus(replaced, -1).plus(made), user_sketch=sketch)
    return _report(job, total, plans["events"], users)


def _publish(
    job: Job,
    standing: SessionStanding,
    kernel: RowKernel,
    plans: dict[str, ScanPlan],
    end_of_data: int,
    slices: dict[str, list[int]] | None,
) -> int:
    notes = {
        "events": job.inputs["silver.events"],
        "rules": standing.rules,
        "end_of_data": end_of_data,
    }
    commit = job.replace_by_kernel("silver.sessions", kernel, plans, standing.state, notes, slices)
    return commit.version


def _held(job: Job, standing: SessionStanding) -> DayCounts:
    """Totals of the table as it is: from the last run's record, or else by counting."""
    record, newest = job.record(job.name), standing.state.newest
    result = record.result(SessionsResult) if record is not None else None
    if record is None or result is None or record.outputs.get("silver.sessions") != newest:
        return session_counts(job.lake, job.lake.plan("silver.sessions", version=newest))
    return DayCounts(
        Counter(dict(result.per_day)), result.events, result.open_sessions,
        base64.b64decode(result.user_sketch),
    )  # fmt: skip


def _united(job: Job, held: bytes, made: bytes) -> tuple[bytes, int]:
    """The sketch of all users, and how many they are; counted where no sketch was kept."""
    if not held:
        return b"", _users(job)
    return united_users(job.lake.spark, held, made or held)


def _report(job: Job, total: DayCounts, measured: ScanPlan, users: int) -> StepReport:
    """Check the totals, save the result and say the headline."""
    rows = job.plan("silver.events", ("user_key",)).rows
    if total.events != rows:
        raise InvariantError(f"silver.events has {rows} rows and the sessions hold {total.events}.")
    result = SessionsResult(
        sessions=sum(total.per_day.values()),
        events=total.events,
        users=users,
        open_sessions=total.open_sessions,
        per_day=tuple(sorted(total.per_day.items())),
        agreement=_agreement(job, measured),
        given=_given(job, measured),
        user_sketch=base64.b64encode(total.user_sketch).decode(),
    )
    job.save_result(result)
    headline: dict[str, float | str | int] = {"users": result.users, "open": result.open_sessions}
    if result.agreement is not None:
        headline |= {
            "session_precision": round(result.agreement.precision, 4),
            "session_recall": round(result.agreement.recall, 4),
        }
    return StepReport(result.events, result.sessions, headline)


@dataclass(frozen=True)
class EndOfDataKernel:
    """Sum kernel: the last event's time in microseconds."""

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State | None:
        ends = [microseconds(b.column("event_time")).max() for b in batches if b.num_rows]
        return {"max_time": np.array(max(ends))} if ends else None


@dataclass(frozen=True)
class UserCountKernel:
    """Sum kernel: the users of a bucket."""

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        users: set[str] = set()
        for batch in batches:
            users.update(pc.unique(batch.column("user_key")).to_pylist())
        return {"users": np.array(len(users))}


def _end_of_data(job: Job, events: ScanPlan) -> int | None:
    found = job.lake.sum_buckets(EndOfDataKernel(), {"events": events.select(("event_time",))})
    return int(found["max_time"]) if found else None


def _end_after(job: Job, events: ScanPlan, changed: dict[int, tuple[str, ...]], before: int) -> int:
    """The end of the data now; all of it is read only where the last event may have gone."""
    newest = _end_of_data(job, events.within(changed))
    period = period_of(np.array([before]), job.settings.period)[0].as_py()
    if any(period in periods for periods in changed.values()) and (newest or 0) < before:
        newest = _end_of_data(job, events)
        assert newest is not None
        return newest
    return max(before, before if newest is None else newest)


def _users(job: Job) -> int:
    """Users with sessions: one column of the sessions, bucket by bucket."""
    plan = job.lake.plan("silver.sessions", ("user_key",), job.outputs["silver.sessions"])
    return int(job.lake.sum_buckets(UserCountKernel(), {"sessions": plan}).get("users", 0))


def _agreement(job: Job, measured: ScanPlan) -> SessionAgreement | None:
    """How well sessions by time match the source's; None where the source gives none.

    After an increment it is measured on the slices that were made anew.
    """
    options = job.settings.sessions
    if options.given == "ignore":
        return None
    plan = measured.select(agreement_columns(options))
    state = job.lake.sum_buckets(AgreementKernel(options), {"events": plan})
    if not state or not int(state["true_sessions"]):
        return None
    agreement = summarise(state)
    job.log_metrics(
        {
            "session_precision": agreement.precision,
            "session_recall": agreement.recall,
            "session_f1": agreement.f1,
            "sessions_merged": agreement.merged,
            "sessions_split": agreement.split,
        }
    )
    return agreement


def _given(job: Job, measured: ScanPlan) -> dict[str, int]:
    """Given ids that break the rules of a session, where they are respected."""
    if job.settings.sessions.given != "respect":
        return {}
    from pyspark.sql import functions as F

    kernel = GivenSessionsKernel(job.settings.sessions)
    plan = measured.select(AGREEMENT_COLUMNS)
    rows = job.lake.map_buckets(kernel, {"events": plan}, GIVEN_DDL)
    figures = rows.groupBy("source_session").agg(
        F.sum("users").alias("u"), F.sum("over_timeout").alias("o")
    )
    found = figures.agg(
        F.sum("u").alias("given_sessions"),
        F.sum("o").alias("given_over_timeout"),
        F.sum((F.col("u") > 1).cast("int")).alias("given_shared"),
    ).first()
    assert found is not None
    return {name: int(count or 0) for name, count in found.asDict().items()}
