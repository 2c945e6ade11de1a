"""Bronze to silver: one shuffle by user, every row accounted for, published all or not at all."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from truelift.errors import DataError, InvariantError, TableError
from truelift.lake import bucket_column
from truelift.logs.contract import check_contract
from truelift.logs.parsing import (
    check_time_options,
    content_id,
    instant_of,
    number_of,
    text_of,
)
from truelift.logs.results import CleanResult
from truelift.logs.rules import DUPLICATE, RuleContext, labels_column, reasons_column
from truelift.logs.sources.columns import (
    BATCH_ID,
    CORRUPT,
    SOURCE_FILE,
    SOURCE_ROW,
    bronze_name,
)
from truelift.logs.sources.registry import mapped_columns
from truelift.steps import StepReport

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from truelift.job import Job
    from truelift.settings import Settings

SILVER_COLUMNS = (
    "event_id",
    "user_key",
    "event_time",
    "event_type",
    "item_id",
    "quantity",
    "value",
    "source_session",
    "context",
    "labels",
    SOURCE_FILE,
    SOURCE_ROW,
    "bucket",
)
_BUCKET = "truelift_bucket"
QUARANTINE_COLUMNS = ("raw", "reasons", "user_key", SOURCE_FILE, SOURCE_ROW, BATCH_ID)


@dataclass(frozen=True)
class Balance:
    """Where the rows of bronze went, counted on the judged rows."""

    bronze: int
    silver: int
    quarantine: int
    duplicates: int
    reasons: dict[str, int]


def clean(job: Job) -> StepReport:
    """Parse, judge and de-duplicate bronze; write ``silver.events`` and ``silver.quarantine``.

    Raises
    ------
    DataError
        If more than ``clean.max_quarantine_share`` of the rows are rejected, with an example.
    InvariantError
        If rows were lost or made, or the contract on silver does not hold.
        In all three cases both tables stay as they were.
    """
    from pyspark.storagelevel import StorageLevel

    settings = job.settings
    check_time_options(settings.source)
    bronze = job.read("bronze.events")
    _check_columns(bronze, settings)
    context = RuleContext(settings.clean, landed(job))
    judged = judge(bronze, settings, context).persist(StorageLevel.DISK_ONLY)
    try:
        job.progress.update("parsing, judging and de-duplicating")
        balance = account(judged)
        _check_balance(balance, job.plan("bronze.events").rows)
        _check_share(balance, judged, settings)
        silver = judged.filter("size(reasons) = 0").select(*SILVER_COLUMNS)
        contract = check_contract(silver, context, settings.buckets, settings.report.path)
        if contract.failures:
            raise InvariantError(
                "silver.events breaks its contract and was not published: "
                f"{'; '.join(contract.failures)}. See {contract.data_docs}."
            )
        job.progress.update("writing silver")
        rejected = judged.filter("size(reasons) > 0").select(*QUARANTINE_COLUMNS)
        written = [job.replace("silver.quarantine", rejected), job.replace("silver.events", silver)]
    finally:
        judged.unpersist()
    if [c.rows for c in written] != [balance.quarantine + balance.duplicates, balance.silver]:
        raise InvariantError(
            f"silver.quarantine and silver.events hold {[c.rows for c in written]} rows, expected "
            f"{[balance.quarantine + balance.duplicates, balance.silver]}."
        )
    result = CleanResult(
        bronze=balance.bronze,
        silver=balance.silver,
        quarantine=balance.quarantine,
        duplicates=balance.duplicates,
        reasons=balance.reasons,
        contract_passed=True,
        expectations=contract.expectations,
        data_docs=contract.data_docs,
        labels=contract.labels,
    )
    job.save_result(result)
    headline: dict[str, float | str | int] = {
        "quarantine": balance.quarantine,
        "duplicates": balance.duplicates,
        "contract": f"{contract.expectations} expectations passed",
    }
    return StepReport(balance.bronze, balance.silver, headline)


def judge(bronze: DataFrame, settings: Settings, context: RuleContext) -> DataFrame:
    """Bronze rows with their parsed columns and reasons, in the order of the silver files.

    The text is shuffled as it came, once, by the user's bucket; everything after that is
    local to a bucket. Rows without a user are spread by their own place in the files.

    Returns
    -------
    DataFrame
        Columns of silver and quarantine together. ``reasons`` is empty for rows to keep and
        ``["duplicate"]`` for valid rows that repeat an earlier one; ``raw`` is null for rows
        to keep.
    """
    from pyspark.sql import functions as F

    mapping, buckets = settings.source.mapping, settings.buckets
    user = text_of(mapping.user)
    spread = F.pmod(F.xxhash64(SOURCE_FILE, SOURCE_ROW), F.lit(buckets)).cast("int")
    bucket = F.when(user.isNull(), spread).otherwise(bucket_column(user, buckets))
    keyed = bronze.select(*(F.col(f"`{c}`") for c in bronze.columns), bucket.alias(_BUCKET))
    by_bucket = keyed.repartition(buckets, _BUCKET)
    parsed = by_bucket.select(
        *(F.col(f"`{c}`").alias(f"raw_{c}") for c in bronze.columns),
        F.col(_BUCKET).alias("bucket"),
        F.col(CORRUPT),
        user.alias("user_key"),
        text_of(mapping.item).alias("item_id"),
        text_of(mapping.time).alias("time_text"),
        instant_of(text_of(mapping.time), settings.source).alias("event_time"),
        text_of(mapping.quantity).alias("quantity_text"),
        number_of(text_of(mapping.quantity)).alias("quantity"),
        text_of(mapping.value).alias("value_text"),
        number_of(text_of(mapping.value)).alias("value"),
        F.coalesce(text_of(mapping.event_id), content_id(bronze.columns)).alias("event_id"),
    ).withColumn("rejected", reasons_column(context))
    reasons = F.when(_repeats(), F.array(F.lit(DUPLICATE))).otherwise(F.col("rejected"))
    session, kind = _raw(mapping.session), _raw(mapping.event_type)
    return (
        parsed.withColumn("reasons", reasons)
        .select(
            "event_id",
            "user_key",
            "event_time",
            F.coalesce(kind, F.lit(settings.source.event_type_default)).alias("event_type"),
            "item_id",
            "quantity",
            "value",
            session.alias("source_session"),
            _context(mapping.context).alias("context"),
            labels_column(context).alias("labels"),
            F.col(f"raw_{SOURCE_FILE}").alias(SOURCE_FILE),
            F.col(f"raw_{SOURCE_ROW}").alias(SOURCE_ROW),
            "bucket",
            "reasons",
            F.when(F.size("reasons") > 0, _record(bronze.columns)).alias("raw"),
            F.col(f"raw_{BATCH_ID}").alias(BATCH_ID),
        )
        .sortWithinPartitions("bucket", "user_key", "event_time", "event_id")
    )


def _repeats() -> Column:
    """Whether a valid row repeats the event id of an earlier valid row of its user.

    The first by time, file and row is kept. A row without an id of its own goes by its
    content's, so missing ids are never equal to one another, and exact copies always are.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    valid = F.size("rejected") == 0
    # Rejected rows are never compared; their place keeps them from forming one large group.
    place = F.concat_ws("#", f"raw_{SOURCE_FILE}", F.col(f"raw_{SOURCE_ROW}").cast("string"))
    key = F.when(valid, F.col("event_id")).otherwise(place)
    window = Window.partitionBy("bucket", "user_key", valid, key).orderBy(
        "event_time", f"raw_{SOURCE_FILE}", f"raw_{SOURCE_ROW}"
    )
    return valid & (F.row_number().over(window) > 1)


