"""Bronze to silver: every row accounted for, only what is new, published all or not at all."""

from __future__ import annotations

import datetime
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from truelift.errors import DataError, InvariantError, TableError
from truelift.lake.kernels import parallelism
from truelift.lake.scan import slice_predicate
from truelift.logs.accounts import Account, Tally
from truelift.logs.contract import ContractResult, check_contract
from truelift.logs.hints import absent, hints
from truelift.logs.increments import (
    Standing,
    last_result,
    new_bronze,
    old_rows,
    reached_slices,
    rows_in_slices,
    standing,
)
from truelift.logs.judging import context_names, judge_flat
from truelift.logs.neighbours.placing import by_user, parcelled, reach_seconds
from truelift.logs.outliers import item_limits
from truelift.logs.pseudonyms import UserKeys, secret_name
from truelift.logs.quality import keep_metrics, trailing_with
from truelift.logs.refusal import check_share, clear_refused
from truelift.logs.results import CleanResult
from truelift.logs.sources.columns import CORRUPT, OTHER, PROVENANCE, held_name
from truelift.logs.sources.mapping import mapped_columns, refuse_misspelt, required_columns
from truelift.logs.staging import QUARANTINE, SILVER, StagedRows, stage_rows
from truelift.steps import StepReport
from truelift.typed import to_plain

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from truelift.job import Job
    from truelift.settings import Settings


# A task's rows, and those of them that it holds at once: some 100 MB.
_ROWS_A_TASK = 500_000
_ROWS_A_PART = 250_000


def clean(job: Job) -> StepReport:
    """Parse, judge and de-duplicate what is new in bronze; publish it in silver.

    Only the slices (bucket and period) that new rows reach are written; the rest of
    ``silver.events`` and ``silver.quarantine`` stays. Everything is cleaned anew if rules,
    settings or the secret of the user keys have changed, or with ``clean.rebuild``.

    Raises
    ------
    DataError
        If more than ``clean.max_quarantine_share`` of the new rows are rejected, with an
        example.
    InvariantError
        If rows were lost or made, or the contract on silver does not hold.
        In all three cases both tables stay as they were. Refused rows are kept in
        ``ops.refused``, where ``explain-quarantine`` finds them.
    """
    settings = job.settings
    reach_seconds(settings)
    _check_columns(job.read("bronze.events").columns, settings)
    users = UserKeys.of_job(job)
    limits, limits_version = item_limits(job)
    state = standing(job, secret_name(users.secret), users.identities_version, limits_version)
    if state.up_to_date:
        return _unchanged(job, state)
    bronze = new_bronze(job, state)
    rows = judge_flat(bronze, settings, users, limits)
    return _publish(job, state, rows, context_names(bronze.columns, settings))


