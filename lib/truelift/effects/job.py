"""The effect step, and the same estimation as one call on any table."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, cast

from truelift.effects.estimate import Estimation
from truelift.effects.look import check_columns
from truelift.effects.panel.any_table import TableAddress, frame_panel, panel_plan
from truelift.effects.panel.lake_panel import LakePanel
from truelift.effects.panel.pinned import KEY, pinned_address
from truelift.effects.panel.source import PanelSource
from truelift.effects.results import EffectsResult, Estimate
from truelift.effects.scores.kinds.kind import kind_of
from truelift.effects.scores.rows import ScoreRowsKernel
from truelift.effects.telling.names import in_words
from truelift.effects.whole import DESIGNS, estimate_all
from truelift.features.panels.results import PanelBuilt
from truelift.lake.tables import table_spec
from truelift.registries import LOOKS
from truelift.settings import EffectOptions
from truelift.steps import StepReport

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from truelift.job import Job
    from truelift.lake import Lake

_MOST_HEADLINES = 6
# Metrics of a run stay few (MLflow's pages are slow beyond some tens).
_MOST_METRICS = 24


def estimate_effects(job: Job) -> StepReport:
    """Estimate the effect of the treatment on the panel; write scores and effects.

    Reads ``gold.panel`` at its pinned version, or the table that ``effects.table`` names; writes
    ``gold.scores`` (one row a unit, outcome and arm) and ``gold.effects``, in which the rows of other
    panels stay. Without a panel, as for
    logs without exposures, the step says so and writes nothing.

    Raises
    ------
    DataError, TableError
        For a panel that cannot support an estimate; no table is touched.
    """
    options = job.settings.effects
    if options.table is not None:
        job.progress.update("bringing the table into buckets")
        address = pinned_address(options.table, job.foreign.get(KEY))
        plan = panel_plan(job.lake, address, options, job.settings.buckets)
        job.run.log_table(address.uri, plan.uri, plan.version, "input")
    elif not job.has("gold.panel"):
        return StepReport(0, 0, {"skipped": _why_no_panel(job)})
    else:
        plan = job.plan("gold.panel")
        options = as_specified(options, job.load_result(PanelBuilt))
    panel = LakePanel(job.lake, plan)
    check_columns(panel.schema, options, panel.name)
    effects = estimate_all(panel, options, job.progress.update)
    started = time.perf_counter()
    result = replace(effects.result, run_id=job.run.run_id)
    written = len(result.estimates)
    if effects.estimation is not None:
        job.progress.update("writing scores")
        looked_at = cast(LakePanel, effects.estimation.rows_of(panel))
        rows = _scores(looked_at, effects.estimation, result)
        written = job.replace_part("gold.scores", rows, "panel", result.table).rows
    job.replace_part("gold.effects", _effects(job.lake, result), "panel", result.table)
    seconds = effects.seconds | {"writing": time.perf_counter() - started}
    job.log_metrics(metrics_of(result) | {f"seconds.{part}": s for part, s in seconds.items()})
    job.save_result(result)
    return StepReport(result.n, written, _headline(result))


def estimate_effects_from(
    lake: Lake,
    table: Any,
    options: EffectOptions | None = None,
    version: int | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> EffectsResult:
    """Estimate effects on any Delta, Parquet or CSV table, or a DataFrame; write no scores.

    Parameters
    ----------
    lake : Lake
    table : str, path or DataFrame
        A table of the lake (``gold.panel``, ``gold.panel_promotions``), or the URI of any other
        Delta table, of Parquet or CSV (a file or a folder), with ``@version`` of Delta if wanted.
        One that does not lie in buckets by a hash of its clusters
        (:func:`truelift.lake.bucket_column`) is first brought into them, once, under the lake's
        ``work/``. A pandas DataFrame, an Arrow table, or any table with ``__arrow_c_stream__`` is
        estimated on in this process, without Spark.
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
    options = options or EffectOptions()
    panel: PanelSource
    if isinstance(table, (str, PurePath)):
        address = TableAddress.parse(str(table))
        address = address if version is None else replace(address, version=version)
        panel = LakePanel(lake, panel_plan(lake, address, options, lake.buckets))
    else:
        panel = frame_panel(table, options, lake.buckets)
    check_columns(panel.schema, options, panel.name)
    return estimate_all(panel, options, progress).result


