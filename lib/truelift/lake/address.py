"""Tables outside the lake: their addresses, and what tells one content from another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truelift.errors import ConfigError, TableError
from truelift.lake.log import current_version, filesystem_of
from truelift.lake.scan import make_plan
from truelift.steps import fingerprint_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


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


def is_delta(uri: str) -> bool:
    """Whether a Delta table lies there; of a single file the log's reader would only complain."""
    import pyarrow.fs as pafs

    filesystem, root = filesystem_of(uri)
    if filesystem.get_file_info(root).type == pafs.FileType.File:
        return False
    return current_version(uri) is not None


def open_address(spark: SparkSession, address: TableAddress) -> tuple[DataFrame, str]:
    """The rows of a Delta or Parquet table, and the version that they are of.

    Raises
    ------
    TableError
        If there is no table there, or not that version.
    """
    if is_delta(address.uri):
        plan = make_plan(address.uri, address.uri, version=address.version)
        reader = spark.read.format("delta").option("versionAsOf", plan.version)
        return reader.load(address.uri), str(plan.version)
    if address.version is not None:
        raise TableError(f"{address.uri} is no Delta table, so it has no version to ask for.")
    version = parquet_version(address.uri)
    return spark.read.parquet(address.uri), version


def parquet_version(uri: str) -> str:
    """What tells this content of a Parquet file, or a folder of them, from another.

    Raises
    ------
    TableError
        If there is neither.
    """
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
