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
from truelift.lake.log import current_version
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
    return _in_buckets(lake, rows, address.uri, version, cluster, buckets)


def _in_buckets(
    lake: Lake, rows: DataFrame, uri: str, version: str, cluster: str, buckets: int
) -> ScanPlan:
    name = fingerprint_of(uri=uri, version=version, cluster=cluster, buckets=buckets)
    place = f"{lake.root}/work/panel-{name}"
    if current_version(place) is None:
        kept = rows.drop("bucket").withColumn("bucket", bucket_column(cluster, buckets))
        (
            kept.repartition(buckets, "bucket")
            .write.format("delta")
            .mode("errorifexists")
            .partitionBy("bucket")
            .option("delta.enableDeletionVectors", "false")
            .save(place)
        )
    return make_plan(uri, place)
