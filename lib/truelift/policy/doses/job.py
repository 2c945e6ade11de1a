"""The command ``evaluate_doses``: a log and a specification in; rows of ``gold.policies``, a run, a record out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from truelift.lake.address import TableAddress
from truelift.lake.foreign import open_foreign
from truelift.lake.tables import table_spec
from truelift.policy.doses.evaluate import check_dose_columns, evaluate_doses
from truelift.policy.doses.results import DosesResult
from truelift.policy.doses.spec import DoseSpec
from truelift.policy.off_policy.job import SHIPS
from truelift.policy.off_policy.log import spread_log
from truelift.tool_records import keep_record
from truelift.typed import to_plain

if TYPE_CHECKING:
    from truelift.job import Job

_MOST_POLICIES = 50


def evaluate(job: Job, uri: str, spec: DoseSpec) -> DosesResult:
    """Evaluate policies of doses on a log, keep all estimates in ``gold.policies``, and log the run.

    Raises
    ------
    TableError, DataError
        For a log that cannot be used.
    """
    address = TableAddress.parse(uri)
    job.run.log_dict("doses.yaml", to_plain(spec))
    table = open_foreign(address)
    check_dose_columns(table, spec)
    job.progress.update("bringing the log into buckets")
    log = spread_log(job.lake, address, table, spec.columns(), spec.user, job.settings.buckets)
    result = evaluate_doses(log, spec, job.progress.update)
    result = replace(result, run_id=str(job.run.run_id))
    job.progress.update("writing gold.policies")
    schema = table_spec("gold.policies").schema()
    rows = job.lake.spark.createDataFrame(
        [tuple(row.get(name) for name in schema.names) for row in rows_of(result)], schema
    )
    job.replace_part("gold.policies", rows, "log", result.table)
    metrics = {"rows": float(result.rows), "users": float(result.users)}
    tags = {
        SHIPS: ", ".join(f"{v.policy} ({v.reward})" for v in result.values if v.ships) or "none"
    }
    for value in result.values[:_MOST_POLICIES]:
        name = f"{value.policy}.{value.reward}"
        metrics |= {
            f"value.{name}": value.value, f"value.{name}.lower": value.ci_lower,
            f"value.{name}.upper": value.ci_upper, f"difference.{name}": value.difference,
            f"ships.{name}": float(value.ships),
        }  # fmt: skip
        tags[f"{SHIPS}.{name}"] = value.reason
    job.log_metrics(metrics)
    job.run.log_tags(tags)
    job.save_result(result)
    keep_record(job, "", result.rows, len(result.estimates))
    return result


def rows_of(result: DosesResult) -> list[dict[str, object]]:
    """Rows of ``gold.policies``: the bandwidth is the tuning value, and the value that decides is marked."""
    found: list[dict[str, object]] = []
    shared = {
        "log": result.table, "log_version": result.table_version, "rows": result.rows,
        "users": result.users, "confidence": result.confidence, "run_id": result.run_id,
    }  # fmt: skip
    for v in result.values:
        decided = {
            "support": v.verdict, "support_reason": v.support, "ships": v.ships, "reason": v.reason,
            "difference": v.difference, "difference_lower": v.band_lower,
        }  # fmt: skip
        own = [e for e in result.estimates if (e.policy, e.reward) == (v.policy, v.reward)]
        found += [
            {**vars(e), **shared, **decided, "tuning": e.bandwidth, "selected": False} for e in own
        ]
        value = {
            "policy": v.policy, "reward": v.reward, "estimator": "kernel DR, bias taken out",
            "tuning": v.bandwidth, "estimate": v.value, "standard_error": v.standard_error,
            "ci_lower": v.ci_lower, "ci_upper": v.ci_upper, "selected": True,
        }  # fmt: skip
        found.append({**value, **shared, **decided})
    return found
