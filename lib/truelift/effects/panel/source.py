"""Where the passes read: a table in a lake, or tables in memory (simulations and tests)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.lake.conditions import condition_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from truelift.effects.panel.start import StartKernel
    from truelift.effects.scores.second_way import PartialSumsKernel
    from truelift.lake.scan import ScanPlan

State = dict[str, np.ndarray]
#: A column of arms or groups has fewer values than this.
MOST_VALUES = 1000
SumKernel = Callable[[int, Iterator[pa.RecordBatch]], State | None]
Block = TypeVar("Block")


@dataclass(frozen=True, eq=False)
class Spread:
    """Where a panel's rows lie in files, for learners whose own processes read them.

    Parameters
    ----------
    plan : ScanPlan
        All columns, at one version.
    spark : SparkSession
        Gives tasks.
    """

    plan: ScanPlan
    spark: SparkSession


class PanelSource(Protocol):
    """What an estimation needs of a panel: counts, sums and a few rows."""

    @property
    def name(self) -> str:
        """The table, for messages."""

    @property
    def version(self) -> int:
        """The pinned version."""

    @property
    def schema(self) -> pa.Schema:
        """Columns and types."""

    def bucket_rows(self) -> dict[int, int]:
        """Rows of each bucket."""

    def where(self, condition: str) -> PanelSource:
        """The rows that meet a condition (:mod:`truelift.lake.conditions`)."""

    def sum(self, kernel: SumKernel, columns: Sequence[str], batch_rows: int) -> State:
        """Add up the kernel's states over all buckets, in the buckets' order."""

    def second_sums(self, kernel: PartialSumsKernel, columns: Sequence[str]) -> State:
        """Sums of products over clusters that lie in many buckets; see
        :func:`~truelift.effects.scores.second_way.crossed_sums`.
        """

    def start_rows(self, kernel: StartKernel) -> pa.Table:
        """Run the kernel over its buckets and bring its few rows here."""

    def spread(self) -> Spread | None:
        """Where the rows lie in files; None where they are in memory."""

    def blocks(
        self, make: Callable[[pa.RecordBatch, int], Block], columns: Sequence[str], folds: int
    ) -> Iterator[Block]:
        """What is made of the rows and their fold (``bucket % folds``), bucket after bucket, here."""

    def distinct(self, columns: Sequence[str]) -> dict[str, list[Any]]:
        """Distinct values of each column that are not null, at least :data:`MOST_VALUES` + 1
        of them where there are more.
        """


@dataclass(frozen=True, eq=False)
class MemoryPanel:
    """A panel whose buckets are Arrow tables in memory.

    Parameters
    ----------
    buckets : mapping of int to pyarrow.Table
    """

    buckets: Mapping[int, pa.Table]
    name: str = "panel"
    version: int = 0

    @property
    def schema(self) -> pa.Schema:
        """Columns and types."""
        return next(iter(self.buckets.values())).schema

    def bucket_rows(self) -> dict[int, int]:
        """Rows of each bucket."""
        return {b: t.num_rows for b, t in self.buckets.items()}

    def where(self, condition: str) -> MemoryPanel:
        """The rows that meet a condition."""
        taken = condition_of(condition)
        return replace(
            self,
            buckets={
                b: pa.Table.from_batches([taken.rows(r) for r in t.to_batches()], t.schema)
                for b, t in self.buckets.items()
            },
        )

    def sum(self, kernel: SumKernel, columns: Sequence[str], batch_rows: int) -> State:
        """Add up the kernel's states; see :func:`truelift.lake.states.add_states`."""
        from truelift.lake.states import add_states

        states = (
            kernel(b, iter(self.buckets[b].select(list(columns)).to_batches(batch_rows)))
            for b in sorted(self.buckets)
        )
        return add_states(s for s in states if s is not None)

    def second_sums(self, kernel: PartialSumsKernel, columns: Sequence[str]) -> State:
        """All rows of the kernel, grouped here."""
        from truelift.effects.scores.second_way import crossed_sums

        rows = [
            kernel(b, {"panel": self.buckets[b].select(list(columns))})
            for b in sorted(self.buckets)
        ]
        return crossed_sums(pa.concat_tables(rows), len(kernel.scoring.layout))

    def start_rows(self, kernel: StartKernel) -> pa.Table:
        """Rows of the kernel, bucket after bucket."""
        chosen = sorted(kernel.start.buckets)
        return pa.concat_tables([kernel(b, {"panel": self.buckets[b]}) for b in chosen])

    def spread(self) -> None:
        """In memory."""

    def blocks(
        self, make: Callable[[pa.RecordBatch, int], Block], columns: Sequence[str], folds: int
    ) -> Iterator[Block]:
        """What is made of every batch of the tables."""
        for bucket in sorted(self.buckets):
            for batch in self.buckets[bucket].select(list(columns)).to_batches():
                yield make(batch, bucket % folds)

    def distinct(self, columns: Sequence[str]) -> dict[str, list[Any]]:
        """Distinct values of each column, in ascending order."""
        found: dict[str, set[Any]] = {name: set() for name in columns}
        for table in self.buckets.values():
            for name in columns:
                found[name].update(distinct_values(table[name]))
        return {name: sorted(values) for name, values in found.items()}


def distinct_values(column: pa.ChunkedArray) -> list[Any]:
    """At most :data:`MOST_VALUES` + 1 of the values, without nulls and NaN."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        column = column.filter(pc.invert(pc.is_nan(column)))
    return pc.unique(column).drop_null().to_pylist()[: MOST_VALUES + 1]
