"""Any table as a panel: read where it lies, or brought into buckets once.

Clustered errors and folds need every cluster in one bucket. A Delta table that is partitioned by
``bucket`` and whose rows lie where the hash of their cluster says is read as it is; the name of the
column alone says nothing. Of any other table the columns that the options name are written once
into the lake, partitioned by a hash of the cluster column (the one shuffle of an estimation), under
a name that its version decides; a later run with the same table, version and columns finds it there.
The copy calls its columns ``c0``, ``c1``, ...; the plan knows what the user calls them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from truelift.effects.look import check_columns, columns_of_looks
from truelift.effects.panel.parts import check_parts, columns_asked_for
from truelift.effects.panel.source import MemoryPanel
from truelift.effects.support.row_times import is_time_like
from truelift.fingerprints import fingerprint_of
from truelift.lake import bucket_column
from truelift.lake.address import TableAddress as TableAddress
from truelift.lake.address import is_delta
from truelift.lake.buckets import buckets_of
from truelift.lake.copies import bucketed_copy, copy_place, discard_copies, discard_copy
from truelift.lake.foreign import ForeignTable, frame_table, open_foreign, table_version
from truelift.lake.scan import ScanPlan, make_plan, read_batches, read_unit
from truelift.lake.tables import TABLES, is_panel
from truelift.settings import EffectOptions

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from truelift.lake import Lake

# Buckets and keys that are looked at before a table counts as lying in buckets.
_LOOK_BUCKETS, _LOOK_KEYS = 8, 64
# What the numbers of rows are called: the first that no column has.
_ROWS = ("row", "row number", "__truelift_row__")


def panel_plan(lake: Lake, address: TableAddress, options: EffectOptions, buckets: int) -> ScanPlan:
    """A plan of the table by bucket; brings it into buckets where it is not.

    Parameters
    ----------
    lake : Lake
        Receives the bucketed copy, under ``work/``.
    address : TableAddress
        Its URI may be the name of a table of the lake, like ``gold.panel_promotions``.
    options : EffectOptions
        Say which columns are wanted; those of ``cluster`` may not be parted.
    buckets : int

    Raises
    ------
    TableError, DataError, ConfigError
        If there is no table there, or the options do not fit its columns.
    """
    if address.uri in TABLES or is_panel(address.uri):
        return lake.plan(address.uri, version=address.version)
    if is_delta(address.uri):
        plan = make_plan(address.uri, address.uri, version=address.version)
        if lies_in_buckets(plan, options.cluster, buckets):
            return plan
    table = open_foreign(address)
    return bucketed_plan(lake, address, table, _columns(table, options), options.cluster, buckets)


def bucketed_plan(
    lake: Lake, address: TableAddress, table: ForeignTable, columns: tuple[str, ...],
    cluster: str | None, buckets: int, kind: str = "panel",
) -> ScanPlan:  # fmt: skip
    """A plan of the copy of some columns in buckets of a cluster's; made where there is none.

    Without a cluster rows stand for themselves. Copies of one ``kind`` follow each other.
    """
    held = fingerprint_of(
        uri=address.uri, version=table.version, columns=columns, cluster=cluster,
        types=[str(kind) for kind in table.stored(columns).types], buckets=buckets,
    )  # fmt: skip
    # Those of the same table at another version are current no more, once this one is there.
    of_table = f"{kind}-{fingerprint_of(uri=address.uri)[:10]}-"
    of_version = f"{of_table}{fingerprint_of(version=table.version)[:10]}-"
    copy = _copied(lake, f"{of_version}{held}", table, columns, cluster, buckets)
    if table.version == table_version(TableAddress(address.uri)):
        discard_copies(lake.root, of_table, but=of_version)
    return copy


@contextmanager
def rows_plan(
    lake: Lake, frame: DataFrame, options: EffectOptions, buckets: int
) -> Iterator[ScanPlan]:
    """A plan of what a Spark DataFrame holds: a copy in buckets that goes when the block ends.

    Raises
    ------
    TableError, DataError, ConfigError
        If the options do not fit its columns.
    """
    from pyspark.sql.pandas.types import to_arrow_schema

    table = ForeignTable("the DataFrame", "0", to_arrow_schema(frame.schema), frame=frame)
    columns = _columns(table, options)
    name = f"panel-{uuid.uuid4().hex}"
    try:
        yield _copied(lake, name, table, columns, options.cluster, buckets)
    finally:
        discard_copy(lake.root, name)


def _copied(
    lake: Lake, name: str, table: ForeignTable, columns: tuple[str, ...], cluster: str | None,
    buckets: int,
) -> ScanPlan:  # fmt: skip
    """The columns in buckets of the lake's ``work/``, under the names that the user knows."""
    names = {column: f"c{i}" for i, column in enumerate(columns)}

    def with_bucket() -> DataFrame:
        rows = table.rows(lake.spark, columns)
        return rows.withColumn("bucket", _bucket(names, cluster, buckets))

    copy = bucketed_copy(copy_place(lake.root, name), with_bucket, buckets, table.name)
    return copy.named(names)


def _bucket(names: dict[str, str], cluster: str | None, buckets: int) -> Column:
    """Of the cluster, or of the whole row where rows stand for themselves."""
    if cluster is not None:
        return bucket_column(names[cluster], buckets)
    from pyspark.sql import functions as F

    return F.pmod(F.xxhash64(*names.values()), F.lit(buckets)).cast("int")


