"""What is new since the last cleaning, and which slices of silver it reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from truelift.fingerprints import fingerprint_of
from truelift.imported_code import code_digest
from truelift.lake.log import has_lost_rows
from truelift.lake.periods import next_period, previous_period
from truelift.lake.scan import slice_predicate
from truelift.lake.writes import TableState, table_state
from truelift.logs.neighbours.names import LINK, neighbour_labels
from truelift.logs.neighbours.placing import reach_seconds
from truelift.logs.results import CleanResult
from truelift.typed import from_older, to_plain

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from truelift.job import Job
    from truelift.settings import Settings

REJECTED = "rejected"
# What judges rows: these modules, and all that they import.
DECIDING = (
    "truelift.logs.judging",
    "truelift.logs.identities",
    "truelift.logs.outliers",
    "truelift.logs.pseudonyms",
    "truelift.logs.neighbours.placing",
    "truelift.logs.neighbours.verdicts",
)
Slices = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Standing:
    """Where silver stands before a run.

    Attributes
    ----------
    silver, quarantine : TableState
        As they are now; ``silver`` names the version of the quarantine that belongs to it.
    since : int or None
        Version of bronze that silver holds; None if all of bronze is to be cleaned.
    until : int
        Version of bronze that this run goes to.
    rules : str
        Hash of everything that decides what becomes of a row.
    new_rows : int
        Rows of bronze between the two versions.
    """

    silver: TableState
    quarantine: TableState
    since: int | None
    until: int
    rules: str
    new_rows: int

    @property
    def rejected_slice(self) -> str:
        """Where this run files the rows that are rejected for their own sake."""
        return f"{REJECTED}-{0 if self.since is None else self.since + 1:010d}"

    @property
    def up_to_date(self) -> bool:
        """Whether there is nothing to do; compaction makes a version and brings no rows."""
        return self.since is not None and self.new_rows == 0


def standing(job: Job, secret: str, identities: int | None, limits: int | None) -> Standing:
    """Read the state of silver and decide whether to go on from it or to begin anew.

    Parameters
    ----------
    job : Job
    secret : str
        Name of the secret of the user keys.
    identities, limits : int, optional
        Versions of the tables that the rules read besides bronze.
    """
    settings = job.settings
    rules = rules_hash(settings, secret=secret, identities=identities, limits=limits)
    silver = table_state(job.lake.uri("silver.events"))
    quarantine = table_state(job.lake.uri("silver.quarantine"))
    until = job.inputs["bronze.events"]
    since = silver.notes.get("bronze")
    same = silver.notes.get("rules") == rules and not settings.clean.rebuild
    goes_on = same and since is not None and since <= until
    # What the old rows of a file did to others is not known any more.
    if goes_on and has_lost_rows(job.lake.uri("bronze.events"), int(since or 0), until):
        goes_on = False
    if goes_on and last_result(silver) is None:
        job.say("Another version of truelift has cleaned silver.events, and its counts cannot be "
                "read by this one: everything was cleaned anew.")  # fmt: skip
        goes_on = False
    new_rows = job.plan("bronze.events").rows
    if goes_on:
        new_rows -= job.lake.plan("bronze.events", version=since).rows
    return Standing(silver, quarantine, since if goes_on else None, until, rules, new_rows)


def last_result(silver: TableState) -> CleanResult | None:
    """The counts that the last cleaning left beside its rows, if this version can read them."""
    return from_older(CleanResult, silver.notes.get("result"))[0]


def rules_hash(settings: Settings, **others: Any) -> str:
    """Code and settings that decide what becomes of a row, as a hash.

    Where the raw files lie is not among them, nor is what only decides whether the job stops.
    """
    source, clean = to_plain(settings.source), to_plain(settings.clean)
    for key in (
        "path",
        "items",
        "users",
        "exposures",
        "responses",
        "redelivered",
        "settle_seconds",
    ):
        source.pop(key, None)
    source["identities"] = settings.source.identities and settings.source.identities.columns
    for key in ("rebuild", "warn", "max_quarantine_share"):
        clean.pop(key, None)
    code = code_digest(*DECIDING, sections=(type(settings.source), type(settings.clean)))
    layout = (settings.buckets, settings.period)
    return fingerprint_of(code=code, source=source, clean=clean, layout=layout, **others)


def new_bronze(job: Job, state: Standing) -> DataFrame:
    """Rows of bronze that silver does not hold yet, by Delta's change feed.

    Compaction does not count as a change. Where the feed does not reach back far enough,
    Spark says so and ``clean.rebuild`` helps.
    """
    if state.since is None:
        return job.read("bronze.events")
    feed = (
        job.lake.spark.read.format("delta")
        .option("readChangeFeed", "true")
        .option("startingVersion", state.since + 1)
        .option("endingVersion", state.until)
        .load(job.lake.uri("bronze.events"))
        .filter("_change_type = 'insert'")
    )
    return feed.drop("_change_type", "_commit_version", "_commit_timestamp")


def reached_slices(parcels: DataFrame, state: Standing) -> dict[str, list[int]]:
    """Slices whose rows may be judged differently because of the new ones."""
    from pyspark.sql import functions as F

    valid = parcels.filter(F.col("period") != state.rejected_slice)
    pairs = valid.select("period", "bucket").distinct().collect()
    slices: dict[str, list[int]] = {}
    for row in pairs:
        slices.setdefault(row["period"], []).append(row["bucket"])
    return {period: sorted(buckets) for period, buckets in sorted(slices.items())}


def with_neighbours(slices: Slices, settings: Settings) -> dict[str, list[int]]:
    """The slices and those beside them, where the rules reach over a period's end."""
    wide = {period: set(buckets) for period, buckets in slices.items()}
    if reach_seconds(settings) and settings.period != "all":
        for period, buckets in slices.items():
            for step in (previous_period, next_period):
                beside = step(period, settings.period)
                if beside is not None:
                    wide.setdefault(beside, set()).update(buckets)
    return {period: sorted(buckets) for period, buckets in wide.items()}


