"""``truelift forget_user``: a person leaves every table, and a scan of the files proves it.

Rows are deleted table by table, each in one commit; then files that only older versions need
are deleted, so that no version holds the person; then every data file that is left is read
and searched. Raw files outside of the lake and MLflow's artifacts are not touched: what was
trained on versions that held the person is listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from truelift.errors import DataError, TableError
from truelift.lake.copies import discard_copies
from truelift.lake.log import has_lost_rows
from truelift.lake.maintenance import vacuum
from truelift.lake.tables import TABLES
from truelift.logs.accounts import Tally, tally_of
from truelift.logs.forget_look import look_for, require_reachable
from truelift.logs.forget_models import models_trained_on
from truelift.logs.forget_proof import prove_forgotten
from truelift.logs.forget_records import forget_records
from truelift.logs.increments import last_result
from truelift.logs.person import (
    condition_of,
    find_person,
    keyed_tables,
    require_this_secret,
    users_of_bronze,
)
from truelift.logs.sources.unit import STREAMS
from truelift.typed import to_plain

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from truelift.job import Job

_NO_ROWS = {"none": [-1]}
_VIEW = "truelift_forgotten"


@dataclass(frozen=True)
class Forgotten:
    """What was done to forget a person.

    Parameters
    ----------
    user_key : str
        The key under which the tables knew the person.
    aliases : int
        Names that the source had for the person.
    rows : dict of str to int
        Rows deleted, by table.
    files_deleted : int
        Data files deleted, of all tables.
    files_scanned : int
        Data files that are left, each of them searched.
    models : tuple of str
        Registered models trained on versions that held the person.
    namesakes : dict of str to int
        Columns of other things that hold the same text as one of the names, with their rows.
    steps : tuple of str
        Steps whose record showed the person; they have to run again.
    copies : int
        Copies of tables under ``work/`` that were removed; they are made again when they are wanted.
    """

    user_key: str
    aliases: int
    rows: dict[str, int]
    files_deleted: int
    files_scanned: int
    models: tuple[str, ...]
    namesakes: dict[str, int] = field(default_factory=dict)
    steps: tuple[str, ...] = ()
    copies: int = 0

    def __repr__(self) -> str:
        lines = [f"forgotten: {sum(self.rows.values()):,} rows of user_key {self.user_key}"]
        lines += [f"  {name:<22}{rows:>10,} rows" for name, rows in self.rows.items() if rows]
        lines.append(
            f"{self.files_deleted:,} files deleted; {self.files_scanned:,} data files are left, "
            "and none of them holds the person"
        )
        if self.copies:
            lines.append(f"{self.copies:,} copies of tables under work/ removed")
        if self.namesakes:
            lines.append("the same text stands, as something else, in rows of others:")
            lines += [f"  {name:<32}{rows:>10,} rows" for name, rows in self.namesakes.items()]
        if self.steps:
            lines.append(f"their records showed the person, run again: {', '.join(self.steps)}")
        if self.models:
            lines.append("trained on versions that held the person (train again, then delete):")
            lines += [f"  {model}" for model in self.models]
        return "\n".join(lines)


def forget_user(job: Job, user: str) -> Forgotten:
    """Remove a person from every table of the lake; no other job may be running.

    Parameters
    ----------
    job : Job
    user : str
        The person as the source names them (any of their aliases).

    Raises
    ------
    DataError
        If no table knows the person.
    TableError
        If there are rows that wait to be cleaned, tables that were made under another secret, or
        places that hold the person and that the deletion does not reach; nothing is deleted.
    InvariantError
        If a file that is left still holds the person.
    """
    _require_cleaned(job)
    person = find_person(job, user)
    users = users_of_bronze(job).persist()
    require_this_secret(job, users)
    texts = person.frame(job)
    texts.createOrReplaceTempView(_VIEW)
    tables = {name: condition_of(job, name) for name in _tables(job)}
    rows = {name: _own(job, name, texts, c).count() for name, c in tables.items()}
    job.progress.update("looking for every place of the lake where the person is")
    places = look_for(job, person)
    require_reachable(places)
    if not sum(rows.values()) and not places.copies:
        raise DataError(f"No table of {job.lake.root} knows the user {user!r}.")
    job.progress.update("asking which models read the person's rows")
    models = models_trained_on(job, person, users)
    users.unpersist()
    for name in (name for name, count in rows.items() if count):
        job.progress.update(f"deleting from {name}")
        job.lake.spark.sql(
            f"MERGE INTO delta.`{job.lake.uri(name)}` AS t USING {_VIEW} AS f "
            f"ON {tables[name]} WHEN MATCHED THEN DELETE"
        ).collect()
    # All of them: one that was made meanwhile could hold the person as well.
    copies = discard_copies(job.lake.root)
    _settle(job)
    steps = forget_records(job, person)
    deleted = 0
    for name in (*TABLES, *job.lake.panels()):
        if job.lake.version(name) is not None:
            job.progress.update(f"purging {name}")
            deleted += vacuum(job.lake, name, 0.0)
    job.progress.update("searching the files that are left")
    searched = prove_forgotten(job, person)
    return Forgotten(
        person.key,
        len(person.names),
        rows,
        deleted,
        searched.files,
        models,
        searched.namesakes,
        steps,
        copies,
    )


def _tables(job: Job) -> Iterator[str]:
    """Tables with rows of people."""
    yield from (f"bronze.{s}" for s in STREAMS if job.lake.version(f"bronze.{s}") is not None)
    yield from keyed_tables(job)


def _own(job: Job, name: str, texts: DataFrame, condition: str) -> DataFrame:
    """The person's rows of a table."""
    from pyspark.sql import functions as F

    table = job.lake.read(name).alias("t")
    return table.join(F.broadcast(texts).alias("f"), F.expr(condition), "left_semi")


