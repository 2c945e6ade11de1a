"""Any Delta or Parquet table as a panel: read where it lies, or brought into buckets once.

Clustered errors and folds need every cluster in one bucket. A Delta table that is partitioned by
``bucket`` already is read as it is. Any other is written once into the lake, partitioned by a hash
of its cluster column (the one shuffle of an estimation), under a name that its version decides; a
later run with the same table, version and cluster column finds it there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truelift.errors import ConfigError, TableError
from truelift.lake import bucket_column
from truelift.lake.log import current_version, filesystem_of
from truelift.lake.scan import ScanPlan, make_plan
from truelift.steps import fingerprint_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from truelift.lake import Lake


@dataclass(frozen=True)
class TableAddress:
    """``URI`` or ``URI@version``; the version is of a Delta table."""

    uri: str
    version: int | None = None

    @staticmethod
    def parse(text: str) -> TableAddress:
        """Read an address.

        Raises
        ------
        ConfigError
            If what follows the ``@`` is no version.
        """
        uri, at, version = text.rpartition("@")
        if not at:
            return TableAddress(text.rstrip("/"))
        if not version.isdigit():
            if "/" in version:  # an @ inside a folder's name
                return TableAddress(text.rstrip("/"))
            raise ConfigError(f"--table {text}: found version {version!r}, expected a number.")
        return TableAddress(uri.rstrip("/"), int(version))


def panel_plan(lake: Lake, address: TableAddress, cluster: str, buckets: int) -> ScanPlan:
    """A plan of the table by bucket; brings it into buckets where it is not.

    Parameters
    ----------
    lake : Lake
        Receives the bucketed copy, under ``work/``.
    address : TableAddress
    cluster : str
        The column whose values may not be parted.
    buckets : int

    Raises
    ------
    TableError
        If there is no table there, or it lacks the cluster column.
    """
    is_delta = current_version(address.uri) is not None
    if is_delta:
        plan = make_plan(address.uri, address.uri, version=address.version)
        if "bucket" in plan.partition_columns:
            return plan
        version, names = str(plan.version), plan.schema.names
        source = lake.spark.read.format("delta").option("versionAsOf", plan.version)
        rows = source.load(address.uri)
    else:
        if address.version is not None:
            raise TableError(f"{address.uri} is no Delta table, so it has no version to ask for.")
        version = _parquet_version(address.uri)
        rows = lake.spark.read.parquet(address.uri)
        names = rows.columns
    if cluster not in names:
        raise TableError(
            f"{address.uri} has no column {cluster!r}; its columns are {', '.join(names)}. Set "
            "cluster in the spec to the column of the units that may depend on each other."
        )
    return _in_buckets(lake, rows, address.uri, version, cluster, buckets)


def _parquet_version(uri: str) -> str:
    """What tells this content of a folder of Parquet files from another."""
    import pyarrow.fs as pafs

    filesystem, root = filesystem_of(uri)
    info = filesystem.get_file_info(root)
    if info.type == pafs.FileType.File:
        files = [info]
    elif info.type == pafs.FileType.Directory:
        selector = pafs.FileSelector(root, recursive=True)
        files = [f for f in filesystem.get_file_info(selector) if f.path.endswith(".parquet")]
    else:
        files = []
    if not files:
        raise TableError(
            f"There is no table at {uri}: neither a Delta log nor a Parquet file. Expected a "
            "Delta table, a Parquet file, or a folder of Parquet files."
        )
    return fingerprint_of(files=sorted((f.path, f.size, str(f.mtime_ns)) for f in files))


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
