"""Where steps lie: in this process by bucket, or in a lake whose buckets Spark's tasks read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa

from truelift.errors import DataError
from truelift.graph.need.columns import SEEN, SEEN_DDL, Coding, LookKernel, coding_of
from truelift.graph.need.spec import NeedSpec
from truelift.lake.stored_types import stored_type
from truelift.models.need.coordinates import Model
from truelift.models.need.information import outer_products
from truelift.models.need.rows import NeedRows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from truelift.lake import Lake
    from truelift.lake.kernels import RowKernel
    from truelift.lake.scan import ScanPlan

#: Rows up to which the steps of a lake are held here: a pass of Spark's tasks takes longer than one over so many.
HELD_ROWS = 4_000_000
_THREADS = 2


class StepSource(Protocol):
    """What fitting needs of a table of steps."""

    @property
    def name(self) -> str:
        """For messages."""

    def look(self, spec: NeedSpec) -> Coding:
        """Kinds and levels of the columns."""

    def parts(self, coding: Coding, buckets: tuple[int, ...] | None = None) -> dict[int, NeedRows]:
        """The steps of some buckets, here."""

    def buckets(self) -> dict[int, int]:
        """Rows of each bucket."""

    def sums(self, coding: Coding, model: Model) -> np.ndarray:
        """Expected sums of all users: one pass."""

    def products(self, coding: Coding, model: Model) -> np.ndarray:
        """See :func:`~.information.outer_products`: one pass."""


@dataclass(frozen=True, eq=False)
class HeldSteps:
    """Steps in this process.

    Parameters
    ----------
    tables : mapping of int to pyarrow.Table
        By bucket of users.
    name : str
    threads : int
    """

    tables: Mapping[int, pa.Table]
    name: str
    threads: int = _THREADS

    def buckets(self) -> dict[int, int]:
        """Rows of each bucket."""
        return {b: self.tables[b].num_rows for b in sorted(self.tables)}

    def look(self, spec: NeedSpec) -> Coding:
        """Kinds and levels of the columns."""
        kernel = LookKernel(spec)
        looks = pa.concat_tables([kernel(b, {"rows": t}) for b, t in sorted(self.tables.items())])
        return coding_of(spec, looks, self.name, texts_of(next(iter(self.tables.values())).schema))

    def parts(self, coding: Coding, buckets: tuple[int, ...] | None = None) -> dict[int, NeedRows]:
        """The steps of some buckets."""
        held = self._held(coding)
        return held if buckets is None else {b: held[b] for b in buckets}

    def _held(self, coding: Coding) -> dict[int, NeedRows]:
        name = repr(coding)
        if name not in self._coded:
            self._coded[name] = {b: coding.steps(t).rows for b, t in sorted(self.tables.items())}
        return self._coded[name]

    @cached_property
    def _coded(self) -> dict[str, dict[int, NeedRows]]:
        return {}

    def sums(self, coding: Coding, model: Model) -> np.ndarray:
        """Expected sums, bucket after bucket, whatever the threads."""
        return self._added(coding, model.sums)

    def products(self, coding: Coding, model: Model) -> np.ndarray:
        """Outer products, bucket after bucket."""
        return self._added(coding, lambda rows: outer_products(model, rows))

    def _added(self, coding: Coding, work: Callable[[NeedRows], np.ndarray]) -> np.ndarray:
        parts = list(self._held(coding).values())
        with ThreadPoolExecutor(self.threads) as pool:
            found: Iterator[np.ndarray] = pool.map(work, parts)
            total = np.array(next(found))
            for more in found:
                total += more
        return total


@dataclass(frozen=True, eq=False)
class LakeSteps:
    """Steps in a lake's files, by bucket of users.

    Parameters
    ----------
    lake : Lake
    plan : ScanPlan
        Partitioned by bucket.
    name : str
    """

    lake: Lake
    plan: ScanPlan
    name: str

    def held(self, columns: tuple[str, ...]) -> HeldSteps:
        """All of it, in this process."""
        return HeldSteps(self._tables(columns, None), self.name)

    def buckets(self) -> dict[int, int]:
        """Rows of each bucket."""
        return {b: sum(u.rows for u in units) for b, units in self.plan.by_bucket().items()}

    def look(self, spec: NeedSpec) -> Coding:
        """Kinds and levels of the columns, by one pass of Spark's tasks."""
        looks = self._mapped(LookKernel(spec), spec.columns, SEEN_DDL).cast(SEEN)
        return coding_of(spec, looks, self.name, texts_of(self.plan.schema))

    def parts(self, coding: Coding, buckets: tuple[int, ...] | None = None) -> dict[int, NeedRows]:
        """The steps of some buckets, brought here."""
        found = self._tables(coding.spec.columns, buckets)
        return {b: coding.steps(table).rows for b, table in sorted(found.items())}

    def sums(self, coding: Coding, model: Model) -> np.ndarray:
        """Expected sums by one pass of Spark's tasks, added up in the order of the buckets."""
        return self._summed(SumsKernel(coding, model), coding)

    def products(self, coding: Coding, model: Model) -> np.ndarray:
        """Outer products by one pass."""
        return self._summed(SumsKernel(coding, model, outer=True), coding)

    def _summed(self, kernel: SumsKernel, coding: Coding) -> np.ndarray:
        plans = {"rows": self.plan.select(coding.spec.columns)}
        return self.lake.sum_buckets(kernel, plans)["sums"]

    def _tables(
        self, columns: tuple[str, ...], buckets: tuple[int, ...] | None
    ) -> dict[int, pa.Table]:
        from truelift.lake.scan import read_unit

        plan = self.plan.select(columns)
        wanted = {
            b: units
            for b, units in plan.by_bucket().items()
            if buckets is None or b in set(buckets)
        }
        return {
            b: pa.concat_tables([read_unit(plan, unit) for unit in units])
            for b, units in wanted.items()
        }

    def _mapped(self, kernel: RowKernel, columns: tuple[str, ...], schema: str) -> pa.Table:
        plans = {"rows": self.plan.select(columns)}
        return self.lake.map_buckets(kernel, plans, schema).toArrow()


