"""A panel that lies in Delta, read bucket by bucket through Spark."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from truelift.effects.panel.source import Block, Spread, State, SumKernel, distinct_values
from truelift.effects.panel.start import ORDER, StartKernel
from truelift.effects.scores.second_way import PARTIAL_SUMS, PartialSumsKernel, crossed_sums
from truelift.errors import TableError
from truelift.lake.log import open_table
from truelift.lake.scan import ScanPlan, read_unit
from truelift.lake.states import add_states, pack_state, unpack_state

if TYPE_CHECKING:
    from truelift.lake import Lake

# Bytes of data files that the driver reads itself.
_READ_HERE = 32 * 2**20


@dataclass(frozen=True, eq=False)
class LakePanel:
    """The panel of a scan plan; see :class:`~truelift.effects.panel.source.PanelSource`.

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
        if self.plan.rows_where is not None:
            narrow = {"panel": self.plan.select(self.plan.rows_where.columns[:1])}
            found = self.lake.map_buckets(_count_of_bucket, narrow, "bucket int, rows bigint")
            return {int(row[0]): int(row[1]) for row in found.collect()}
        if self.plan.direct:
            units = self.plan.by_bucket()
            return {bucket: sum(u.rows for u in members) for bucket, members in units.items()}
        reader = self.lake.spark.read.format("delta").option("versionAsOf", self.plan.version)
        counts = reader.load(self.plan.uri).groupBy("bucket").count().collect()
        return {int(row[0]): int(row[1]) for row in counts}

    def where(self, condition: str) -> LakePanel:
        """The rows that meet a condition; they are left out as they are read."""
        return replace(self, plan=self.plan.where(condition))

    def sum(self, kernel: SumKernel, columns: Sequence[str], batch_rows: int) -> State:
        """Add up the kernel's states over all buckets, in the buckets' order."""
        return self.lake.sum_buckets(kernel, {"panel": self.plan.select(columns)}, batch_rows)

    def second_sums(self, kernel: PartialSumsKernel, columns: Sequence[str]) -> State:
        """The kernel's rows grouped by one shuffle; parts are added up in the order of numbers."""
        from pyspark.sql.pandas.types import from_arrow_schema

        schema = from_arrow_schema(PARTIAL_SUMS)
        rows = self.lake.map_buckets(kernel, {"panel": self.plan.select(columns)}, schema)
        run = partial(_crossed_parts, quantities=len(kernel.scoring.layout))
        states = (
            rows.repartition("part")
            .sortWithinPartitions("part")
            .mapInArrow(run, "part int, state binary")
            .collect()
        )
        return add_states(unpack_state(state) for _, state in sorted(map(tuple, states)))

    def start_rows(self, kernel: StartKernel) -> pa.Table:
        """Run the kernel over its buckets and bring its few rows here.

        Buckets of little data are read by the driver: a Spark job would take longer.
        """
        from pyspark.sql.pandas.types import from_arrow_schema

        plan = self.plan.select(
            tuple(dict.fromkeys([*kernel.columns.of_moments(), kernel.columns.unit]))
        )
        if plan.direct:
            found = plan.by_bucket()
            chosen = {b: found[b] for b in sorted(kernel.start.buckets) if b in found}
            plan = replace(plan, units=tuple(u for members in chosen.values() for u in members))
            if sum(unit.size for unit in plan.units) <= _READ_HERE:
                return pa.concat_tables(
                    kernel(b, {"panel": pa.concat_tables(read_unit(plan, u) for u in members)})
                    for b, members in chosen.items()
                )
        # Spark tells names apart by fewer signs than users do, and one may be called ``order``.
        wanted = kernel.columns.of_moments()
        kept = [_plain_field(plan.schema.field(name)) for name in wanted]
        fields = [ORDER, *(field.with_name(f"c{i}") for i, field in enumerate(kept))]
        schema = from_arrow_schema(pa.schema(fields))
        named = partial(_safely_named, kernel=kernel)
        rows = self.lake.map_buckets(named, {"panel": plan}, schema).toArrow()
        return rows.rename_columns([ORDER.name, *wanted])

    def spread(self) -> Spread:
        """The scan plan, and the session that gives tasks."""
        return Spread(self.plan, self.lake.spark)

    def blocks(
        self, make: Callable[[pa.RecordBatch, int], Block], columns: Sequence[str], folds: int
    ) -> Iterator[Block]:
        """What is made of every batch, read by the driver: for learners that have no other way."""
        plan = self.plan.select(columns)
        if not plan.direct:
            raise TableError(
                f"{plan.table} cannot be read in pieces: {plan.reason}. Write it afresh, or use "
                "another learner."
            )
        for bucket, units in sorted(plan.by_bucket().items()):
            for unit in units:
                for batch in read_unit(plan, unit).to_batches():
                    yield make(batch, bucket % folds)

    def distinct(self, columns: Sequence[str]) -> dict[str, list[Any]]:
        """Distinct values of each column: from the log's bounds where these leave no choice, as
        for 0 and 1, else from one pass over the columns.
        """
        known = {name: values for name in columns if (values := self._from_log(name)) is not None}
        wanted = tuple(name for name in dict.fromkeys(columns) if name not in known)
        if not wanted:
            return known
        frame = self.lake.map_buckets(
            partial(_values_of_bucket, columns=wanted),
            {"panel": self.plan.select(wanted)},
            "place int, value binary",
        )
        found: dict[str, set[Any]] = {name: set() for name in wanted}
        for row in frame.distinct().collect():
            found[wanted[row["place"]]].add(pickle.loads(bytes(row["value"])))
        return known | {name: sorted(values) for name, values in found.items()}

    def _from_log(self, name: str) -> list[Any] | None:
        """The values of a whole number whose least and greatest value are neighbours."""
        whole = pa.types.is_integer(self.plan.schema.field(name).type)
        if not whole or not self.plan.direct or self.plan.rows_where is not None:
            return None
        table = open_table(self.plan.uri, self.plan.version)
        assert table is not None
        actions = pa.table(table.get_add_actions(flatten=True))
        bounds = [f"{bound}.{self.plan.stored_name(name)}" for bound in ("min", "max")]
        if any(b not in actions.column_names or actions[b].null_count for b in bounds):
            return None
        low, high = pc.min(actions[bounds[0]]).as_py(), pc.max(actions[bounds[1]]).as_py()
        return sorted({low, high}) if low is not None and high - low <= 1 else None


