"""Where a bandit log's rows come from: tables in memory, or a copy in buckets that Spark reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from truelift.effects.panel.column_messages import missing_columns
from truelift.effects.panel.source import MemoryPanel, State, SumKernel
from truelift.errors import DataError, TableError
from truelift.lake.address import TableAddress
from truelift.lake.buckets import buckets_of
from truelift.lake.foreign import ForeignTable, open_foreign
from truelift.policy.off_policy.spec import BanditSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from truelift.effects.panel.lake_panel import LakePanel
    from truelift.lake import Lake

_BATCH_ROWS = 65536
_COUNTED = pa.schema([("action", pa.string()), ("cell", pa.int64()), ("rows", pa.int64())])


@dataclass(frozen=True, eq=False)
class BanditLog:
    """A log cut into buckets of whole users.

    Parameters
    ----------
    panel : MemoryPanel or LakePanel
    columns : tuple of str
    """

    panel: MemoryPanel | LakePanel
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        """The table, for messages."""
        return self.panel.name

    @property
    def version(self) -> int:
        """The pinned version; 0 where there is none."""
        return self.panel.version

    def sum(self, kernel: SumKernel) -> State:
        """The kernel's states, added up in the order of the buckets.

        Raises
        ------
        DataError
            For a log without rows.
        """
        state = self.panel.sum(kernel, self.columns, _BATCH_ROWS)
        if not state:
            raise DataError(f"{self.name} has no rows; expected those of a bandit log.")
        return state

    def counted(self, kernel: Callable[[int, dict[str, pa.Table]], pa.Table]) -> pa.Table:
        """Rows by action and cell (columns ``action``, ``cell``, ``rows``), each once."""
        if isinstance(self.panel, MemoryPanel):
            held = self.panel.buckets
            parts = [kernel(b, {"panel": held[b].select(list(self.columns))}) for b in sorted(held)]
            found = pa.concat_tables(parts)
        else:
            plan = self.panel.plan.select(self.columns)
            schema = "action string, cell bigint, rows bigint"
            frame = self.panel.lake.map_buckets(kernel, {"panel": plan}, schema)
            found = frame.toArrow().cast(_COUNTED)
        summed = found.group_by(["action", "cell"]).aggregate([("rows", "sum")])
        return summed.rename_columns(["action", "cell", "rows"]).sort_by(
            [("action", "ascending"), ("cell", "ascending")]
        )

    def named(self, column: str, most: int = 1000) -> list[str]:
        """Distinct values of a column, for messages."""
        return [str(value) for value in self.panel.distinct([column])[column][:most]]


def check_columns(table: ForeignTable, spec: BanditSpec) -> None:
    """See that the log has the columns that the specification names.

    Raises
    ------
    TableError
        Naming all that are missing, and the nearest that there is.
    """
    keys: dict[str, str] = {}
    for key in ("action", "user", "propensity", "position", "slate"):
        keys |= {name: key for name in [getattr(spec, key)] if name}
    keys |= dict.fromkeys(spec.rewards, "rewards") | dict.fromkeys(spec.context, "context")
    keys |= dict.fromkeys(spec.propensity_by or (), "propensity_by")
    for name, policy in spec.policies.items():
        keys |= dict.fromkeys(policy.columns, f"policies.{name}")
    if spec.propensity_table:
        keys |= dict.fromkeys(spec.propensity_table.by, "propensity_table.by")
    if spec.loggers:
        keys |= dict.fromkeys(spec.loggers.propensities.values(), "loggers.propensities")
        keys |= {spec.loggers.column: "loggers.column"}
    of_groups = [spec.groups.propensity] if spec.groups and spec.groups.propensity else []
    keys |= dict.fromkeys(of_groups, "groups.propensity")
    missing = {name: key for name, key in keys.items() if name not in table.schema.names}
    if missing:
        raise TableError(missing_columns(missing, table.schema.names, table.name))
    kinds = {f.name: f.type for f in table.stored(spec.columns())}
    chances = [c for policy in spec.policies.values() for c in policy.chances.values()]
    logged = [p.logged_chance for p in spec.policies.values() if p.logged_chance]
    logged += list(spec.loggers.propensities.values()) if spec.loggers else []
    logged += of_groups
    logged += [name for policy in spec.policies.values() for name in policy.numbers]
    for name in [*spec.rewards, *([spec.propensity] if spec.propensity else []), *chances, *logged]:
        if not is_numeric(kinds[name]):
            raise TableError(
                f"{table.name}, column {name!r}: found type {kinds[name]}, expected numbers "
                f"({keys[name]})."
            )


def is_numeric(kind: pa.DataType) -> bool:
    """Whether a column counts as numbers: truth values do."""
    known = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    return any(one(kind) for one in known)


def memory_log(table: ForeignTable, spec: BanditSpec, buckets: int) -> BanditLog:
    """A log in this process.

    Raises
    ------
    TableError
        For a column that is missing or cannot be used.
    """
    check_columns(table, spec)
    return cut_log(table, spec.columns(), spec.user, buckets)


def cut_log(
    table: ForeignTable, columns: tuple[str, ...], user: str | None, buckets: int
) -> BanditLog:
    """Columns of a table in this process, cut by the hash of its users that cuts a lake's copy.

    Without users rows are dealt out in turn.
    """
    rows = table.here(columns)
    if user:
        place = buckets_of(rows[user], buckets)
        assert place is not None  # of all types in which columns are kept
    else:
        place = np.arange(rows.num_rows) % buckets
    order = np.argsort(place, kind="stable")
    bounds = np.searchsorted(place[order], np.arange(buckets + 1))
    rows = rows.take(pa.array(order))
    held = {
        b: rows.slice(bounds[b], bounds[b + 1] - bounds[b])
        for b in range(buckets)
        if bounds[b + 1] > bounds[b]
    }
    version = 0 if table.plan is None else table.plan.version
    return BanditLog(MemoryPanel(held or {0: rows}, table.name, version), columns)


def lake_log(lake: Lake, address: TableAddress, spec: BanditSpec, buckets: int) -> BanditLog:
    """A log that Spark reads, from a copy of its columns by bucket of users in the lake's ``work/``.

    Raises
    ------
    TableError
        For a column that is missing or cannot be used.
    """
    table = open_foreign(address)
    check_columns(table, spec)
    return spread_log(lake, address, table, spec.columns(), spec.user, buckets)


def spread_log(
    lake: Lake, address: TableAddress, table: ForeignTable, columns: tuple[str, ...],
    user: str | None, buckets: int,
) -> BanditLog:  # fmt: skip
    """Columns of a table in a copy by bucket of users."""
    from truelift.effects.panel.any_table import bucketed_plan
    from truelift.effects.panel.lake_panel import LakePanel

    plan = bucketed_plan(lake, address, table, columns, user, buckets, "log")
    return BanditLog(LakePanel(lake, plan), columns)


def texts(column: pa.Array) -> pa.Array:
    """Labels of a column: whole numbers without a point, truth values as 0 and 1."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    return column.cast(pa.string())


def column_of(batch: pa.RecordBatch | pa.Table, name: str) -> pa.Array:
    """One column of a batch as one array."""
    column = batch.column(batch.schema.get_field_index(name))
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def first_few(values: Sequence[str], most: int = 3) -> str:
    """Some of many names."""
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(repr(value) for value in values[:most]) + more