@dataclass(frozen=True, eq=False)
class SumsKernel:
    """A sum kernel: expected sums of a bucket's users, or their outer products.

    Parameters
    ----------
    coding : Coding
    model : Model
    outer : bool
    """

    coding: Coding
    model: Model
    outer: bool = False

    def __call__(
        self, bucket: int, batches: Iterator[pa.RecordBatch]
    ) -> dict[str, np.ndarray] | None:
        """The state of one bucket."""
        held = list(batches)
        if not held:
            return None
        rows = self.coding.steps(pa.Table.from_batches(held)).rows
        made = outer_products(self.model, rows) if self.outer else self.model.sums(rows)
        return {"sums": made}


def texts_of(schema: pa.Schema) -> list[str]:
    """Columns that hold no numbers."""
    numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return [
        f.name for f in schema if not any(one(stored_type(f.type) or f.type) for one in numbers)
    ]


def sample_of(source: StepSource, coding: Coding, users: int) -> dict[int, NeedRows]:
    """Whole buckets of about so many users, at least two.

    Raises
    ------
    DataError
        For a table with too few users.
    """
    sizes = source.buckets()
    order = sorted(sizes, key=lambda b: (b * 2654435761) % 2**32)
    found: dict[int, NeedRows] = {}
    for bucket in order:
        found |= source.parts(coding, (bucket,))
        if len(found) >= 5 and sum(rows.users for rows in found.values()) >= users:
            break
    count = sum(rows.users for rows in found.values())
    if len(found) < 2 or count < 20:
        raise DataError(
            f"{source.name}: found {count:,} users in {len(found)} buckets, expected 20 or more, in at least two: "
            "numbers of needs are judged by users that were not learned from."
        )
    return found