def _count_of_bucket(bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
    rows = tables["panel"].num_rows
    return pa.table(
        {"bucket": pa.array([bucket], pa.int32()), "rows": pa.array([rows], pa.int64())}
    )


def _crossed_parts(batches: Iterator[pa.RecordBatch], quantities: int) -> Iterator[pa.RecordBatch]:
    """The state of each part; a part's rows follow each other."""
    held: list[pa.Table] = []
    for batch in batches:
        table = pa.Table.from_batches([batch]).cast(PARTIAL_SUMS)
        for part in pc.unique(table["part"]).to_pylist():
            if held and held[0]["part"][0].as_py() != part:
                yield _crossed_part(held, quantities)
                held = []
            held.append(table.filter(pc.equal(table["part"], part)))
    if held:
        yield _crossed_part(held, quantities)


def _crossed_part(held: list[pa.Table], quantities: int) -> pa.RecordBatch:
    state = pack_state(crossed_sums(pa.concat_tables(held), quantities))
    return pa.record_batch(
        {
            "part": pa.array([held[0]["part"][0].as_py()], pa.int32()),
            "state": pa.array([state], pa.binary()),
        }
    )


def _values_of_bucket(
    bucket: int, tables: dict[str, pa.Table], columns: tuple[str, ...]
) -> pa.Table:
    rows = [
        (place, pickle.dumps(value))
        for place, name in enumerate(columns)
        for value in distinct_values(tables["panel"][name])
    ]
    return pa.table(
        {"place": pa.array([r[0] for r in rows], pa.int32()),
         "value": pa.array([r[1] for r in rows], pa.binary())}
    )  # fmt: skip


def _safely_named(bucket: int, tables: dict[str, pa.Table], kernel: StartKernel) -> pa.Table:
    rows = kernel(bucket, tables)
    return rows.rename_columns([ORDER.name, *(f"c{i}" for i in range(rows.num_columns - 1))])


def _plain_field(field: pa.Field) -> pa.Field:
    kind = field.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.field(field.name, pa.float64() if pa.types.is_decimal(kind) else kind)