def as_specified(options: EffectOptions, panel: PanelBuilt | None) -> EffectOptions:
    """Options for the panel that a specification has made; what they say themselves goes first.

    Columns are those of the specification, its labels and units of measurement come along, and the
    occasions are left out one after the other.
    """
    if panel is None or panel.missing or not panel.treatment:
        return options
    default = EffectOptions()
    said: dict[str, Any] = {
        "treatment": panel.treatment,
        "control": panel.control,
        "cluster": panel.cluster,
        "outcomes": panel.outcomes,
        "labels": panel.labels,
    }
    unsaid = {n: v for n, v in said.items() if v and getattr(options, n) == getattr(default, n)}
    checks = options.credibility
    if checks.leave_out is None:
        unsaid["credibility"] = replace(checks, leave_out=panel.occasion or None)
    return replace(options, **unsaid, measured_in=panel.measured_in | options.measured_in)


def _why_no_panel(job: Job) -> str:
    panel = job.load_result(PanelBuilt)
    reason = panel.missing if panel else None
    return f"there is no panel: {reason or 'gold.panel does not exist'}"


def _scores(panel: LakePanel, estimation: Estimation, result: EffectsResult) -> DataFrame:
    plan = panel.plan.select(estimation.scoring.columns.of_rows())
    kernel = ScoreRowsKernel(estimation.scoring, result.table, result.table_version)
    return panel.lake.map_buckets(kernel, {"panel": plan}, table_spec("gold.scores").schema())


def _effects(lake: Lake, result: EffectsResult) -> DataFrame:
    schema = table_spec("gold.effects").schema()
    names = {f.name for f in fields(Estimate)}
    common = {
        "folds": result.folds, "learner": result.learner, "panel": result.table,
        "panel_version": result.table_version, "run_id": result.run_id,
    }  # fmt: skip
    rows = [
        tuple(
            getattr(estimate, column) if column in names else common[column]
            for column in schema.names
        )
        for estimate in result.estimates
    ]
    return lake.spark.createDataFrame(rows, schema)


def metrics_of(result: EffectsResult) -> dict[str, float]:
    """The metrics of a run: support, then estimates with their intervals, as far as there is room."""
    metrics: dict[str, float] = {}
    for look in LOOKS:
        metrics |= look.metrics(result)
    metrics |= {
        "units": float(result.n),
        "clusters": float(result.clusters),
    }
    if result.overlaps:
        metrics |= {
            "treated": float(result.treated),
            "clipped_share": max(o.clipped_share for o in result.overlaps.values()),
            "propensity_log_loss": result.nuisance["propensity_log_loss"],
        }
    for check in result.instruments:
        metrics[f"effective_f.{check.basis.replace(' ', '_')}.{check.outcome}"] = check.effective_f
    for judged in result.support:
        key = f"supported.{kind_of(judged.estimand).metric_key}"
        metrics[key + (f".{judged.arm}" if judged.arm else "")] = float(judged.supported)
    several = len(result.arms) > 2
    for e in result.estimates:
        if len(metrics) > 4 * _MOST_METRICS:
            break
        kind = kind_of(e.estimand)
        if not kind.logged:
            continue
        name = f"{kind.metric_key}.{e.outcome}"
        if several or kind.names_arms:
            name += f".{e.arm}" + (f".against.{e.versus}" if e.versus else "")
        metrics[name] = e.estimate
        metrics[f"{name}.standard_error"] = e.standard_error
        metrics[f"{name}.ci_lower"], metrics[f"{name}.ci_upper"] = e.ci_lower, e.ci_upper
    return metrics


def _headline(result: EffectsResult) -> dict[str, float | str | int]:
    headline: dict[str, float | str | int] = {}
    several = len(result.arms) > 2
    for e in in_words(result).estimates:
        leads = e.estimand in ("ATE", "ATT") or result.design.assignment in DESIGNS
        if leads and len(headline) < _MOST_HEADLINES:
            arm = f" {e.arm}" if several else ""
            span = f"{e.estimate:.4g} [{e.ci_lower:.4g}, {e.ci_upper:.4g}]"
            headline[f"{e.estimand}{arm} {e.outcome}"] = span
    headline["verdict"] = result.verdict.split(":")[0].split(". ")[0]
    return headline
