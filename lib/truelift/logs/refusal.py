"""A cleaning that is refused: too many rows rejected, with the reasons, and the rows kept to look at."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from truelift.errors import DataError
from truelift.lake.tables import table_spec
from truelift.logs.accounts import Tally
from truelift.logs.hints import WORDS
from truelift.logs.neighbours.names import COPIES
from truelift.logs.neighbours.placing import judge_neighbours
from truelift.logs.number_hints import other_number_format
from truelift.logs.sources.columns import FILE_TIME, held_name
from truelift.logs.time_hints import other_time_format

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

    from truelift.job import Job

REFUSED = "ops.refused"


def check_share(job: Job, fresh: Tally, users: DataFrame) -> None:
    """Refuse to publish where too many of the new rows are rejected.

    The rejected rows go into ``ops.refused``, which holds those of the last refusal; nobody
    reads it but ``explain-quarantine``.

    Parameters
    ----------
    job : Job
    fresh : Tally
        The new rows by what became of them.
    users : DataFrame
        The parcels that they were judged from.

    Raises
    ------
    DataError
        With the reasons, and an example of the most frequent one.
    """
    limit = job.settings.clean.max_quarantine_share
    if not fresh.rows or fresh.quarantine <= limit * fresh.rows:
        return
    rejected = {r: n for r, n in fresh.reasons.items() if r not in COPIES}
    worst = max(rejected, key=lambda reason: (rejected[reason], reason))
    _keep(job, users)
    raise DataError(
        f"{fresh.quarantine} of {fresh.rows} rows of bronze.events are rejected "
        f"({fresh.quarantine / fresh.rows:.1%}), more than clean.max_quarantine_share "
        f"({limit:.1%}) allows. Reasons: {', '.join(f'{r} {n}' for r, n in rejected.items())}. "
        f"{_example(job, worst)} Nothing was published in silver; 'truelift explain-quarantine' "
        "shows the refused rows."
    )


def clear_refused(job: Job) -> None:
    """After a cleaning that was published, there are no refused rows."""
    if job.lake.version(REFUSED) is None or not job.lake.plan(REFUSED).rows:
        return
    # A fingerprint of its own: the refusal may have had the job's.
    nothing = job.lake.read(REFUSED).limit(0)
    commit = job.lake.replace(REFUSED, nothing, f"{job.fingerprint}-published")
    job.outputs[REFUSED] = commit.version


def _keep(job: Job, users: DataFrame) -> None:
    from pyspark.sql import functions as F

    judged = judge_neighbours(users, job.settings).filter(F.size("reasons") > 0)
    job.replace(REFUSED, judged.select(*table_spec(REFUSED).schema().names))


def _example(job: Job, reason: str) -> str:
    """A row with that reason, and what was expected of it."""
    from pyspark.sql import functions as F

    row = job.lake.read(REFUSED).filter(F.array_contains("reasons", reason)).first()
    if row is None:
        return ""
    column, expected = _expected(job, reason, row)
    raw = row["raw"] or {}
    found = raw.get(held_name(column, raw), "") if column else dict(raw)
    where = f"column {column!r}" if column else "the record"
    if str(found).strip().lower() in WORDS:
        expected += f"; if it stands for nothing, source.missing: [{str(found).strip()!r}] says so"
    return (
        f"For example {row['source_file']}, row {row['source_row']}: {where} holds {found!r}, "
        f"expected {expected}."
    )


def _expected(job: Job, reason: str, row: Row) -> tuple[str | None, str]:
    """The source's column that a reason looks at, and what it should hold."""
    mapping, source = job.settings.source.mapping, job.settings.source
    if reason == "time_in_future":
        seconds = job.settings.clean.times.future_seconds
        return mapping.time, (
            f"a time at most {seconds:g} seconds (clean.times.future_seconds) after the last change of "
            f"its file, which is {_file_time(job, row)}. Where that is not the time of the delivery "
            "(copied with an old time, out of an archive), set clean.times.max_time, such as 2024-12-31, "
            "which replaces the rule"
        )
    other = other_time_format(_raw_text(row, mapping.time), source.time_format)
    hint = f"; {other}" if other else ""
    return {
        "missing_user": (mapping.user, "a user"),
        "missing_item": (mapping.item, "an item"),
        "missing_time": (mapping.time, "a time"),
        "unreadable_time": (mapping.time, f"source.time_format {source.time_format!r}{hint}"),
        "time_out_of_range": (
            mapping.time,
            f"a time from clean.times.min_time ({job.settings.clean.times.min_time}) to clean.times.max_time "
            f"({job.settings.clean.times.max_time}), read as source.time_format "
            f"{source.time_format!r}{hint}",
        ),
        "unreadable_quantity": (mapping.quantity, f"a number{_number_hint(row, mapping.quantity)}"),
        "unreadable_value": (mapping.value, f"a number{_number_hint(row, mapping.value)}"),
        "unknown_event_type": (mapping.event_type, "one of clean.event_types"),
        "corrupt_row": (None, "a record that fits the header, in source.encoding"),
    }.get(reason, (None, f"a row that passes the rule {reason} (see the settings under clean)"))


def _raw_text(row: Row, column: str | None) -> str:
    """What the record has in a column of the source."""
    raw = row["raw"] or {}
    return str(raw.get(held_name(column, raw), "")) if column else ""


def _number_hint(row: Row, column: str | None) -> str:
    other = other_number_format(_raw_text(row, column))
    return f"; {other}" if other else ""


def _file_time(job: Job, row: Row) -> str:
    from pyspark.sql import functions as F

    here = (F.col("source_file") == row["source_file"]) & (F.col("batch_id") == row["batch_id"])
    found = job.read("bronze.events").filter(here).select(F.unix_micros(FILE_TIME)).first()
    assert found is not None
    moment = datetime.datetime.fromtimestamp(found[0] / 1e6, datetime.timezone.utc)
    return f"{moment:%Y-%m-%d %H:%M} UTC"
