"""A panel with columns that are computed as its rows are read, such as whether an outcome exceeds a number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from truelift.effects.panel.source import Block, PanelSource, State, SumKernel
from truelift.errors import MachineError

if TYPE_CHECKING:
    from truelift.effects.panel.start import StartKernel
    from truelift.effects.scores.second_way import PartialSumsKernel


class Derivation(Protocol):
    """Columns made of others, row by row."""

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns of the panel that they are made of."""

    def values(self, batch: pa.RecordBatch, bucket: int) -> np.ndarray:
        """Their values, names x rows; the fold of a bucket is ``bucket % folds``."""


@dataclass(frozen=True, eq=False)
class DerivedPanel:
    """A panel and derived columns; see :class:`~truelift.effects.panel.source.PanelSource`.

    No file holds them, so learners whose own processes read files have the rows brought here.

    Parameters
    ----------
    source : PanelSource
    made : Derivation
    """

    source: PanelSource
    made: Derivation

    @property
    def name(self) -> str:
        """The table, for messages."""
        return self.source.name

    @property
    def version(self) -> int:
        """The pinned version."""
        return self.source.version

    @property
    def schema(self) -> pa.Schema:
        """Columns and types, the derived ones last."""
        fields = [pa.field(name, pa.float64()) for name in self.made.names]
        return pa.schema([*self.source.schema, *fields])

    def bucket_rows(self) -> dict[int, int]:
        """Rows of each bucket."""
        return self.source.bucket_rows()

    def where(self, condition: str) -> DerivedPanel:
        """The rows that meet a condition."""
        return replace(self, source=self.source.where(condition))

    def sum(self, kernel: SumKernel, columns: Sequence[str], batch_rows: int) -> State:
        """Add up the kernel's states over all buckets, in the buckets' order."""
        if not set(columns) & set(self.made.names):
            return self.source.sum(kernel, columns, batch_rows)
        wanted = tuple(columns)
        return self.source.sum(
            DerivedKernel(kernel, self.made, wanted), self._stored(wanted), batch_rows
        )

    def second_sums(self, kernel: PartialSumsKernel, columns: Sequence[str]) -> State:
        """Derived columns are not made for clusters in two ways."""
        raise MachineError(
            f"{self.name}: sums in two ways of derived columns ({kernel}, {columns})."
        )

    def start_rows(self, kernel: StartKernel) -> pa.Table:
        """The kernel's few rows, derived columns made of what they are made of."""
        parts = kernel.columns
        outcomes = tuple(n for n in parts.outcomes if n not in self.made.names)
        more = tuple(n for n in self.made.reads if n not in {*parts.of_moments(), *outcomes})
        stored = replace(kernel, columns=replace(parts, outcomes=(*outcomes, *more)))
        rows = self.source.start_rows(stored)
        found = self.made.values(_one_batch(rows), 0)
        for name, values in zip(self.made.names, found, strict=True):
            rows = rows.append_column(name, pa.array(values))
        return rows.select([rows.column_names[0], *parts.of_moments()])

    def spread(self) -> None:
        """No file holds derived columns."""

    def blocks(
        self, make: Callable[[pa.RecordBatch, int], Block], columns: Sequence[str], folds: int
    ) -> Iterator[Block]:
        """What is made of the rows and their fold, bucket after bucket, here."""
        wanted = tuple(columns)
        return self.source.blocks(
            DerivedBlock(make, self.made, wanted), self._stored(wanted), folds
        )

    def distinct(self, columns: Sequence[str]) -> dict[str, list[Any]]:
        """Distinct values of columns that are no derived ones."""
        return self.source.distinct(columns)

    def _stored(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        kept = [name for name in columns if name not in self.made.names]
        return tuple(dict.fromkeys([*kept, *self.made.reads]))


@dataclass(frozen=True, eq=False)
class DerivedKernel:
    """A kernel that is shown derived columns too."""

    kernel: SumKernel
    made: Derivation
    columns: tuple[str, ...]

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State | None:
        """The kernel's state of one bucket."""
        return self.kernel(
            bucket, (_with(batch, bucket, self.made, self.columns) for batch in batches)
        )


@dataclass(frozen=True, eq=False)
class DerivedBlock:
    """What makes blocks of rows, shown derived columns too."""

    make: Callable[[pa.RecordBatch, int], Any]
    made: Derivation
    columns: tuple[str, ...]

    def __call__(self, batch: pa.RecordBatch, fold: int) -> Any:
        """The block of a batch."""
        return self.make(_with(batch, fold, self.made, self.columns), fold)


def _with(
    batch: pa.RecordBatch, bucket: int, made: Derivation, columns: tuple[str, ...]
) -> pa.RecordBatch:
    found = dict(zip(made.names, made.values(batch, bucket), strict=True))
    places = {name: place for place, name in enumerate(batch.schema.names)}
    return pa.RecordBatch.from_arrays(
        [pa.array(found[n]) if n in found else batch.column(places[n]) for n in columns],
        list(columns),
    )


def _one_batch(rows: pa.Table) -> pa.RecordBatch:
    whole = rows.combine_chunks()
    return pa.RecordBatch.from_arrays(
        [
            column.chunk(0) if column.num_chunks else pa.array([], column.type)
            for column in whole.columns
        ],
        rows.column_names,
    )
