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
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from truelift.lake.bucket_writes import takes_buckets
from truelift.lake.data_files import DataFileRecord, SliceWriter, discard_files
from truelift.lake.tables import table_spec
from truelift.lake.workers import remember_archives
from truelift.logs.accounts import Account, Counts, account_of
from truelift.logs.neighbours.parcels import opened
from truelift.logs.neighbours.placing import (
    judge_neighbours,
    of_slices,
    parcel_schema,
    rules_of,
)
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


def stage_rows(lake: Lake, parcels: DataFrame, job: Job) -> StagedRows:
    """Judge rows by their neighbours, write and count them.

    Parameters
    ----------
    parcels : DataFrame
        As of :func:`~truelift.logs.neighbours.placing.by_user`.
    """
    from pyspark.storagelevel import StorageLevel

    uris = {name: lake.uri(name) for name in (SILVER, QUARANTINE)}
    if not all(takes_buckets(uri, table_spec(name)) for name, uri in uris.items()):
        held = judge_neighbours(parcels, job.settings).persist(StorageLevel.DISK_ONLY)
        count = partial(_count_task, period=job.settings.period)
        found = held.mapInArrow(count, _PAYLOADS).collect()
        return StagedRows(account_of(row["payload"] for row in found), held=held)
    task = partial(
        _stage_task,
        rules=rules_of(job.settings),
        sent=parcel_schema(),
        schema=_quarantine_schema(),
        uris=uris,
        period=job.settings.period,
    )
    files: dict[str, list[DataFileRecord]] = {name: [] for name in uris}
    counts = []
    for row in of_slices(parcels, task, _PAYLOADS).collect():
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
    parcels: pa.Table,
    rules: NeighbourRules,
    sent: pa.Schema,
    schema: pa.Schema,
    uris: Mapping[str, str],
    period: str,
) -> pa.Table:
    """Files of a slice (or part of one), and counts, as payloads."""
    remember_archives()
    counts = Counts(period)
    payloads = []
    judged = judge_users(opened(parcels, sent), rules)
    for (name, uri), rows in zip(uris.items(), judged, strict=True):
        counts.add(rows)
        spec = table_spec(name)
        left_out = {"reasons", "raw"} if name == SILVER else set()
        mine = pa.schema([f for f in schema if f.name not in left_out])
        writer = SliceWriter(uri, mine, spec.partition_by)
        if rows.num_rows:
            files = [*writer.add(rows.select(mine.names).cast(mine)), *writer.close()]
            payloads += [(name, json.dumps(file)) for file in files]
    return _payloads([*payloads, ("counts", counts.to_json())])


def _count_task(batches: Iterator[pa.RecordBatch], period: str) -> Iterator[pa.RecordBatch]:
    counts = Counts(period)
    for batch in batches:
        counts.add(pa.Table.from_batches([batch]))
    yield from _payloads([("counts", counts.to_json())]).to_batches()


def _payloads(payloads: Sequence[tuple[str, str]]) -> pa.Table:
    names, texts = zip(*payloads, strict=True)
    return pa.table({"name": pa.array(names, pa.string()), "payload": pa.array(texts, pa.string())})
