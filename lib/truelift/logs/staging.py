"""Rows on their way into silver and quarantine: judged, written and counted in one pass.

Tasks judge users by their events, write the data files of both tables and count what they write. The driver audits the
counts and then publishes the files with a commit a table, or deletes them. So an audit that
fails leaves readers on the old version, and rows are neither computed nor read twice.

Where the files of a table are for Spark's writer alone (:func:`takes_buckets` says so), the
judged rows wait on the executors' disks instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from truelift.lake.bucket_writes import DataFileRecord, SliceWriter, discard_files, takes_buckets
from truelift.lake.tables import table_spec
from truelift.lake.workers import remember_archives
from truelift.logs.accounts import Account, Counts, account_of, misplaced_users
from truelift.logs.neighbours.placing import judge_neighbours, rules_of
from truelift.logs.neighbours.users import starts, whole_users
from truelift.logs.neighbours.verdicts import NeighbourRules, judge_users

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from truelift.job import Job
    from truelift.lake import Lake
    from truelift.lake.writes import TableState

SILVER, QUARANTINE = "silver.events", "silver.quarantine"
_PAYLOADS = "name string, payload string"


@dataclass
class StagedRows:
    """Rows that are written or held, and not published.

    Attributes
    ----------
    account : Account
    files : dict of str to list
        By table, what is not published yet.
    held : DataFrame or None
        The rows themselves, where Spark has to write them.
    """

    account: Account
    files: dict[str, list[DataFileRecord]] = field(default_factory=dict)
    held: DataFrame | None = None

    def publish(
        self,
        job: Job,
        name: str,
        state: TableState,
        notes: Mapping[str, Any],
        slices: Mapping[str, Sequence[int]] | None,
    ) -> int:
        """Commit a table's rows in the place of slices, or of all; the version that has them."""
        if self.held is None:
            commit = job.publish_files(name, self.files[name], state, notes, slices)
            del self.files[name]
        else:
            kept = "size(reasons) = 0" if name == SILVER else "size(reasons) > 0"
            rows = self.held.filter(kept).select(*table_spec(name).schema().names)
            commit = job.replace_slices(name, rows, state, notes, slices)
        return commit.version

    def discard(self, lake: Lake) -> None:
        """Delete what was not published."""
        for name, files in self.files.items():
            discard_files(lake.uri(name), files)
        self.files = {}
        if self.held is not None:
            self.held.unpersist()


def stage_rows(lake: Lake, users: DataFrame, job: Job) -> StagedRows:
    """Judge rows by their neighbours, write and count them.

    Parameters
    ----------
    users : DataFrame
        Rows of :func:`~truelift.logs.neighbours.placing.by_user`, with ``_was`` and
        ``_was_names``.
    """
    from pyspark.storagelevel import StorageLevel

    uris = {name: lake.uri(name) for name in (SILVER, QUARANTINE)}
    rows = users.withColumn("misplaced_users", misplaced_users(job.settings))
    if not all(takes_buckets(uri, table_spec(name)) for name, uri in uris.items()):
        held = judge_neighbours(rows, job.settings).persist(StorageLevel.DISK_ONLY)
        count = partial(_count_task, period=job.settings.period)
        found = held.mapInArrow(count, _PAYLOADS).collect()
        return StagedRows(account_of(row["payload"] for row in found), held=held)
    task = partial(
        _stage_task,
        rules=rules_of(job.settings),
        schema=_quarantine_schema(),
        uris=uris,
        period=job.settings.period,
    )
    files: dict[str, list[DataFileRecord]] = {name: [] for name in uris}
    counts = []
    for row in rows.mapInArrow(task, _PAYLOADS).collect():
        if row["name"] in files:
            files[row["name"]].append(json.loads(row["payload"]))
        else:
            counts.append(row["payload"])
    return StagedRows(account_of(counts), files)


def _quarantine_schema() -> pa.Schema:
    """Columns of the quarantine; silver's are among them."""
    from pyspark.sql.pandas.types import to_arrow_schema

    return to_arrow_schema(table_spec(QUARANTINE).schema())


def _stage_task(
    batches: Iterator[pa.RecordBatch],
    rules: NeighbourRules,
    schema: pa.Schema,
    uris: Mapping[str, str],
    period: str,
) -> Iterator[pa.RecordBatch]:
    remember_archives()
    counts, writers, schemas = Counts(period), {}, {}
    for name, uri in uris.items():
        spec = table_spec(name)
        left_out = {"reasons", "raw"} if name == SILVER else set()
        schemas[name] = pa.schema([f for f in schema if f.name not in left_out])
        writers[name] = SliceWriter(uri, schemas[name], spec.partition_by)
    for table in whole_users(batches):
        for name, rows in zip((SILVER, QUARANTINE), judge_users(table, rules), strict=True):
            counts.add(rows)
            mine = rows.select(schemas[name].names).cast(schemas[name])
            for part in _slices(mine):
                yield from _records(name, writers[name].add(part))
    for name, writer in writers.items():
        yield from _records(name, writer.close())
    yield _payload("counts", counts.to_json())


def _count_task(batches: Iterator[pa.RecordBatch], period: str) -> Iterator[pa.RecordBatch]:
    counts = Counts(period)
    for batch in batches:
        counts.add(pa.Table.from_batches([batch]))
    yield _payload("counts", counts.to_json())


def _slices(rows: pa.Table) -> Iterator[pa.Table]:
    """Rows slice by slice; those of a slice follow each other."""
    places = [*np.flatnonzero(starts(rows, ("bucket", "period"))).tolist(), rows.num_rows]
    for place, following in pairwise(places):
        yield rows.slice(place, following - place)


def _records(name: str, files: Iterator[DataFileRecord]) -> Iterator[pa.RecordBatch]:
    for file in files:
        yield _payload(name, json.dumps(file))


def _payload(name: str, text: str) -> pa.RecordBatch:
    return pa.record_batch(
        {"name": pa.array([name], pa.string()), "payload": pa.array([text], pa.string())}
    )
