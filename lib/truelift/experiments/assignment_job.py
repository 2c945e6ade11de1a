"""The command ``assign`` on a lake: ``gold.assignments`` says who is where and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from truelift.experiments.assignment import (
    SCHEMA,
    Assignment,
    assign,
    assignment_columns,
    check_layer,
)
from truelift.experiments.planning import require_columns
from truelift.experiments.spec import ExperimentSpec
from truelift.lake.address import TableAddress
from truelift.lake.buckets import buckets_of
from truelift.lake.foreign import ForeignTable, open_foreign
from truelift.lake.scan import read_unit
from truelift.lake.tables import is_table, table_spec
from truelift.tool_records import keep_record

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.lake import Lake

TABLE = "gold.assignments"
# In the lake the unit's column says that it may name a person, who can be forgotten.
_NAMES = {"unit_id": "user_key"}


def assign_units(job: Job, spec: ExperimentSpec, address: TableAddress) -> Assignment:
    """Assign the units of a table, and write an experiment's part of ``gold.assignments``.

    Who takes part already stays; units of another experiment of the same layer are refused.

    Parameters
    ----------
    job : Job
    spec : ExperimentSpec
    address : TableAddress
        Rows that name units: a table of the lake, or any other; read into this process.

    Raises
    ------
    UserError
        For a missing column, a unit without a name or in two strata, or units that take part in another
        experiment of the layer; nothing is written.
    """
    job.progress.update("reading units")
    table = _units(job.lake, address)
    columns = assignment_columns(spec)
    require_columns(table, columns, spec)
    written = _written(job.lake)
    own = written.filter(pc.equal(written["experiment"], spec.name))
    job.progress.update("assigning")
    made = assign(table.here(columns), spec, own if own.num_rows else None)
    if spec.assignment.layer:
        beside = written.filter(
            pc.and_(
                pc.equal(written["layer"], spec.assignment.layer),
                pc.not_equal(written["experiment"], spec.name),
            )
        )
        names = pc.unique(beside["experiment"]).to_pylist()
        check_layer(
            spec, made, {n: beside.filter(pc.equal(beside["experiment"], n)) for n in names}
        )
    if not made.table.equals(own.select(SCHEMA.names).sort_by("unit_id")):
        _write(job, spec, made)
    job.run.describe("\n\n".join(made.sentences()))
    keep_record(job, "", made.table.num_rows, made.table.num_rows)
    return made


def _units(lake: Lake, address: TableAddress) -> ForeignTable:
    """A table of the lake by its name, or any other."""
    if not is_table(address.uri):
        return open_foreign(address)
    plan = lake.plan(address.uri, version=address.version)
    return ForeignTable(address.uri, str(plan.version), plan.schema, plan)


def _written(lake: Lake) -> pa.Table:
    """What ``gold.assignments`` holds, with the names of an assignment."""
    spec = table_spec(TABLE)
    parts = [spec.arrow.empty_table()]
    if lake.version(TABLE) is not None:
        plan = lake.plan(TABLE).select(list(spec.names))
        parts += [read_unit(plan, unit).cast(spec.arrow) for unit in plan.units]
    rows = pa.concat_tables(parts)
    back = {new: old for old, new in _NAMES.items()}
    return rows.rename_columns([back.get(name, name) for name in rows.column_names])


def _write(job: Job, spec: ExperimentSpec, made: Assignment) -> None:
    rows, schema = made.table, table_spec(TABLE).arrow
    place = buckets_of(rows["unit_id"].combine_chunks(), job.lake.buckets)
    rows = rows.append_column("experiment", pa.array([spec.name] * rows.num_rows, pa.string()))
    rows = rows.append_column("bucket", pa.array(place, pa.int32()))
    rows = rows.rename_columns([_NAMES.get(name, name) for name in rows.column_names])
    frame = job.lake.spark.createDataFrame(rows.select(schema.names).cast(schema))
    job.replace_part(TABLE, frame, "experiment", spec.name)
