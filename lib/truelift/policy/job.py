"""``truelift learn_policy``: from the score table to a registered policy and what it does with everyone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from truelift.lake.tables import table_spec
from truelift.policy.fitting import travelling
from truelift.policy.lake_rows import SCORES, joined, scored_panel
from truelift.policy.learning import (
    Ground,
    LearnedPolicy,
    arms_of,
    learn_with,
    row_columns,
)
from truelift.policy.options import LearnOptions
from truelift.policy.package import PolicyPackage
from truelift.policy.results import PolicyResult
from truelift.tool_records import keep_record

if TYPE_CHECKING:
    from truelift.job import Job

TABLE = "gold.learned_policies"


def learn_policy(job: Job, panel: str, options: LearnOptions) -> PolicyResult:
    """Learn a policy from ``gold.scores``; register it, and write what it does with the panel's units.

    Parameters
    ----------
    job : Job
    panel : str
        Whose scores: ``gold.panel``, another panel of the lake, or the address of a table of one's own.
    options : LearnOptions

    Raises
    ------
    TableError, ConfigError, DataError
        For scores, columns or options that are not there or cannot be.
    NotSupportedError
        If the data support the effect of no arm.
    """
    looked = (*(options.covariates or ()), *options.categorical, *options.groups)
    scored = scored_panel(
        job, panel, options.reward, options.unit, options.cluster, options.treatment, looked
    )
    job.run.log_table(SCORES, job.lake.uri(SCORES), job.lake.version(SCORES) or 0, "input")
    arms = arms_of(scored.arms, scored.support, options.reward)
    columns = row_columns(arms.labels, options, scored.panel.schema, scored.panel.table)
    job.progress.update("joining scores and panel")
    with joined(job.lake, scored, columns, options.reward.outcome, options.unit) as source:
        ground = Ground(source, columns, scored.folds, arms.notes)
        learned, fitting = learn_with(ground, options, job.progress.update)
        result = replace(learned.result, table_version=scored.version)
        package = PolicyPackage(
            learned.rule, columns.arms, options.exploration, job.fingerprint[:12]
        )
        kernel = ActionsKernel(
            travelling(fitting), package, scored.panel.table, scored.version, options.reward.outcome
        )
        job.progress.update("writing what the policy does")
        rows = job.lake.map_buckets(kernel, {"rows": source.plan}, table_spec(TABLE).schema())
        written = job.replace_part(TABLE, rows, "panel", scored.panel.table)
    job.log_metrics(metrics_of(result))
    job.progress.update("registering the policy")
    _register(job, LearnedPolicy(result, learned.rule), package)
    job.save_result(result)
    keep_record(job, scored.panel.table, result.n, written.rows)
    return result


def metrics_of(result: PolicyResult) -> dict[str, float]:
    """The metrics of a run."""
    found = {
        "units": float(result.n),
        "value": result.value.estimate,
        "value.ci_lower": result.value.ci_lower,
        "value.ci_upper": result.value.ci_upper,
        "value.in_sample": result.in_sample,
        "value.optimism": result.optimism,
        "treated_share": result.share.estimate,
        "cost": result.cost.estimate,
    }
    for gain in result.gains[:10]:
        found[f"gain.over.{gain.name}"] = gain.estimate
        found[f"gain.over.{gain.name}.ci_lower"] = gain.ci_lower
    return found


@dataclass(frozen=True, eq=False)
class ActionsKernel:
    """A row kernel: what the policy of all units does with each of them."""

    fitting: Any
    package: PolicyPackage
    panel: str
    version: int
    outcome: str

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        """Rows of one bucket."""
        table = tables["rows"].combine_chunks()
        batches = table.to_batches()
        if not batches:
            return _ACTIONS.empty_table()
        (batch,) = batches
        names = batch.column(batch.schema.get_field_index("unit_id"))
        made = self.package.decide(self.fitting.columns_of(batch), names)
        arms, n = np.array(self.package.arms), len(names)
        return pa.table(
            {
                "panel": pa.repeat(pa.scalar(self.panel), n),
                "panel_version": pa.repeat(pa.scalar(self.version, pa.int64()), n),
                "outcome": pa.repeat(pa.scalar(self.outcome), n),
                "unit_id": names,
                "user_key": batch.column(batch.schema.get_field_index("user_key")),
                "arm": pa.array(arms[made.taken], pa.string()),
                "best_arm": pa.array(arms[made.best], pa.string()),
                "propensity": pa.array(made.propensity),
                "bucket": pa.repeat(pa.scalar(bucket, pa.int32()), n),
            },
            schema=_ACTIONS,
        )


_ACTIONS = table_spec(TABLE).arrow


def _register(job: Job, learned: LearnedPolicy, package: PolicyPackage) -> None:
    import pandas as pd
    from mlflow.models import infer_signature

    from truelift import __version__
    from truelift.policy.pyfunc import FILE, PACKAGE, UNIT, PolicyModel, decided, how_to_call

    path = job.workdir / FILE
    path.write_text(package.to_text(), encoding="utf-8")
    rule, result = package.rule, learned.result
    example = pd.DataFrame({UNIT: ["a", "b"]} | {n: [0.0, 1.0] for n in rule.numbers}
                           | {n: ["x", "y"] for n in rule.texts})  # fmt: skip
    job.run.models.register(
        name=job.settings.tracking.model_name,
        python_model=PolicyModel(),
        artifacts={PACKAGE: str(path)},
        signature=infer_signature(example, decided(package, example)),
        input_example=example,
        requirements=[f"truelift=={__version__}"],
        tags={"policy": result.method, "table": result.table, "table_version": str(result.table_version)},
        about=how_to_call(package),
        about_version=result.summary(),
    )  # fmt: skip
