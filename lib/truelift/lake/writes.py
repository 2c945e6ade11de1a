"""Idempotent writes: a commit carries the fingerprint of what went into it.

A job that was killed after its commit and runs again finds its own fingerprint in the table's
log and writes nothing. Readers see the version before or the version after, never a part.

A table that is written by increments keeps its *state* in its commits: a sequence number and
what the job needs to go on from there. The sequence number is also Delta's transaction
version, so of two runs that start from one state the second is refused. After a commit its file in
the log is read again: storage that let a second writer overwrite it is found out
(:mod:`~.commit_ids`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from truelift.errors import JobFailure
from truelift.lake.commit_ids import new_commit_id, taken, user_metadata
from truelift.lake.log import LoggedCommit, open_table, recent_commits, transaction_version
from truelift.lake.scan import slice_predicate
from truelift.lake.tables import TableSpec

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_LOOK_BACK = 200


@dataclass(frozen=True)
class Commit:
    """What a write did: the version that holds the rows, and whether it was there already.

    ``id`` is the commit's own; empty where nothing was written.
    """

    name: str
    version: int
    rows: int
    skipped: bool
    id: str = ""


@dataclass(frozen=True)
class TableState:
    """Where a table that is written by increments stands.

    Attributes
    ----------
    version : int
        Delta version of the commit that says so; -1 for a table that is not there.
    newest : int
        Newest version; later than the other where rows were deleted or files compacted.
    sequence : int
        Number of truelift's writes so far.
    notes : dict
        What the job left for its next run, such as the versions of its inputs.
    """

    version: int = -1
    newest: int = -1
    sequence: int = 0
    notes: Mapping[str, Any] = field(default_factory=dict)


def table_state(uri: str) -> TableState:
    """The state in the newest commit that carries one; maintenance leaves none."""
    commits = recent_commits(uri, _LOOK_BACK)
    for commit in commits:
        if commit.state is not None:
            sequence = int(commit.state.get("sequence", 0))
            notes = commit.state.get("notes", {})
            return TableState(commit.version, commits[0].version, sequence, notes)
    return TableState()


def replace_table(df: DataFrame, uri: str, spec: TableSpec, fingerprint: str) -> Commit:
    """Make the table hold exactly these rows.

    Skipped if the newest commit already carries ``fingerprint``: the same inputs and settings
    give the same rows.

    Raises
    ------
    TableError
        If the frame's columns are not the table's; nothing is written.
    """
    commits = recent_commits(uri, 1)
    if commits and commits[0].fingerprint == fingerprint:
        return Commit(spec.name, commits[0].version, commits[0].rows, skipped=True)
    spec.check(df.schema)
    commit_id = new_commit_id()
    writer = _writer(df, spec, commit_id, {"fingerprint": fingerprint}, "overwrite")
    _save(writer.option("overwriteSchema", "true"), uri, spec)
    return _committed(uri, spec, commit_id)


def replace_part(
    df: DataFrame, uri: str, spec: TableSpec, fingerprint: str, column: str, value: str
) -> Commit:
    """Make the rows with one value of a column exactly these; all others stay.

    Skipped if the newest commit of this part carries ``fingerprint`` and no row was taken out since.
    A table that an older version made without the column is written anew.

    Parameters
    ----------
    df : DataFrame
        Its rows have the value in the column.
    column : str
        The first one that the table is partitioned by.
    value : str

    Raises
    ------
    TableError
        If the frame's columns are not the table's; nothing is written.
    """
    known = _newest_of_part(uri, value)
    if known is not None and known.fingerprint == fingerprint:
        return Commit(spec.name, known.version, known.rows, skipped=True)
    spec.check(df.schema)
    commit_id = new_commit_id()
    metadata = {"fingerprint": fingerprint, "part": value}
    writer = _writer(df, spec, commit_id, metadata, "overwrite")
    table = open_table(uri)
    if table is None or tuple(table.metadata().partition_columns) != spec.partition_by:
        writer = writer.option("overwriteSchema", "true")
    else:
        text = value.replace("\\", "\\\\").replace("'", "\\'")
        writer = writer.option("replaceWhere", f"{column} = '{text}'")
    _save(writer, uri, spec)
    return _committed(uri, spec, commit_id)


def _newest_of_part(uri: str, value: str) -> LoggedCommit | None:
    for commit in recent_commits(uri, _LOOK_BACK):
        if commit.part == value:
            return commit
        if commit.takes_out or (commit.fingerprint and commit.part is None):
            return None  # rows were taken out of it, or all of them were replaced
    return None


def replace_slices(
    df: DataFrame,
    uri: str,
    spec: TableSpec,
    fingerprint: str,
    state: TableState,
    notes: Mapping[str, Any],
    slices: Mapping[str, Sequence[int]] | None = None,
) -> Commit:
    """Replace some (bucket, period) slices of a table, or all of it, in one commit.

    Parameters
    ----------
    df : DataFrame
        All rows of the slices.
    state : TableState
        What the caller read before it computed the rows (:func:`table_state`).
    notes : mapping
        Goes into the new state.
    slices : mapping of period to buckets, optional
        What is replaced; None replaces the whole table.

    Raises
    ------
    JobFailure
        If another run has written since ``state`` was read: nothing of this one is published.
    """
    spec.check(df.schema)
    sequence, commit_id = state.sequence + 1, new_commit_id()
    writer = _writer(df, spec, commit_id, state_metadata(fingerprint, state, notes), "overwrite")
    writer = writer.option("txnAppId", application_of(spec)).option("txnVersion", sequence)
    if slices is None or state.version < 0:
        writer = writer.option("overwriteSchema", "true")
    else:
        writer = writer.option("replaceWhere", slice_predicate(slices))
    _save(writer, uri, spec)
    found = _find(uri, commit_id) if table_state(uri).sequence == sequence else None
    if found is None or found.version <= state.version:
        raise lost_race(spec.name)
    return Commit(spec.name, found.version, found.rows, skipped=False, id=commit_id)


def state_metadata(fingerprint: str, state: TableState, notes: Mapping[str, Any]) -> dict[str, Any]:
    """What the commit after ``state`` carries."""
    left = {"sequence": state.sequence + 1, "notes": notes}
    return {"fingerprint": fingerprint, "state": left}


def append_batch(df: DataFrame, uri: str, spec: TableSpec, batch_id: str) -> Commit:
    """Add a batch once: a batch id that the table has seen is skipped by Delta itself.

    Parameters
    ----------
    batch_id : str
        A fingerprint of the batch's content, so that a retry with different rows is a
        different batch.
    """
    application = f"{application_of(spec)}/{batch_id}"
    if transaction_version(uri, application) is not None:
        return _known_batch(uri, spec, batch_id)
    spec.check(df.schema)
    commit_id = new_commit_id()
    writer = _writer(df, spec, commit_id, {"fingerprint": batch_id}, "append")
    writer = writer.option("mergeSchema", "true")
    _save(writer.option("txnAppId", application).option("txnVersion", 1), uri, spec)
    if _find(uri, commit_id) is None and transaction_version(uri, application) is not None:
        return _known_batch(uri, spec, batch_id)  # another run has added it meanwhile
    return _committed(uri, spec, commit_id)


def _known_batch(uri: str, spec: TableSpec, batch_id: str) -> Commit:
    commits = recent_commits(uri, _LOOK_BACK)
    known = next((c for c in commits if c.fingerprint == batch_id), None)
    return Commit(spec.name, known.version if known else 0, known.rows if known else 0, True)


def application_of(spec: TableSpec) -> str:
    """The id under which Delta's log counts truelift's writes to a table."""
    return f"truelift/{spec.name}"


def _writer(  # type: ignore[no-untyped-def]
    df: DataFrame, spec: TableSpec, commit_id: str, metadata: Mapping[str, Any], mode: str
):
    # An empty batch over an empty table changes no file; its fingerprint is news all the same.
    df.sparkSession.conf.set("spark.databricks.delta.skipRecordingEmptyCommits", "false")
    writer = df.write.format("delta").mode(mode)
    writer = writer.option("userMetadata", user_metadata(commit_id, dict(metadata)))
    for key, value in spec.properties().items():
        writer = writer.option(key, value)
    return writer.partitionBy(*spec.partition_by) if spec.partition_by else writer


def _save(writer: Any, uri: str, spec: TableSpec) -> None:
    try:
        writer.save(uri)
    except Exception as error:
        # Delta's own names for "someone else committed first".
        if "Concurrent" in f"{type(error).__name__} {error}"[:2000]:
            raise lost_race(spec.name) from error
        raise


def lost_race(name: str) -> JobFailure:
    """The failure of a run that came second."""
    return JobFailure(
        f"{name}: another run wrote to it meanwhile, and theirs stands; nothing of this run was "
        "published in it. Run again: it goes on from what the other run left."
    )


def _find(uri: str, commit_id: str) -> LoggedCommit | None:
    return next((c for c in recent_commits(uri, _LOOK_BACK) if c.commit == commit_id), None)


def _committed(uri: str, spec: TableSpec, commit_id: str) -> Commit:
    found = _find(uri, commit_id)
    if found is None:
        raise taken(uri, spec.name)
    return Commit(spec.name, found.version, found.rows, skipped=False, id=commit_id)
