"""A panel that lies in Delta, read bucket by bucket through Spark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from truelift.effects.source import State, SumKernel
from truelift.effects.start import StartKernel
from truelift.lake.scan import ScanPlan

if TYPE_CHECKING:
    from truelift.lake import Lake


@dataclass(frozen=True, eq=False)
class LakePanel:
    """The panel of a scan plan; see :class:`~truelift.effects.source.PanelSource`.

    Parameters
    ----------
    lake : Lake
        Gives the Spark session.
    plan : ScanPlan
        All columns of the table at one version.
    """

    lake: Lake
    plan: ScanPlan

    @property
    def name(self) -> str:
        """The table, for messages."""
        return self.plan.table

    @property
    def version(self) -> int:
        """The pinned version."""
        return self.plan.version

    @property
    def schema(self) -> pa.Schema:
        """Columns and types."""
        return self.plan.schema

    def bucket_rows(self) -> dict[int, int]:
        """Rows of each bucket: from the log, or counted where the log does not know."""
        if self.plan.direct:
            units = self.plan.by_bucket()
            return {bucket: sum(u.rows for u in members) for bucket, members in units.items()}
        reader = self.lake.spark.read.format("delta").option("versionAsOf", self.plan.version)
        counts = reader.load(self.plan.uri).groupBy("bucket").count().collect()
        return {int(row[0]): int(row[1]) for row in counts}

    def sum(self, kernel: SumKernel, columns: Sequence[str], batch_rows: int) -> State:
        """Add up the kernel's states over all buckets, in the buckets' order."""
        return self.lake.sum_buckets(kernel, {"panel": self.plan.select(columns)}, batch_rows)

    def start_rows(self, kernel: StartKernel) -> pa.Table:
        """Run the kernel over its buckets and bring its few rows here."""
        from pyspark.sql.types import DoubleType, LongType, StructField, StructType

        plan = self.plan.select(
            tuple(dict.fromkeys([*kernel.columns.numeric(), kernel.columns.unit]))
        )
        if plan.direct:
            chosen = set(kernel.start.buckets)
            units = [u for b, members in plan.by_bucket().items() if b in chosen for u in members]
            plan = replace(plan, units=tuple(units))
        fields = [StructField("order", LongType())]
        fields += [StructField(name, DoubleType()) for name in kernel.columns.numeric()]
        return self.lake.map_buckets(kernel, {"panel": plan}, StructType(fields)).toArrow()
