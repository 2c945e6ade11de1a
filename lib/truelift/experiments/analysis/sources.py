"""An experiment's rows, read into this process or by Spark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truelift.effects.panel.any_table import bucketed_plan, cut_table
from truelift.effects.panel.source import MemoryPanel
from truelift.experiments.analysis.layout import check_table, columns_of
from truelift.experiments.spec import ExperimentSpec
from truelift.lake.address import TableAddress
from truelift.lake.foreign import ForeignTable

if TYPE_CHECKING:
    from truelift.effects.panel.lake_panel import LakePanel
    from truelift.lake import Lake

# Rows of a bucket: what is held of a bucket at once is a line a unit.
_ROWS = 500_000


def rows_here(table: ForeignTable, spec: ExperimentSpec) -> MemoryPanel:
    """The rows of a table, cut so that all of a unit or cluster are in one bucket.

    Raises
    ------
    TableError
        For a column that is not there, or that cannot be used.
    """
    columns, whole_by = _asked(table, spec)
    rows = table.here(columns)
    return cut_table(table, rows, whole_by, 1 + rows.num_rows // _ROWS)


def rows_in_lake(
    lake: Lake, address: TableAddress, table: ForeignTable, spec: ExperimentSpec
) -> LakePanel:
    """The rows of a table that Spark reads, in a copy by bucket of units or clusters in ``work/``.

    Raises
    ------
    TableError
        For a column that is not there, or that cannot be used.
    """
    from truelift.effects.panel.lake_panel import LakePanel

    columns, whole_by = _asked(table, spec)
    return LakePanel(lake, bucketed_plan(lake, address, table, columns, whole_by, lake.buckets))


def _asked(table: ForeignTable, spec: ExperimentSpec) -> tuple[tuple[str, ...], str]:
    """Columns that an analysis reads, checked, and the one that rows are kept together by."""
    columns = columns_of(spec)
    table.stored([name for name in columns if name in table.schema.names])
    check_table(table.schema, table.name, spec)
    return columns, spec.cluster or spec.units_of[0]