def _require_cleaned(job: Job) -> None:
    """Refuse while silver stands behind bronze or the quarantine: the rest would be taken for done.

    Raises
    ------
    TableError
        Saying that cleaning has to be finished first.
    """
    state = job.lake.state("silver.events")
    if state.version < 0:
        return
    if last_result(state) is None:
        raise TableError(
            "Another version of truelift has cleaned silver.events, and its counts cannot be read by "
            "this one. Run 'clean' (and 'sessionize') first, then forget. Nothing was deleted."
        )
    since, newest = state.notes["bronze"], job.lake.version("bronze.events")
    waiting = (
        newest is not None
        and newest > since
        and (
            has_lost_rows(job.lake.uri("bronze.events"), since, newest)
            or not _inserted(job, since).isEmpty()
        )
    )
    if waiting or job.lake.state("silver.quarantine").version > (state.notes["quarantine"] or 0):
        found = "has rows that are not cleaned yet" if waiting else "is ahead of silver.events"
        raise TableError(
            f"{'bronze.events' if waiting else 'silver.quarantine'} {found}. Run 'clean' (and "
            "'sessionize') first, then forget. Nothing was deleted."
        )


def _inserted(job: Job, since: int) -> DataFrame:
    """Rows of bronze that came after a version."""
    reader = job.lake.spark.read.format("delta").option("readChangeFeed", "true")
    feed = reader.option("startingVersion", since + 1).load(job.lake.uri("bronze.events"))
    return feed.filter("_change_type = 'insert'")


def _settle(job: Job) -> None:
    """Bring the state that cleaning goes on from into line with the rows that are left.

    They are counted anew, so that a run that was killed before can be repeated.
    """
    state = job.lake.state("silver.events")
    if state.version < 0:
        return
    left = Tally(0, 0, 0, {}, {})
    for name in ("silver.events", "silver.quarantine"):
        if job.lake.version(name) is not None:
            left = left.plus(_tally(name, job.lake.read(name)))
    settled = {
        **to_plain(last_result(state)),
        "bronze": job.lake.plan("bronze.events").rows,
        **{k: to_plain(v) for k, v in vars(left).items()},
    }
    notes = {
        **state.notes,
        "result": settled,
        "bronze": job.lake.version("bronze.events"),
        "quarantine": job.lake.version("silver.quarantine"),
    }
    nothing = job.lake.read("silver.events").limit(0)
    job.replace_slices("silver.events", nothing, state, notes, _NO_ROWS)


def _tally(name: str, rows: DataFrame) -> Tally:
    """Rows of silver or quarantine, by what became of them."""
    kept = name == "silver.events"
    groups = rows.groupBy("labels" if kept else "reasons").count().collect()
    return tally_of(([], r[0], r[1]) if kept else (r[0], [], r[1]) for r in groups)
