"""``truelift allocate``: a budget over the units of a panel, by the score table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from truelift.errors import ConfigError
from truelift.lake.tables import table_spec
from truelift.policy.allocation_options import AllocateOptions
from truelift.policy.budget.results import AllocationResult
from truelift.policy.budget.spending import Spent, held_units, spend
from truelift.policy.lake_rows import SCORES, joined, scored_panel
from truelift.policy.learning import arms_of, carried_columns, costs_of
from truelift.policy.rows import BlockReader, RowColumns
from truelift.tool_records import keep_record

if TYPE_CHECKING:
    from truelift.job import Job

TABLE = "gold.allocations"


def allocate_budget(job: Job, panel: str, options: AllocateOptions) -> AllocationResult:
    """Spend a budget where the forecasts say it gains most; write who gets what.

    Forecasts are the outcome regressions of ``gold.scores``, which have not seen the unit's fold.

    Parameters
    ----------
    job : Job
    panel : str
        Whose scores; see :func:`~.job.learn_policy`.
    options : AllocateOptions

    Raises
    ------
    TableError, ConfigError, DataError
        For scores, columns, costs or budgets that are not there or cannot be.
    NotSupportedError
        If the data support the effect of no arm.
    """
    looked = tuple(filter(None, (*options.exclude.values(), options.limit_by)))
    scored = scored_panel(
        job, panel, options.reward, options.unit, options.cluster, options.treatment, looked
    )
    job.run.log_table(SCORES, job.lake.uri(SCORES), job.lake.version(SCORES) or 0, "input")
    arms = arms_of(scored.arms, scored.support, options.reward)
    for arm in options.exclude:
        if arm not in scored.arms[1:]:
            raise ConfigError(
                f"exclude: there is no arm {arm!r} beside the control; there are "
                f"{', '.join(scored.arms[1:])}."
            )
    costs = costs_of(options.reward, arms.labels)
    numbers = {c: "costs" for c in costs if isinstance(c, str)}
    numbers |= {c: "exclude" for arm, c in options.exclude.items() if arm in arms.labels}
    texts = {options.limit_by: "limit_by"} if options.limit_by is not None else {}
    columns = carried_columns(arms.labels, numbers, texts, scored.panel.schema, scored.panel.table)
    columns = replace(columns, paid=options.reward.cost_outcome)
    if options.capacity is None and columns.paid is None:
        unpriced = [a for a, c in zip(arms.labels[1:], costs[1:], strict=True) if c == 0.0]
        if unpriced:
            raise ConfigError(
                f"costs: {', '.join(unpriced)} has none, expected a number above zero or a column for every "
                "arm but the control. Where only the number of people is limited, use capacity."
            )
    job.progress.update("joining scores and panel")
    with joined(job.lake, scored, columns, options.reward.outcome, options.unit) as source:
        reader = BlockReader(columns, options.reward.worth, costs)
        held = held_units(source, reader, options)
    spent = spend(
        held, arms.labels, options, scored.panel.table, job.fingerprint[:12], arms.notes,
        job.progress.update,
    )  # fmt: skip
    result = replace(spent.result, table_version=scored.version)
    job.progress.update("writing who gets what")
    rows = job.lake.spark.createDataFrame(_rows(spent, result, columns))
    written = job.replace_part(TABLE, rows, "panel", scored.panel.table)
    job.log_metrics(metrics_of(result))
    job.save_result(result)
    keep_record(job, scored.panel.table, result.n, written.rows)
    return result


def metrics_of(result: AllocationResult) -> dict[str, float]:
    """The metrics of a run."""
    found = {
        "units": float(result.n), "budget": result.budget, "spend": result.spend,
        "price": result.price, "gain": result.gain.estimate, "gain.ci_lower": result.gain.ci_lower,
        "gain.ci_upper": result.gain.ci_upper, "targeting": result.area.estimate,
        "targeting.ci_lower": result.area.ci_lower,
    }  # fmt: skip
    return found | {f"share.{arm}": share for arm, share in list(result.shares.items())[:10]}


def _rows(spent: Spent, result: AllocationResult, columns: RowColumns) -> pa.Table:
    arms, n = np.array(columns.arms), len(spent.taken)
    held, rows, given = spent.held, np.arange(n), np.maximum(spent.taken - 1, 0)
    treated = spent.taken > 0
    return pa.table(
        {
            "panel": pa.repeat(pa.scalar(result.table), n),
            "panel_version": pa.repeat(pa.scalar(result.table_version, pa.int64()), n),
            "outcome": pa.repeat(pa.scalar(result.outcome), n),
            "unit_id": held.unit,
            "user_key": held.user,
            "arm": pa.array(arms[spent.taken], pa.string()),
            "best_arm": pa.array(arms[spent.best], pa.string()),
            "propensity": pa.array(spent.propensity),
            "cost": pa.array(np.where(treated, held.offers.cost[rows, given], 0.0)),
            "forecast_gain": pa.array(np.where(treated, held.offers.forecast[rows, given], 0.0)),
            "bucket": pa.array(held.bucket, pa.int32()),
        },
        schema=table_spec(TABLE).arrow,
    )
