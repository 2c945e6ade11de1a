"""``truelift fit_needs``: steps of a lake or of a table in; needs of every user, a run and a record out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truelift.effects.panel.any_table import bucketed_plan
from truelift.errors import TableError
from truelift.graph.need.fit import FittedNeeds, fitted_needs
from truelift.graph.need.lake_steps import lake_steps
from truelift.graph.need.posteriors import TABLE, PosteriorKernel
from truelift.graph.need.results import NeedsResult
from truelift.graph.need.source import HELD_ROWS, LakeSteps
from truelift.graph.need.spec import NeedSpec
from truelift.lake.address import TableAddress
from truelift.lake.foreign import open_foreign
from truelift.lake.tables import table_spec
from truelift.tool_records import keep_record
from truelift.typed import to_plain

if TYPE_CHECKING:
    from truelift.job import Job


def fit_needs(
    job: Job, spec: NeedSpec, uri: str | None = None, held_rows: int = HELD_ROWS
) -> FittedNeeds:
    """Learn needs, write what every user needs at each step to ``gold.needs``, and log the run.

    Parameters
    ----------
    job : Job
    spec : NeedSpec
    uri : str, optional
        ``URI[@VERSION]`` of a table of steps; by default the lake's sessions.
    held_rows : int
        Rows up to which steps are held in this process; of more, every pass is one of Spark's tasks.

    Raises
    ------
    TableError, DataError, ConfigError
        For a table or columns that cannot be used.
    NotSupportedError
        If the data do not say which needs there are.
    """
    job.run.log_dict("needs.yaml", to_plain(spec))
    job.progress.update("bringing the steps into buckets")
    steps = lake_steps(job) if uri is None else _foreign(job, TableAddress.parse(uri), spec)
    if missing := [c for c in spec.columns if c not in steps.plan.columns]:
        raise TableError(
            f"{steps.name} has no column {', '.join(map(repr, missing))}; its columns are "
            f"{', '.join(c for c in steps.plan.columns if c != 'bucket')}."
        )
    is_small = steps.plan.direct and steps.plan.rows <= held_rows
    source = steps.held(spec.columns) if is_small else steps
    fitted = fitted_needs(source, spec, str(steps.plan.version), job.progress.update)
    job.progress.update(f"writing {TABLE}")
    kernel = PosteriorKernel(
        fitted.coding, fitted.model, tuple(fitted.drawn()), steps.name, fitted.result.version
    )
    plans = {"rows": steps.plan.select(spec.columns)}
    rows = job.lake.map_buckets(kernel, plans, table_spec(TABLE).schema())
    written = job.replace_part(TABLE, rows, "source", steps.name)
    job.log_metrics(metrics_of(fitted.result))
    job.save_result(fitted.result)
    keep_record(job, "", fitted.result.rows, written.rows)
    return fitted


def metrics_of(result: NeedsResult) -> dict[str, float]:
    """The metrics of a run."""
    found = {
        "rows": float(result.rows), "users": float(result.users), "needs": float(len(result.needs)),
        "log_likelihood": result.log_likelihood, "passes": float(result.passes),
    }  # fmt: skip
    found |= {f"held_out.{t.needs}": t.held_out for t in result.tried}
    return found | {f"share.{n.name.replace(' ', '_')}": n.share for n in result.needs}


def _foreign(job: Job, address: TableAddress, spec: NeedSpec) -> LakeSteps:
    table = open_foreign(address)
    for column in spec.columns:
        if column not in table.schema.names:
            raise TableError(
                f"{table.name} has no column {column!r}; its columns are {', '.join(table.schema.names)}."
            )
    plan = bucketed_plan(job.lake, address, table, spec.columns, spec.user, job.settings.buckets)
    return LakeSteps(job.lake, plan, table.name)
