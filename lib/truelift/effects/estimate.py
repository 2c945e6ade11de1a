"""The whole estimation: a few start rows, one pass for all nuisances, one pass of scores.

More passes are made only while the propensity's convergence check asks for them. The driver
sees states of fixed size and at most about ``start_rows`` rows, whatever the panel's size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from truelift.effects.clusters import clusters_in_two_buckets
from truelift.effects.columns import panel_columns
from truelift.effects.inference import ClusterMoments, estimates
from truelift.effects.moments import Moments, MomentsKernel, make_moments
from truelift.effects.normal_equations import centred, complements, ridge_coefficients
from truelift.effects.overlap import overlap_summary
from truelift.effects.propensity import NewtonKernel, PropensityFit
from truelift.effects.results import EffectsResult
from truelift.effects.scores import NuisanceModels, ScoreSumsKernel
from truelift.effects.source import PanelSource, State
from truelift.effects.start import StartKernel, make_start, start_buckets
from truelift.effects.verdict import support, verdict
from truelift.errors import DataError
from truelift.settings import EffectOptions

Progress = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Estimation:
    """A result, and the models that made it (to write scores with)."""

    result: EffectsResult
    models: NuisanceModels

    @property
    def treated_share(self) -> float:
        """Share of treated units."""
        return self.result.treated / self.result.n


def estimate_panel(
    source: PanelSource, options: EffectOptions, progress: Progress = lambda text: None
) -> Estimation:
    """Cross-fitted doubly robust effects of a binary treatment on every outcome of a panel.

    Parameters
    ----------
    source : PanelSource
    options : EffectOptions
    progress : callable, optional
        Told what is being done, a line a pass.

    Raises
    ------
    TableError
        For a missing or a non-numeric column.
    DataError
        For rows that cannot support an estimate; see :func:`~.moments.make_moments`.
    """
    columns = panel_columns(source.schema, options, source.name)
    rows = source.bucket_rows()
    if not sum(rows.values()):
        raise DataError(
            f"{source.name} has no rows, so there is nothing to estimate. Check the panel's "
            "campaigns, windows and sample."
        )
    progress("drawing the start rows")
    drawn = source.start_rows(StartKernel(columns, start_buckets(rows, options.start_rows)))
    start = make_start(drawn, columns, options.ridge)
    progress("pass 1: moments and a Newton step")
    state = source.sum(
        MomentsKernel(columns, start, options.folds), columns.numeric(), columns.batch_rows()
    )
    moments = make_moments(state, columns, start, source.name)
    propensity, passes = _fit_propensity(source, moments, options, progress)
    models = NuisanceModels(
        columns=moments.columns,
        covariates=moments.covariates,
        outcomes=moments.outcomes,
        propensity=propensity.coefficients,
        outcome_regression=_outcome_regression(moments, options.ridge),
        clip=options.clip,
    )
    progress(f"pass {passes + 1}: scores")
    sums = source.sum(
        ScoreSumsKernel(models),
        tuple(dict.fromkeys([*models.columns.numeric(), models.columns.cluster])),
        models.columns.batch_rows(),
    )
    _check_clusters(sums, models, options, source.name)
    return Estimation(_result(source, options, moments, propensity, sums, passes + 1), models)


def _fit_propensity(
    source: PanelSource, moments: Moments, options: EffectOptions, progress: Progress
) -> tuple[PropensityFit, int]:
    penalty = np.concatenate([[0.0], options.ridge * moments.variances])
    fit = PropensityFit.start(moments.start, options.folds)
    fit = fit.step(moments.loss, moments.ascent, moments.hessian, moments.rows, penalty)
    passes = 1
    unfinished = fit.remaining > options.tolerance or not moments.exact_start
    while unfinished and fit.steps < options.max_newton_steps:
        passes += 1
        progress(f"pass {passes}: a further Newton step")
        state = source.sum(
            NewtonKernel(moments.columns, moments.covariates, fit.coefficients),
            moments.columns.of_propensity(),
            moments.columns.batch_rows(),
        )
        fit = fit.step(state["loss"], state["ascent"], state["hessian"], state["rows"], penalty)
        unfinished = fit.remaining > options.tolerance
    return fit, passes


def _outcome_regression(moments: Moments, ridge: float) -> np.ndarray:
    p = len(moments.columns.covariates)
    without = complements(moments.gram)
    variances = moments.variances
    return np.array(
        [[ridge_coefficients(gram, p, variances, ridge) for gram in fold] for fold in without]
    )


def _check_clusters(
    sums: State, models: NuisanceModels, options: EffectOptions, table: str
) -> None:
    cluster = models.columns.cluster
    if cut := clusters_in_two_buckets(sums["max_sketch"]):
        raise DataError(
            f"{table}: at least {cut:,} values of the cluster column {cluster!r} lie in more than "
            "one bucket. Expected each cluster in one bucket: partition the table by a hash of "
            f"{cluster!r}, or name the column that it is partitioned by as effects.cluster."
        )
    _, control, treated = (int(c) for c in sums["clusters"])
    for arm, found in (("treated", treated), ("control", control)):
        if found < options.min_clusters_per_arm:
            raise DataError(
                f"{table}: the {arm} arm has {found:,} clusters ({cluster!r}), expected at least "
                f"{options.min_clusters_per_arm}: standard errors would be too small. Use more "
                "users, or lower effects.min_clusters_per_arm."
            )


def _result(
    source: PanelSource, options: EffectOptions, moments: Moments, propensity: PropensityFit,
    sums: State, passes: int,
) -> EffectsResult:  # fmt: skip
    cluster_moments = ClusterMoments(sums["total"], sums["cross"], int(sums["clusters"][0]))
    control, treated = (int(n) for n in moments.arm_rows)
    overlap = overlap_summary(sums, moments)
    found = support(overlap, treated, control, propensity.remaining <= options.tolerance)
    return EffectsResult(
        estimates=estimates(cluster_moments, moments.outcomes, options.confidence),
        overlap=overlap,
        folds=options.folds,
        n=control + treated,
        clusters=cluster_moments.clusters,
        treated=treated,
        nuisance=_nuisance_quality(moments, propensity, sums, passes),
        table=source.name,
        table_version=source.version,
        verdict=verdict(found),
        covariates=len(moments.columns.covariates),
        dropped=moments.dropped,
        support=found,
    )


def _nuisance_quality(
    moments: Moments, propensity: PropensityFit, sums: State, passes: int
) -> dict[str, float]:
    control, treated = moments.arm_rows
    n, share = control + treated, treated / (control + treated)
    quality = {
        "propensity_log_loss": float(sums["log_loss"][0] / n),
        "propensity_log_loss_constant": float(-xlogy(share, share) - xlogy(1 - share, 1 - share)),
        "propensity_newton_steps": float(propensity.steps),
        "propensity_remaining": min(propensity.remaining, 1e6),
        "passes": float(passes),
    }
    p = len(moments.columns.covariates)
    for arm, label in ((0, "control"), (1, "treated")):
        gram = moments.gram[:, arm].sum(axis=0)
        _, covariance = centred(gram)
        for j, name in enumerate(moments.outcomes.names):
            spread = float(covariance[p + j, p + j] * gram[0, 0])
            left = float(sums["residual_squares"][arm, j])
            quality[f"r2_{label}.{name}"] = 1.0 - left / spread if spread > 0 else 0.0
    return quality
