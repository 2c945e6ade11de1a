"""Any table as a panel: read where it lies, or brought into buckets once.

Clustered errors and folds need every cluster in one bucket. A Delta table that is partitioned by
``bucket`` and whose rows lie where the hash of their cluster says is read as it is; the name of the
column alone says nothing. Of any other table the columns that the options name are written once
into the lake, partitioned by a hash of the cluster column (the one shuffle of an estimation), under
a name that its version decides; a later run with the same table, version and columns finds it there.
The copy calls its columns ``c0``, ``c1``, ...; the plan knows what the user calls them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from truelift.arrays.keys import hash_keys
from truelift.effects.columns import check_parts, columns_asked_for
from truelift.effects.further.columns import check_columns
from truelift.effects.repeated_units import is_time_like
from truelift.effects.source import MemoryPanel
from truelift.lake import bucket_column
from truelift.lake.address import TableAddress as TableAddress
from truelift.lake.address import is_delta
from truelift.lake.buckets import buckets_of
from truelift.lake.copies import bucketed_copy
from truelift.lake.foreign import ForeignTable, frame_table, open_foreign, stored_table
from truelift.lake.scan import ScanPlan, make_plan, read_batches
from truelift.lake.tables import TABLES, is_panel
from truelift.settings import EffectOptions
from truelift.steps import fingerprint_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from truelift.lake import Lake

# Buckets and keys that are looked at before a table counts as lying in buckets.
_LOOK_BUCKETS, _LOOK_KEYS = 8, 64


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
    columns = _columns(table, options)
    names = {name: f"c{i}" for i, name in enumerate(columns)}
    held = fingerprint_of(
        uri=address.uri, version=table.version, columns=columns, cluster=options.cluster,
        types=[str(kind) for kind in table.stored(columns).types], buckets=buckets,
    )  # fmt: skip

    def with_bucket() -> DataFrame:
        rows = table.rows(lake.spark, columns)
        return rows.withColumn("bucket", bucket_column(names[options.cluster], buckets))

    copy = bucketed_copy(f"{lake.root}/work/panel-{held}", with_bucket, buckets, address.uri)
    return copy.named(names)


def frame_panel(frame: Any, options: EffectOptions, buckets: int) -> MemoryPanel:
    """A table in memory as a panel, cut by a hash of its cluster column.

    Raises
    ------
    TableError, DataError, ConfigError
        If it is no table, or the options do not fit its columns.
    """
    table = frame_table(frame, f"the {type(frame).__name__}")
    columns = _columns(table, options)
    assert table.held is not None
    rows = stored_table(table.held.select(list(columns)), table.stored(columns))
    place = hash_keys(rows[options.cluster]) % max(buckets, 1)
    parts = {b: rows.filter(pa.array(place == b)) for b in range(max(buckets, 1))}
    return MemoryPanel({b: p for b, p in parts.items() if p.num_rows} or {0: rows}, table.name)


def _columns(table: ForeignTable, options: EffectOptions) -> tuple[str, ...]:
    """What the options ask for, checked before anything is copied."""
    columns = columns_asked_for(table.schema, options)
    table.stored([name for name in columns if name in table.schema.names])
    check_parts(table.schema, options, table.name)
    check_columns(table.schema, options, table.name)
    # Whether units are seen at several times shows in columns that the options need not name.
    times = [f.name for f in table.schema if is_time_like(f) and table.is_usable(f.name)]
    return tuple(dict.fromkeys([*columns, *(times if not options.propensity else [])]))


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