def address_panel(address: TableAddress, options: EffectOptions, buckets: int) -> MemoryPanel:
    """The table at an address, read into this process: the buckets of :func:`panel_plan`.

    Raises
    ------
    TableError, DataError, ConfigError
        As there, and for a table that only Spark can read.
    """
    table = open_foreign(address)
    plan = table.plan
    if plan is None or not lies_in_buckets(plan, options.cluster, buckets):
        return memory_panel(table, options, buckets)
    plan = plan.select(_columns(table, options))
    parts = {
        bucket: pa.concat_tables(read_unit(plan, unit) for unit in units)
        for bucket, units in plan.by_bucket().items()
    }
    return MemoryPanel(parts, table.name, plan.version)


def frame_panel(frame: Any, options: EffectOptions, buckets: int) -> MemoryPanel:
    """A table in memory as a panel; see :func:`memory_panel`."""
    return memory_panel(frame_table(frame, f"the {type(frame).__name__}"), options, buckets)


def memory_panel(
    table: ForeignTable, options: EffectOptions, buckets: int, beside: tuple[str, ...] = ()
) -> MemoryPanel:
    """A table in memory, cut by the hash of its cluster column that cuts the job's copy.

    So folds, start rows and sums are the job's (:func:`~truelift.lake.buckets.buckets_of`), and
    with them every number up to the order in which a bucket's rows are added up. ``beside`` are
    further columns, of those that there are.

    Raises
    ------
    TableError, DataError, ConfigError
        If the options do not fit its columns.
    """
    columns = _with(table, _columns(table, options), beside)
    return cut_table(table, table.here(columns), options.cluster, buckets)


def numbered_panel(
    table: ForeignTable, options: EffectOptions, buckets: int, beside: tuple[str, ...] = ()
) -> MemoryPanel:
    """A table whose rows each stand for themselves: their numbers are its last column.

    Raises
    ------
    TableError, DataError, ConfigError
        If the options do not fit its columns.
    """
    name = next(name for name in _ROWS if name not in table.schema.names)
    numbered = replace(table, schema=table.schema.append(pa.field(name, pa.int64())))
    asked = _with(table, _columns(numbered, replace(options, cluster=name)), beside)
    rows = table.here([column for column in asked if column != name])
    numbered_rows = rows.append_column(name, pa.array(np.arange(rows.num_rows)))
    return cut_table(table, numbered_rows, name, buckets)


def cut_table(table: ForeignTable, rows: pa.Table, cluster: str, buckets: int) -> MemoryPanel:
    """Rows that were read of a table, cut by the hash of their cluster column."""
    place = buckets_of(rows[cluster], max(buckets, 1))
    assert place is not None  # of all types in which columns are kept
    parts = {b: rows.filter(pa.array(place == b)) for b in range(max(buckets, 1))}
    version = 0 if table.plan is None else table.plan.version
    held = {b: p for b, p in parts.items() if p.num_rows} or {0: rows}
    return MemoryPanel(held, table.name, version)


def _with(
    table: ForeignTable, columns: tuple[str, ...], beside: tuple[str, ...]
) -> tuple[str, ...]:
    further = [name for name in beside if name in table.schema.names]
    table.stored(further)
    return tuple(dict.fromkeys([*columns, *further]))


def _columns(table: ForeignTable, options: EffectOptions) -> tuple[str, ...]:
    """What the options ask for, checked before anything is copied."""
    columns = columns_asked_for(table.schema, options)
    table.stored([name for name in columns if name in table.schema.names])
    check_parts(table.schema, options, table.name)
    check_columns(table.schema, options, table.name)
    # Whether units are seen at several times shows in columns that the options need not name.
    times = [f.name for f in table.schema if is_time_like(f) and table.is_usable(f.name)]
    times = [] if options.nuisances.propensity else times
    return tuple(dict.fromkeys([*columns, *columns_of_looks(options), *times]))


def lies_in_buckets(plan: ScanPlan, cluster: str, buckets: int) -> bool:
    """Whether a table is partitioned by our hash of its clusters, by some of its rows.

    A column named ``bucket`` may be a user's own, of any type and meaning. Ours has whole numbers
    that the hash (:func:`truelift.lake.bucket_column`) of every cluster looked at agrees with, for
    this lake's number of buckets or the table's own.
    """
    if "bucket" not in plan.partition_columns or not plan.direct or not plan.units:
        return False
    schema = plan.schema
    if not pa.types.is_integer(schema.field("bucket").type) or cluster not in schema.names:
        return False
    if cluster == "bucket" or any(unit.partition["bucket"] is None for unit in plan.units):
        return False
    members = plan.by_bucket()
    numbers = list(members)
    if numbers[0] < 0 or len(numbers) < 2:
        return False
    step = -(-len(numbers) // _LOOK_BUCKETS)
    for count in {buckets, numbers[-1] + 1}:
        if numbers[-1] < count and all(
            _agrees(plan, members[b], cluster, b, count) for b in numbers[::step]
        ):
            return True
    return False


def _agrees(plan: ScanPlan, units: list[Any], cluster: str, bucket: int, buckets: int) -> bool:
    for unit in units[:1]:
        for batch in read_batches(plan, unit, [cluster], _LOOK_KEYS):
            found = buckets_of(batch.column(0), buckets)
            return found is not None and set(found) <= {bucket}
    return True
