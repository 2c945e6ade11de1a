"""The effect step, and the same estimation as one call on any table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from typing import TYPE_CHECKING

from truelift.effects.estimate import Estimation, estimate_panel
from truelift.effects.lake_panel import LakePanel
from truelift.effects.results import EffectsResult
from truelift.effects.scores import ScoreRowsKernel
from truelift.lake.scan import make_plan
from truelift.lake.tables import TABLES, table_spec
from truelift.settings import EffectOptions
from truelift.steps import StepReport

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.lake import Lake

_METRIC_NAMES = {"ATE": "ate", "ATT": "att", "naive difference": "naive"}


def estimate_effects(job: Job) -> StepReport:
    """Estimate the effect of the treatment on the panel; write scores and effects.

    Reads ``gold.panel`` at its pinned version; writes ``gold.scores`` (one row a unit and
    outcome) and ``gold.effects``. Without a panel, as for logs without exposures, the step
    says so and writes nothing.

    Raises
    ------
    DataError, TableError
        For a panel that cannot support an estimate; no table is touched.
    """
    if not job.has("gold.panel"):
        return StepReport(0, 0, {"skipped": _why_no_panel(job)})
    panel = LakePanel(job.lake, job.plan("gold.panel"))
    estimation = estimate_panel(panel, job.settings.effects, job.progress.update)
    job.progress.update("writing scores")
    scores = job.replace("gold.scores", _scores(panel, estimation))
    result = estimation.result
    job.replace("gold.effects", _effects(job.lake, result))
    job.log_metrics(_metrics(result))
    job.save_result(result)
    return StepReport(result.n, scores.rows, _headline(result))


def estimate_effects_from(
    lake: Lake,
    table: str,
    options: EffectOptions | None = None,
    version: int | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> EffectsResult:
    """Estimate effects on any Delta table that is partitioned by ``bucket``; write nothing.

    Parameters
    ----------
    lake : Lake
    table : str
        A table of the lake (``gold.panel``), or the URI of any other Delta table. Its rows
        have to lie in partitions ``bucket = hash(cluster) % buckets``
        (:func:`truelift.lake.bucket_column`).
    options : EffectOptions, optional
        Names of the columns, folds, clipping, confidence.
    version : int, optional
        Delta version; the newest by default.
    progress : callable, optional
        Told what is being done, a line a pass.

    Returns
    -------
    EffectsResult

    Raises
    ------
    DataError, TableError
        For a table that is missing, lacks a column or cannot support an estimate.

    Examples
    --------
    >>> options = EffectOptions(treatment="mailed", outcomes=("sales",), covariates=("age",))
    >>> estimate_effects_from(lake, "s3://shop/panel", options)  # doctest: +SKIP
    """
    uri = lake.uri(table) if table in TABLES else table
    panel = LakePanel(lake, make_plan(table, uri, version=version))
    return estimate_panel(panel, options or EffectOptions(), progress).result


def _why_no_panel(job: Job) -> str:
    from truelift.features.results import FeaturesResult

    features = job.load_result(FeaturesResult)
    reason = features.panel_skipped_reason if features else None
    return f"there is no panel: {reason or 'gold.panel does not exist'}"


def _scores(panel: LakePanel, estimation: Estimation):  # type: ignore[no-untyped-def]
    kernel = ScoreRowsKernel(estimation.models, estimation.treated_share)
    plan = panel.plan.select(estimation.models.columns.of_scores())
    return panel.lake.map_buckets(kernel, {"panel": plan}, table_spec("gold.scores").schema())


def _effects(lake: Lake, result: EffectsResult):  # type: ignore[no-untyped-def]
    rows = [astuple(estimate) for estimate in result.estimates]
    return lake.spark.createDataFrame(rows, table_spec("gold.effects").schema())


def _metrics(result: EffectsResult) -> dict[str, float]:
    metrics = {
        "units": float(result.n),
        "clusters": float(result.clusters),
        "treated": float(result.treated),
        "clipped_share": result.overlap.clipped_share,
        **{
            f"supported.{_METRIC_NAMES[name]}": float(text.startswith("supported"))
            for name, text in result.support.items()
        },
        "propensity_log_loss": result.nuisance["propensity_log_loss"],
    }
    for estimate in result.estimates:
        name = f"{_METRIC_NAMES[estimate.estimand]}.{estimate.outcome}"
        metrics[name] = estimate.estimate
        metrics[f"{name}.standard_error"] = estimate.standard_error
    return metrics


def _headline(result: EffectsResult) -> dict[str, float | str | int]:
    headline: dict[str, float | str | int] = {}
    for estimate in result.estimates:
        if estimate.estimand in result.support:
            headline[f"{estimate.estimand} {estimate.outcome}"] = (
                f"{estimate.estimate:.4g} [{estimate.ci_lower:.4g}, {estimate.ci_upper:.4g}]"
            )
    headline["verdict"] = result.verdict.split(":")[0].split(". ")[0]
    return headline
