"""Silver events to sessions: a kernel per bucket, no shuffle, ids that do not move."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truelift.errors import DataError, InvariantError
from truelift.lake.tables import table_spec
from truelift.logs.results import SessionAgreement, SessionsResult
from truelift.logs.sessions.agreement import (
    AGREEMENT_COLUMNS,
    AgreementKernel,
    ProfileKernel,
    summarise,
)
from truelift.logs.sessions.kernel import EVENT_COLUMNS, SessionKernel
from truelift.steps import StepReport

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from truelift.job import Job


def sessionize(job: Job) -> StepReport:
    """Write ``silver.sessions`` and, where the source knows its sessions, score them.

    Raises
    ------
    DataError
        If there are no events.
    InvariantError
        If the sessions do not hold every event once.
    """
    options = job.settings.sessions
    events = job.plan("silver.events", EVENT_COLUMNS)
    profile = job.lake.sum_buckets(ProfileKernel(), {"events": events.select(AGREEMENT_COLUMNS)})
    if not profile:
        raise DataError("silver.events has no rows, so there are no sessions. Run 'clean' first.")
    kernel = SessionKernel(
        timeout_seconds=options.timeout_seconds,
        end_of_data=int(profile["max_time"]),
        respect_source_session=options.respect_source_session,
    )
    job.progress.update("events to sessions")
    frame = job.lake.map_buckets(kernel, {"events": events}, table_spec("silver.sessions").schema())
    commit = job.replace("silver.sessions", frame)
    totals = _totals(job.lake.read("silver.sessions", commit.version))
    sessions = sum(count for _, count, _, _ in totals)
    held = sum(count for _, _, count, _ in totals)
    if held != int(profile["events"]):
        raise InvariantError(
            f"silver.events has {int(profile['events'])} rows and the sessions hold {held}."
        )
    result = SessionsResult(
        sessions=sessions,
        events=held,
        users=int(profile["users"]),
        open_sessions=sum(count for _, _, _, count in totals),
        per_day=tuple((day, count) for day, count, _, _ in totals),
        agreement=_agreement(job, int(profile["given"])),
    )
    job.save_result(result)
    headline: dict[str, float | str | int] = {"users": result.users, "open": result.open_sessions}
    if result.agreement is not None:
        headline |= {
            "session_precision": round(result.agreement.precision, 4),
            "session_recall": round(result.agreement.recall, 4),
        }
    return StepReport(result.events, result.sessions, headline)


def _totals(sessions: DataFrame) -> list[tuple[str, int, int, int]]:
    """Date (UTC), sessions, events in them and open sessions, in order of the dates."""
    from pyspark.sql import functions as F

    day = F.date_format("start", "yyyy-MM-dd").alias("day")
    counted = sessions.groupBy(day).agg(
        F.count(F.lit(1)).alias("sessions"),
        F.sum("events").alias("events"),
        F.sum(F.col("is_open").cast("int")).alias("open"),
    )
    rows = counted.collect()
    return sorted((r["day"], r["sessions"], r["events"], r["open"]) for r in rows)


def _agreement(job: Job, given: int) -> SessionAgreement | None:
    """How well sessions by time match the source's; None where the source gives none."""
    if not given:
        return None
    options = job.settings.sessions
    kernel = AgreementKernel(options.timeout_seconds, options.respect_source_session)
    plan = job.plan("silver.events", AGREEMENT_COLUMNS)
    agreement = summarise(job.lake.sum_buckets(kernel, {"events": plan}))
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
