"""The command ``evaluate_policies``: a log and a specification in; a table, a run, a record out."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from truelift.lake.address import TableAddress
from truelift.lake.tables import table_spec
from truelift.policy.applying import with_packages
from truelift.policy.off_policy.distribution import PRESENT
from truelift.policy.off_policy.evaluate import evaluate
from truelift.policy.off_policy.log import lake_log
from truelift.policy.off_policy.results import PoliciesResult, PolicyEstimate
from truelift.policy.off_policy.spec import BanditSpec
from truelift.tool_records import keep_record
from truelift.typed import to_plain

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from truelift.job import Job
    from truelift.lake import Lake

#: Tag of the run: which policies ship, and why each of the others does not.
SHIPS = "truelift.ships"
_MOST_POLICIES = 50


def evaluate_policies(job: Job, uri: str, spec: BanditSpec) -> PoliciesResult:
    """Evaluate policies on a log, keep all estimates in ``gold.policies``, and log the run.

    Parameters
    ----------
    job : Job
    uri : str
        ``URI[@VERSION]`` of the log.
    spec : BanditSpec

    Raises
    ------
    TableError, DataError, ConfigError
        For a log or a policy that cannot be used.
    """
    address = TableAddress.parse(uri)
    spec = with_packages(spec, job.workdir)
    job.run.log_dict("policies.yaml", to_plain(spec))
    job.progress.update("bringing the log into buckets")
    log = lake_log(job.lake, address, spec, job.settings.buckets)
    result = evaluate(log, spec, job.progress.update)
    result = replace(result, run_id=str(job.run.run_id))
    job.progress.update("writing gold.policies")
    job.replace_part("gold.policies", _rows(job.lake, result), "log", result.table)
    job.log_metrics(metrics_of(result))
    job.run.log_tags(tags_of(result))
    job.save_result(result)
    keep_record(job, "", result.rows, len(result.estimates))
    return result


def metrics_of(result: PoliciesResult) -> dict[str, float]:
    """Metrics of the run: what decides on each policy, and its support."""
    metrics = {"rows": float(result.rows), "users": float(result.users)}
    for present in result.present:
        metrics[f"present.{present.reward}"] = present.estimate
    for value in result.values[:_MOST_POLICIES]:
        name = f"{value.policy}.{value.reward}"
        metrics |= {
            f"value.{name}": value.value,
            f"value.{name}.lower": value.value_lower,
            f"value.{name}.upper": value.value_upper,
            f"difference.{name}": value.difference,
            f"difference.{name}.lower_bound": value.band_lower,
            f"ships.{name}": float(value.ships),
        }
    for support in result.support[:_MOST_POLICIES]:
        metrics[f"effective_rows.{support.policy}"] = support.effective_rows
        metrics[f"missing_mass.{support.policy}"] = support.missing_mass
    return metrics


def tags_of(result: PoliciesResult) -> dict[str, str]:
    """Tags of the run: who ships, and the reasons."""
    ships = [f"{v.policy} ({v.reward})" for v in result.values if v.ships]
    tags = {SHIPS: ", ".join(ships) or "none"}
    for value in result.values[:_MOST_POLICIES]:
        tags[f"{SHIPS}.{value.policy}.{value.reward}"] = value.reason
    return tags


def _rows(lake: Lake, result: PoliciesResult) -> DataFrame:
    schema = table_spec("gold.policies").schema()
    own = {f.name for f in fields(PolicyEstimate)}
    rows = []
    for e in result.estimates:
        support, value = result.verdict(e.policy), result.value(e.policy, e.reward)
        beside = {
            "log": result.table, "log_version": result.table_version, "support": support.verdict,
            "support_reason": support.reason, "rows": result.rows, "users": result.users,
            "confidence": result.confidence, "run_id": result.run_id,
            "difference": value.difference if value else None,
            "difference_lower": value.band_lower if value else None,
            "ships": bool(value and value.ships),
            "reason": value.reason if value else support.reason,
        }  # fmt: skip
        rows.append(tuple(getattr(e, c) if c in own else beside[c] for c in schema.names))
    told = [
        vars(d) | {"estimator": f"{d.quantity} {d.share:g}"}
        for d in result.distribution
        if d.policy != PRESENT
    ]
    for one in [*(vars(e) for e in result.lists), *told]:
        support, value = result.verdict(one["policy"]), result.value(one["policy"], one["reward"])
        found = {
            **one, "log": result.table, "log_version": result.table_version, "selected": False,
            "support": support.verdict, "support_reason": support.reason, "rows": result.rows,
            "users": result.users, "confidence": result.confidence, "run_id": result.run_id,
            "ships": bool(value and value.ships),
            "reason": value.reason if value else support.reason,
        }  # fmt: skip
        rows.append(tuple(found.get(c) for c in schema.names))
    return lake.spark.createDataFrame(rows, schema)