def _raw(column: str | None) -> Column:
    return text_of(None if column is None else f"raw_{bronze_name(column)}")


def _context(columns: tuple[str, ...]) -> Column:
    from pyspark.sql import functions as F

    pairs = [part for c in columns for part in (F.lit(bronze_name(c)), _raw(c))]
    return F.create_map(*pairs).cast("map<string,string>")


def _record(columns: list[str]) -> Column:
    """The raw record without its empty columns."""
    from pyspark.sql import functions as F

    texts = [c for c in columns if c not in (SOURCE_FILE, SOURCE_ROW, BATCH_ID)]
    pairs = [part for c in texts for part in (F.lit(c), F.col(f"`raw_{c}`"))]
    return F.map_filter(F.create_map(*pairs), lambda _, text: text.isNotNull())


def account(judged: DataFrame) -> Balance:
    """Count the judged rows by what became of them; this is also what computes them."""
    groups = judged.groupBy("reasons").count().collect()
    reasons: dict[str, int] = {}
    for row in groups:
        for reason in row["reasons"]:
            reasons[reason] = reasons.get(reason, 0) + row["count"]
    silver = sum(row["count"] for row in groups if not row["reasons"])
    total, duplicates = sum(row["count"] for row in groups), reasons.get(DUPLICATE, 0)
    return Balance(
        bronze=total,
        silver=silver,
        quarantine=total - silver - duplicates,
        duplicates=duplicates,
        reasons=dict(sorted(reasons.items())),
    )