def old_rows(job: Job, state: Standing, slices: Slices) -> DataFrame:
    """Rows of the slices (and of their neighbours) as they were before neighbours judged them.

    ``_was`` says what became of them: "silver" or "quarantine"; ``_was_names`` the reasons or
    labels that they had.
    """
    from pyspark.sql import functions as F

    within = slice_predicate(with_neighbours(slices, job.settings))
    silver = job.lake.read("silver.events", state.silver.newest).filter(within)
    removed = job.lake.read("silver.quarantine", state.silver.notes["quarantine"]).filter(within)
    kept = silver.withColumns(
        {
            "reasons": F.array().cast("array<string>"),
            "raw": F.lit(None).cast("map<string,string>"),
            "_was": F.lit("silver"),
            "_was_names": F.col("labels"),
        }
    )
    removed = removed.withColumns({"_was": F.lit("quarantine"), "_was_names": F.col("reasons")})
    names = F.array(*map(F.lit, neighbour_labels()))
    unlinked = F.map_filter("context", lambda key, _: key != LINK)
    return kept.unionByName(removed).withColumns(
        {
            "reasons": F.array().cast("array<string>"),
            "labels": F.array_except("labels", names),
            "context": unlinked,
            "_user_agent": F.lit(None).cast("string"),
        }
    )


def rows_in_slices(job: Job, state: Standing, slices: Slices) -> int:
    """Rows that silver and quarantine hold in the slices, by the Delta log alone."""
    wanted = {(period, bucket) for period, buckets in slices.items() for bucket in buckets}
    total = 0
    for name, version in (
        ("silver.events", state.silver.newest),
        ("silver.quarantine", state.silver.notes["quarantine"]),
    ):
        for unit in job.lake.plan(name, ["event_id"], version).units:
            place = (unit.partition["period"] or "", int(unit.partition["bucket"] or 0))
            total += unit.rows if place in wanted else 0
    return total
