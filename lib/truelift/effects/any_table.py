"""Any Delta or Parquet table as a panel: read where it lies, or brought into buckets once.

Clustered errors and folds need every cluster in one bucket. A Delta table that is partitioned by
``bucket`` already is read as it is. Any other is written once into the lake, partitioned by a hash
of its cluster column (the one shuffle of an estimation), under a name that its version decides; a
later run with the same table, version and cluster column finds it there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from truelift.errors import TableError
from truelift.lake import bucket_column
from truelift.lake.address import TableAddress as TableAddress
from truelift.lake.address import is_delta, open_address
from truelift.lake.copies import bucketed_copy
from truelift.lake.scan import ScanPlan, make_plan
from truelift.lake.tables import TABLES, is_panel
from truelift.steps import fingerprint_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from truelift.lake import Lake


def panel_plan(lake: Lake, address: TableAddress, cluster: str, buckets: int) -> ScanPlan:
    """A plan of the table by bucket; brings it into buckets where it is not.

    Parameters
    ----------
    lake : Lake
        Receives the bucketed copy, under ``work/``.
    address : TableAddress
        Its URI may be the name of a table of the lake, like ``gold.panel_promotions``.
    cluster : str
        The column whose values may not be parted.
    buckets : int

    Raises
    ------
    TableError
        If there is no table there, or it lacks the cluster column.
    """
    if address.uri in TABLES or is_panel(address.uri):
        return lake.plan(address.uri, version=address.version)
    if is_delta(address.uri):
        plan = make_plan(address.uri, address.uri, version=address.version)
        if "bucket" in plan.partition_columns:
            return plan
    rows, version = open_address(lake.spark, address)
    names = rows.columns
    if cluster not in names:
        raise TableError(
            f"{address.uri} has no column {cluster!r}; its columns are {', '.join(names)}. Set "
            "cluster in the spec to the column of the units that may depend on each other."
        )
    held = fingerprint_of(uri=address.uri, version=version, cluster=cluster, buckets=buckets)

    def with_bucket() -> DataFrame:
        return rows.drop("bucket").withColumn("bucket", bucket_column(cluster, buckets))

    return bucketed_copy(f"{lake.root}/work/panel-{held}", with_bucket, buckets, address.uri)