def landed(job: Job) -> datetime.datetime:
    """When the pinned version of bronze was written, by its own log."""
    from truelift.lake.log import open_table

    version = job.inputs["bronze.events"]
    entry: dict[str, Any] = open_table(job.lake.uri("bronze.events"), version).history(1)[0]
    return datetime.datetime.fromtimestamp(entry["timestamp"] / 1000, datetime.timezone.utc)


def _check_columns(bronze: DataFrame, settings: Settings) -> None:
    lower = {c.lower() for c in bronze.columns}
    for key, column in mapped_columns(settings.source.mapping).items():
        if bronze_name(column).lower() not in lower:
            texts = [c for c in bronze.columns if c not in (CORRUPT, *QUARANTINE_COLUMNS)]
            raise TableError(
                f"{key} names the column {column!r}, which bronze.events does not have. "
                f"Columns found: {', '.join(texts)}. Ingest again if the source has changed."
            )


def _check_balance(balance: Balance, bronze_rows: int) -> None:
    if not bronze_rows:
        raise DataError(
            "bronze.events has no rows. Is the sample too small to hold a user (sample=...)?"
        )
    if balance.bronze != bronze_rows:
        raise InvariantError(
            f"bronze.events has {bronze_rows} rows, and {balance.silver} valid + "
            f"{balance.quarantine} rejected + {balance.duplicates} duplicate rows came out of it. "
            "Nothing was published."
        )


def _check_share(balance: Balance, judged: DataFrame, settings: Settings) -> None:
    limit = settings.clean.max_quarantine_share
    if not balance.bronze or balance.quarantine <= limit * balance.bronze:
        return
    rejected = {r: n for r, n in balance.reasons.items() if r != DUPLICATE}
    worst = max(rejected, key=lambda reason: (rejected[reason], reason))
    raise DataError(
        f"{balance.quarantine} of {balance.bronze} rows of bronze.events are rejected "
        f"({balance.quarantine / balance.bronze:.1%}), more than clean.max_quarantine_share "
        f"({limit:.1%}) allows. Reasons: {', '.join(f'{r} {n}' for r, n in rejected.items())}. "
        f"{_example(worst, judged, settings)} Nothing was published."
    )


def _example(reason: str, judged: DataFrame, settings: Settings) -> str:
    """A row with that reason, and what was expected of it."""
    from pyspark.sql import functions as F

    source = settings.source
    row = judged.filter(F.array_contains("reasons", reason)).select(*QUARANTINE_COLUMNS).first()
    if row is None:
        return ""
    column, expected = {
        "missing_user": (source.mapping.user, "a user"),
        "missing_item": (source.mapping.item, "an item"),
        "missing_time": (source.mapping.time, "a time"),
        "unreadable_time": (source.mapping.time, f"source.time_format {source.time_format!r}"),
        "unreadable_quantity": (source.mapping.quantity, "a number"),
        "unreadable_value": (source.mapping.value, "a number"),
        "corrupt_row": (None, "a record that fits the header, in source.encoding"),
    }.get(reason, (None, f"a row that passes the rule {reason} (see the settings under clean)"))
    found = row["raw"].get(bronze_name(column), "") if column else dict(row["raw"])
    where = f"column {column!r}" if column else "the record"
    return (
        f"For example {row[SOURCE_FILE]}, row {row[SOURCE_ROW]}: {where} holds {found!r}, "
        f"expected {expected}."
    )
