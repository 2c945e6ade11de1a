"""Idempotent writes: a commit carries the fingerprint of what went into it.

A job that was killed after its commit and runs again finds its own fingerprint in the table's
log and writes nothing. Readers see the version before or the version after, never a part.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truelift.errors import JobFailure
from truelift.lake.log import LoggedCommit, recent_commits
from truelift.lake.tables import TableSpec

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Deletion vectors would send every later read through Spark's rows; retention of transaction
# ids keeps the record of appended batches as long as anyone may retry one.
_PROPERTIES = {
    "delta.enableDeletionVectors": "false",
    "delta.setTransactionRetentionDuration": "interval 3650 days",
}


@dataclass(frozen=True)
class Commit:
    """What a write did: the version that holds the rows, and whether it was there already."""

    name: str
    version: int
    rows: int
    skipped: bool


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
    _writer(df, spec, fingerprint, "overwrite").option("overwriteSchema", "true").save(uri)
    return _committed(uri, spec, fingerprint)


def append_batch(df: DataFrame, uri: str, spec: TableSpec, batch_id: str) -> Commit:
    """Add a batch once: a batch id that the table has seen is skipped by Delta itself.

    Parameters
    ----------
    batch_id : str
        A fingerprint of the batch's content, so that a retry with different rows is a
        different batch.
    """
    known = _find(uri, batch_id)
    if known is not None:
        return Commit(spec.name, known.version, known.rows, skipped=True)
    spec.check(df.schema)
    (
        _writer(df, spec, batch_id, "append")
        .option("mergeSchema", "true")
        .option("txnAppId", f"truelift/{spec.name}/{batch_id}")
        .option("txnVersion", 1)
        .save(uri)
    )
    return _committed(uri, spec, batch_id)


def _writer(df: DataFrame, spec: TableSpec, fingerprint: str, mode: str):  # type: ignore[no-untyped-def]
    # An empty batch over an empty table changes no file; its fingerprint is news all the same.
    df.sparkSession.conf.set("spark.databricks.delta.skipRecordingEmptyCommits", "false")
    writer = df.write.format("delta").mode(mode)
    writer = writer.option("userMetadata", json.dumps({"fingerprint": fingerprint}))
    for key, value in _PROPERTIES.items():
        writer = writer.option(key, value)
    return writer.partitionBy(*spec.partition_by) if spec.partition_by else writer


def _find(uri: str, fingerprint: str) -> LoggedCommit | None:
    return next((c for c in recent_commits(uri, 1000) if c.fingerprint == fingerprint), None)


def _committed(uri: str, spec: TableSpec, fingerprint: str) -> Commit:
    found = _find(uri, fingerprint)
    if found is None:
        raise JobFailure(f"{spec.name}: the write ended but its commit is not in the log of {uri}.")
    return Commit(spec.name, found.version, found.rows, skipped=False)
