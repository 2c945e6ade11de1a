"""The lake of one data set: tables by name, read at pinned versions, written once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyarrow.fs as pafs

from truelift.errors import MachineError
from truelift.files.places import filesystem_of
from truelift.lake import kernels
from truelift.lake.bucket_writes import (
    commit_files,
    replace_by_kernel,
    replace_by_rows,
    takes_buckets,
)
from truelift.lake.data_files import DataFileRecord
from truelift.lake.log import current_version, recent_commits
from truelift.lake.object_store import check_session, check_settings
from truelift.lake.scan import ScanPlan, make_plan
from truelift.lake.session import start_session
from truelift.lake.tables import is_panel, table_spec
from truelift.lake.writes import (
    Commit,
    TableState,
    append_batch,
    replace_part,
    replace_slices,
    replace_table,
    table_state,
)
from truelift.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType


class Lake:
    """Tables under one URI. The Spark session starts with the first call that needs it."""

    def __init__(self, settings: Settings, spark: SparkSession | None = None):
        self.root = lake_root(settings.lake)
        self._settings = settings
        self._spark = spark

    @staticmethod
    def open(settings: Settings, spark: SparkSession | None = None) -> Lake:
        """The lake that the settings name.

        Raises
        ------
        MachineError
            If the lake is a local path that cannot be written to.
        ConfigError
            If the settings make S3A overwrite commits; see :mod:`~.object_store`.
        """
        lake = Lake(settings, spark)
        check_settings(lake.root, settings.spark.conf)
        if spark is not None:
            check_session(lake.root, spark)
        if urlsplit(lake.root).scheme in ("", "file"):
            _check_writable(Path(urlsplit(lake.root).path))
        return lake

    @property
    def spark(self) -> SparkSession:
        """The session, started if there is none."""
        if self._spark is None:
            session = start_session(self._settings.spark)
            check_session(self.root, session)
            self._spark = session
        return self._spark

    @property
    def buckets(self) -> int:
        """Buckets of users that its tables are cut into."""
        return self._settings.buckets

    @property
    def session_started(self) -> bool:
        """Whether a session was needed so far."""
        return self._spark is not None

    def uri(self, name: str) -> str:
        """Where a table lies: ``silver.events`` under ``<root>/silver/events``."""
        return f"{self.root}/{table_spec(name).name.replace('.', '/')}"

    def version(self, name: str) -> int | None:
        """Newest version, or None if the table does not exist."""
        return current_version(self.uri(name))

    def exists(self, name: str) -> bool:
        """Whether the table has a version."""
        return self.version(name) is not None

    def panels(self) -> tuple[str, ...]:
        """Panels that specifications have made here (``gold.panel_<name>``), by name."""
        filesystem, root = filesystem_of(self.root)
        folder = pafs.FileSelector(f"{root}/gold", allow_not_found=True)
        names = (f"gold.{found.base_name}" for found in filesystem.get_file_info(folder))
        return tuple(sorted(n for n in names if is_panel(n) and self.exists(n)))

    def read(self, name: str, version: int | None = None) -> DataFrame:
        """The table as a DataFrame, pinned to a version (the newest by default)."""
        plan = make_plan(name, self.uri(name), version=version)
        reader = self.spark.read.format("delta").option("versionAsOf", plan.version)
        return reader.load(plan.uri)

    def plan(
        self, name: str, columns: Sequence[str] | None = None, version: int | None = None
    ) -> ScanPlan:
        """A scan plan of the table at a version (the newest by default)."""
        return make_plan(name, self.uri(name), columns, version)

    def replace(self, name: str, df: DataFrame, fingerprint: str) -> Commit:
        """Make the table hold exactly these rows; see :func:`~.writes.replace_table`."""
        return replace_table(df, self.uri(name), table_spec(name), fingerprint)

    def replace_part(
        self, name: str, df: DataFrame, fingerprint: str, column: str, value: str
    ) -> Commit:
        """Replace the rows with one value of a column; see :func:`~.writes.replace_part`."""
        return replace_part(df, self.uri(name), table_spec(name), fingerprint, column, value)

    def replace_slices(
        self,
        name: str,
        df: DataFrame,
        fingerprint: str,
        state: TableState,
        notes: Mapping[str, Any],
        slices: Mapping[str, Sequence[int]] | None = None,
    ) -> Commit:
        """Replace (bucket, period) slices of a table; see :func:`~.writes.replace_slices`."""
        spec = table_spec(name)
        return replace_slices(df, self.uri(name), spec, fingerprint, state, notes, slices)

    def replace_by_kernel(
        self,
        name: str,
        kernel: kernels.RowKernel,
        plans: Mapping[str, ScanPlan],
        fingerprint: str,
        state: TableState,
        notes: Mapping[str, Any],
        slices: Mapping[str, Sequence[int]] | None = None,
    ) -> Commit:
        """Replace slices by what a kernel makes of other tables' buckets.

        The tasks write the files themselves (:mod:`~.bucket_writes`) where the table and its
        storage allow it, and hand their rows to Spark's writer elsewhere.
        """
        uri, spec = self.uri(name), table_spec(name)
        if takes_buckets(uri, spec):
            return replace_by_kernel(
                self.spark, kernel, plans, uri, spec, fingerprint, state, notes, slices
            )
        frame = self.map_buckets(kernel, plans, spec.schema())
        return replace_slices(frame, uri, spec, fingerprint, state, notes, slices)

    def replace_buckets(
        self,
        name: str,
        kernel: kernels.RowKernel,
        plans: Mapping[str, ScanPlan],
        fingerprint: str,
    ) -> Commit:
        """Make the table hold exactly what a kernel makes of other tables' buckets.

        Skipped as :func:`~.writes.replace_table` is. The tasks write the files themselves where
        the table and its storage allow it.
        """
        uri, spec = self.uri(name), table_spec(name)
        newest = next(iter(recent_commits(uri, 1)), None)
        if newest is not None and newest.fingerprint == fingerprint:
            return Commit(name, newest.version, self.plan(name).rows, skipped=True)
        if takes_buckets(uri, spec):
            state = table_state(uri)
            return replace_by_kernel(self.spark, kernel, plans, uri, spec, fingerprint, state, {})
        return self.replace(name, self.map_buckets(kernel, plans, spec.schema()), fingerprint)

    def replace_rows(self, name: str, rows: pa.Table, fingerprint: str) -> Commit:
        """Make a small table hold exactly these rows, without a session where that can be.

        Skipped as :func:`~.writes.replace_table` is.
        """
        uri, spec = self.uri(name), table_spec(name)
        newest = next(iter(recent_commits(uri, 1)), None)
        if newest is not None and newest.fingerprint == fingerprint:
            return Commit(name, newest.version, rows.num_rows, skipped=True)
        if takes_buckets(uri, spec):
            return replace_by_rows(uri, spec, rows, fingerprint)
        frame = self.spark.createDataFrame(rows.to_pandas(), spec.schema())
        return self.replace(name, frame, fingerprint)

    def publish_files(
        self,
        name: str,
        files: Sequence[DataFileRecord],
        fingerprint: str,
        state: TableState,
        notes: Mapping[str, Any],
        slices: Mapping[str, Sequence[int]] | None = None,
    ) -> Commit:
        """Commit files that tasks have written; see :func:`~.bucket_writes.commit_files`."""
        spec = table_spec(name)
        return commit_files(self.uri(name), spec, files, fingerprint, state, notes, slices)

    def state(self, name: str) -> TableState:
        """Where a table that is written by increments stands."""
        return table_state(self.uri(name))

    def append(self, name: str, df: DataFrame, batch_id: str) -> Commit:
        """Add a batch once; see :func:`~.writes.append_batch`."""
        return append_batch(df, self.uri(name), table_spec(name), batch_id)

    def map_buckets(
        self, kernel: kernels.RowKernel, plans: Mapping[str, ScanPlan], schema: StructType | str
    ) -> DataFrame:
        """Run a row kernel over every bucket; see :func:`~.kernels.map_buckets`."""
        return kernels.map_buckets(self.spark, kernel, plans, schema)

    def sum_buckets(
        self, kernel: kernels.SumKernel, plans: Mapping[str, ScanPlan], batch_rows: int = 65536
    ) -> kernels.State:
        """Run a sum kernel over every bucket; see :func:`~.kernels.sum_buckets`."""
        return kernels.sum_buckets(self.spark, kernel, plans, self._settings.buckets, batch_rows)


def lake_root(uri: str) -> str:
    """A lake's URI without a trailing slash; a local path is made absolute."""
    return uri.rstrip("/") if urlsplit(uri).scheme else str(Path(uri).expanduser().resolve())


def _check_writable(path: Path) -> None:
    nearest = path
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise MachineError(f"The lake {path} cannot be made: {nearest} is a file, not a folder.")
    if not os.access(nearest, os.W_OK):
        raise MachineError(
            f"The lake {path} cannot be written: no write permission in {nearest}. "
            "Give another place with --lake."
        )