def _publish(
    job: Job, state: Standing, new_rows: DataFrame, context: tuple[str, ...]
) -> StepReport:
    from pyspark.storagelevel import StorageLevel

    held, staged = None, None
    try:
        wanted, held_rows = None, 0
        parcels = partial(parcelled, settings=job.settings, rejected_slice=state.rejected_slice)
        # A slice's part is that of old rows, too.
        parts = -(-job.plan("bronze.events").rows // (job.settings.buckets * _ROWS_A_PART))
        rows = parcels(new_rows, context=context, parts=parts)
        if state.since is not None:
            held = rows = rows.persist(StorageLevel.DISK_ONLY)
            slices = reached_slices(rows, state)
            held_rows = rows_in_slices(job, state, slices)
            wanted = {**slices, state.rejected_slice: []}
            rows = rows.unionByName(parcels(old_rows(job, state, slices), parts=parts))
            rows = rows.filter(slice_predicate(wanted))
        users = by_user(rows, _tasks(job, state.new_rows + held_rows))
        job.progress.update("parsing, judging, de-duplicating and writing")
        staged = stage_rows(job.lake, users, job)
        counted = staged.account
        _check_balance(job, state, counted, held_rows)
        check_share(job, counted.fresh, users)
        contract = _checked_contract(job, state, counted)
        result = _result(job, state, counted, contract)
        trailing = trailing_with(state.silver.notes.get("trailing", {}), counted)
        _write(job, state, staged, wanted, {"result": to_plain(result), "trailing": trailing})
        clear_refused(job)
    finally:
        if held is not None:
            held.unpersist()
        if staged is not None:
            staged.discard(job.lake)
    keep_metrics(job, counted)
    job.save_result(result)
    return _report(result)


def _tasks(job: Job, rows: int) -> int:
    """Tasks that judge and write: few, for each writes files of its own buckets and starts Python."""
    # Four a core: a lost task is then a small loss, and an uneven one is made up for.
    wanted = max(-(-rows // _ROWS_A_TASK), 4 * parallelism(job.lake.spark))
    return min(wanted, job.settings.buckets)


def _write(
    job: Job, state: Standing, staged: StagedRows, wanted: Any, left: dict[str, Any]
) -> None:
    """Quarantine first; silver's commit then names the version of it that belongs to it."""
    notes: dict[str, Any] = {"bronze": state.until, "rules": state.rules}
    version = staged.publish(job, QUARANTINE, state.quarantine, notes, wanted)
    slices = wanted
    if wanted is not None:
        slices = {p: b for p, b in wanted.items() if p != state.rejected_slice}
    notes = {**notes, **left, "quarantine": version}
    staged.publish(job, SILVER, state.silver, notes, slices)


def _unchanged(job: Job, state: Standing) -> StepReport:
    """Nothing has arrived: the tables and the result are those of the last run."""
    job.outputs["silver.events"] = job.lake.version("silver.events") or 0
    job.outputs["silver.quarantine"] = job.lake.version("silver.quarantine") or 0
    last = last_result(state.silver)
    assert last is not None  # else the state would not be up to date
    result = replace(last, new_rows=0)
    job.save_result(result)
    return _report(result)


def _report(result: CleanResult) -> StepReport:
    headline: dict[str, float | str | int] = {
        "quarantine": result.quarantine,
        "duplicates": result.duplicates,
        "contract": f"{result.expectations} expectations passed",
    }
    if result.new_rows != result.bronze:
        headline = {"new_rows": result.new_rows, **headline}
    if result.warnings:
        headline["warnings"] = len(result.warnings)
    return StepReport(result.bronze, result.silver, headline, result.hints)


def _result(job: Job, state: Standing, counted: Account, contract: ContractResult) -> CleanResult:
    total = counted.now
    if state.since is not None:
        last = last_result(state.silver)
        assert last is not None  # else cleaning would have begun anew
        total = Tally.of_result(last).plus(counted.before, -1).plus(counted.now)
    bronze = job.plan("bronze.events").rows
    if total.rows != bronze:
        raise InvariantError(
            f"bronze.events has {bronze} rows, and silver {total.silver} + quarantine "
            f"{total.quarantine} + duplicates {total.duplicates} rows would be published. "
            "Nothing was; clean.rebuild=true cleans everything anew."
        )
    return CleanResult(
        bronze=bronze,
        silver=total.silver,
        quarantine=total.quarantine,
        duplicates=total.duplicates,
        reasons=dict(total.reasons),
        contract_passed=True,
        expectations=contract.expectations,
        data_docs=contract.data_docs,
        labels=dict(total.labels),
        new_rows=counted.fresh.rows,
        warnings=contract.warnings,
        hints=(
            *absent(job.plan("bronze.events").columns, job.settings),
            *_late_files(counted.fresh, job.settings),
            *hints(job, state.since),
        ),
    )


def _late_files(fresh: Tally, settings: Settings) -> tuple[str, ...]:
    """What to say where events are later than their own file."""
    rows = fresh.reasons.get("time_in_future", 0)
    if not rows:
        return ()
    return (
        f"{rows:,} rows are rejected as time_in_future: they are more than clean.times.future_seconds "
        f"({settings.clean.times.future_seconds:g}) later than the last change of their file. Where the "
        "files' times are not those of the delivery (copied with an old time, out of an archive), "
        "set clean.times.max_time, such as 2024-12-31, which replaces the rule.",
    )


def _checked_contract(job: Job, state: Standing, counted: Account) -> ContractResult:
    trailing = state.silver.notes.get("trailing", {}) if state.since is not None else {}
    latest = landed(job) + datetime.timedelta(seconds=job.settings.clean.times.future_seconds)
    contract = check_contract(counted, job.settings, latest, trailing)
    if contract.failures:
        raise InvariantError(
            "silver.events breaks its contract and was not published: "
            f"{'; '.join(contract.failures)}. See {contract.data_docs}."
        )
    return contract


def landed(job: Job) -> datetime.datetime:
    """When the pinned version of bronze was written, by its own log."""
    from truelift.lake.log import open_table

    version = job.inputs["bronze.events"]
    entry: dict[str, Any] = open_table(job.lake.uri("bronze.events"), version).history(1)[0]
    return datetime.datetime.fromtimestamp(entry["timestamp"] / 1000, datetime.timezone.utc)


def _check_columns(columns: list[str], settings: Settings) -> None:
    lower = {c.lower() for c in columns}
    options, wanted = settings.clean, mapped_columns(settings.source.mapping)
    refuse_misspelt(wanted, columns)
    named = required_columns(settings.source, "events")
    for key, column in (("clean.amounts.currency_column", options.amounts.currency_column),
                        ("clean.amounts.unit_column", options.amounts.unit_column)):  # fmt: skip
        named |= {key: column} if column else {}
    for key, column in named.items():
        if held_name(column, columns).lower() not in lower and OTHER not in lower:
            texts = [c for c in columns if c not in (CORRUPT, *PROVENANCE)]
            raise TableError(
                f"{key} names the column {column!r}, which bronze.events does not have. "
                f"Columns found: {', '.join(texts)}. Ingest again if the source has changed."
            )


def _check_balance(job: Job, state: Standing, counted: Account, held: int) -> None:
    """What was read is what comes out: new rows of bronze, and the old ones of the slices."""
    bronze = job.plan("bronze.events").rows
    if not bronze:
        raise DataError(
            "bronze.events has no rows. Is the sample too small to hold a user (sample=...)?"
        )
    new = state.new_rows
    if (counted.fresh.rows, counted.before.rows) != (new, held):
        now = counted.now
        raise InvariantError(
            f"bronze.events has {new} rows to clean and the slices that they reach hold {held}; "
            f"{now.silver} valid + {now.quarantine} rejected + {now.duplicates} duplicate rows "
            f"came out of them, {counted.fresh.rows} of them new. Nothing was published."
        )
