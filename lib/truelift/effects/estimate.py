"""The whole estimation: a few start rows, one pass for all nuisances, one pass of scores.

More passes are made only while the propensity's convergence check asks for them. The driver
sees states of fixed size and at most about ``start_rows`` rows, whatever the panel's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from scipy.special import xlogy

from truelift.effects.nuisances.fitted import Fitted
from truelift.effects.nuisances.linear import variance_of_fitting
from truelift.effects.nuisances.moments import Moments
from truelift.effects.panel.columns import PanelColumns, is_randomised
from truelift.effects.panel.selection import (
    Selection,
    adjustment_caution,
    control_caution,
    outcome_cautions,
    spelt_arms,
    spelt_clusters,
    without_outcomes,
)
from truelift.effects.panel.source import PanelSource, State, SumKernel
from truelift.effects.prepared import prepared
from truelift.effects.results import Design, EffectsResult
from truelift.effects.scores.catalogue import (
    corrected_of,
    estimands_of,
    followed_of,
)
from truelift.effects.scores.estimands import ClusterMoments, SecondWay
from truelift.effects.scores.inference import NAIVE, estimates_of
from truelift.effects.scores.kinds.kind import kind_of
from truelift.effects.scores.layout import ScoreLayout
from truelift.effects.scores.power_sums import PowerLines, cluster_precision
from truelift.effects.scores.presence import Presence
from truelift.effects.scores.ratios import Estimand
from truelift.effects.scores.second_way import PartialSumsKernel
from truelift.effects.scores.sums import ScoreSumsKernel, Scoring
from truelift.effects.support.assignment_check import assignment_cautions
from truelift.effects.support.cautions import with_cautions
from truelift.effects.support.coded_numbers import code_cautions
from truelift.effects.support.covariate_checks import covariate_cautions
from truelift.effects.support.leaks import leak_cautions
from truelift.effects.support.level_balance import level_cautions
from truelift.effects.support.overlap import overlap_summaries
from truelift.effects.support.presence_checks import not_estimable, presence_cautions, size_cautions
from truelift.effects.support.refusals import refuse_second_way, refuse_sums, told_arms
from truelift.effects.support.repeated_units import repeat_cautions
from truelift.effects.support.supported import verdict
from truelift.effects.support.verdict import support
from truelift.inference.normal_equations import centred
from truelift.progress import Tell
from truelift.settings import EffectOptions


@dataclass(frozen=True, eq=False)
class Estimation:
    """A result, and what made it (to write scores with, or to look further).

    Parameters
    ----------
    result : EffectsResult
    scoring : Scoring
    moments : Moments
    cluster_moments : ClusterMoments
    conditions : tuple of str
        That the rows of the panel met which were looked at.
    """

    result: EffectsResult
    scoring: Scoring
    moments: Moments
    cluster_moments: ClusterMoments
    conditions: tuple[str, ...] = ()

    def rows_of(self, source: PanelSource) -> PanelSource:
        """The rows of a panel that were looked at."""
        for condition in self.conditions:
            source = source.where(condition)
        return source

    def options_for(self, options: EffectOptions) -> EffectOptions:
        """The options for the outcomes that could be estimated."""
        gone = [n for n in options.outcomes if n not in self.scoring.columns.outcomes]
        return without_outcomes(options, gone) if gone else options


def estimate_panel(
    source: PanelSource, options: EffectOptions, progress: Tell = lambda text: None
) -> Estimation:
    """Cross-fitted doubly robust effects of a treatment's arms on every outcome of a panel.

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
        For rows that cannot support an estimate; see :func:`~truelift.effects.nuisances.moments.make_moments`.
    """
    made = prepared(source, options, progress)
    chosen, drawn, moments, fitted = made.chosen, made.drawn, made.moments, made.fitted
    scoring, options = made.scoring, made.options
    source, columns = chosen.source, moments.columns
    progress(f"pass {fitted.passes + 1}: scores")
    corrected = corrected_of(columns, options)
    powers = PowerLines.of(scoring.layout, corrected) if corrected else None
    sums = source.sum(ScoreSumsKernel(scoring, powers), columns.of_scores(), columns.batch_rows())
    refuse_sums(sums, columns, options, source.name)
    if columns.second_cluster is not None:
        progress(f"pass {fitted.passes + 2}: sums by {columns.second_cluster}")
        sums |= source.second_sums(
            PartialSumsKernel(scoring, columns.batch_rows()), columns.of_scores()
        )
        refuse_second_way(sums, columns, source.name)
    found = _estimation(source, options, moments, fitted, scoring, sums)
    said = replace(found, result=_said(chosen, found, sums, options), conditions=chosen.conditions)
    return replace(said, result=_checked(source, drawn, said, options, progress))


def _said(
    chosen: Selection, found: Estimation, sums: State, options: EffectOptions
) -> EffectsResult:
    """The result with what is to be said of the choice of rows, arms and outcomes."""
    columns = found.scoring.columns
    cautions = [
        *control_caution(columns, options),
        *spelt_arms(columns),
        *adjustment_caution(columns),
        *outcome_cautions(found.moments.left_out),
        *spelt_clusters(columns, sums["no_cluster"][:, 1].tolist()),
    ]
    selection = chosen.sentence(found.result.n, options)
    return replace(with_cautions(found.result, cautions), selection=selection)


def _checked(
    source: PanelSource, drawn: pa.Table, found: Estimation, options: EffectOptions,
    progress: Tell,
) -> EffectsResult:  # fmt: skip
    """The result with what checks of the data found."""
    columns = found.scoring.columns
    result = with_cautions(found.result, leak_cautions(drawn, columns, options, found.result))
    result = with_cautions(result, covariate_cautions(drawn, found.moments))

    def run(kernel: SumKernel) -> State:
        progress("a pass for what the levels of categories leave")
        return source.sum(kernel, columns.of_scores(), columns.batch_rows())

    result = with_cautions(result, repeat_cautions(source, found.scoring, result, drawn))
    result = with_cautions(result, code_cautions(source, drawn, found.scoring, result))
    return with_cautions(result, level_cautions(run, found.scoring, result))


def _estimation(
    source: PanelSource, options: EffectOptions, moments: Moments, fitted: Fitted,
    scoring: Scoring, sums: State,
) -> Estimation:  # fmt: skip
    columns, layout = moments.columns, scoring.layout
    found = cluster_moments(
        sums, layout, corrected_of(columns, options), variance_of_fitting(sums, moments, options)
    )
    found = replace(found, units=int(moments.arm_units.sum()))
    overlaps = overlap_summaries(sums, moments)
    units = dict(zip(columns.arms.labels, moments.arm_units.astype(int).tolist(), strict=True))
    judged = support(overlaps, units, fitted.converged, by_lot=is_randomised(columns))
    kinds = (kind_of(name).judged_as for name in options.estimands)
    judged_as = tuple(dict.fromkeys(kind for kind in kinds if kind))
    name = fitted.nuisances.name

    def made(estimands, simultaneous: bool = True):  # type: ignore[no-untyped-def]
        return estimates_of(found, layout, estimands, moments.outcomes, options, name, simultaneous)

    asked = estimands_of(columns, options)
    not_made, cautions = not_estimable(found, layout, asked, columns)
    presence = Presence.of(sums, layout)
    cautions += presence_cautions(
        presence, columns, sum(units.values()), options.support.min_clusters_per_arm
    )
    cautions += size_cautions(found, layout, columns)
    cautions += assignment_cautions(sums, moments)
    result = EffectsResult(
        estimates=made(asked),
        arms=units,
        overlaps=overlaps,
        folds=options.nuisances.folds,
        n=sum(units.values()),
        clusters=found.clusters,
        nuisance={
            **_nuisance_quality(moments, sums),
            **fitted.quality,
            "passes": float(
                fitted.passes + 1 + (columns.second_cluster is not None) + bool(columns.categories)
            ),
        },
        table=source.name,
        table_version=source.version,
        verdict=verdict(judged, judged_as),
        asked=judged_as,
        covariates=len(moments.design),
        dropped=moments.dropped,
        support=judged,
        followed=made(followed_of(columns, options), simultaneous=False),
        learner=name,
        design=_design(columns, options),
        not_made=not_made,
    )
    result = with_cautions(result, cautions)
    return Estimation(result, scoring, moments, found)


def _design(columns: PanelColumns, options: EffectOptions) -> Design:
    """How the treatment came about; with the names that the specification uses."""
    known = "randomised" if is_randomised(columns) else "known chances"
    return Design(
        treatment=options.treatment,
        cluster=options.cluster,
        assignment=known if columns.propensity else "observed",
        chances=dict(options.nuisances.propensity),
        measured_in=dict(options.measured_in),
        labels=dict(options.labels),
    )


def cluster_moments(
    sums: State, layout: ScoreLayout, corrected: Sequence[Estimand], fitting: float
) -> ClusterMoments:
    """The sums by cluster of a scores pass, and what they say of the estimands' precision.

    ``fitting`` is the share of variance that fitted nuisances add (:func:`variance_of_fitting`).
    """
    clusters = int(sums["clusters"][0])
    precision = cluster_precision(sums["total"], clusters, layout, corrected, sums)
    factor = float(np.sqrt(1.0 + fitting))
    by_key = {
        e.key: p if e.name == NAIVE else replace(p, inflation=p.inflation * factor, fitting=fitting)
        for e, p in zip(corrected, precision, strict=True)
    }
    second = None
    if "second_cross" in sums:
        ways = (int(sums["second_clusters"][0]), int(sums["pairs"][0]))
        second = SecondWay(sums["second_cross"], sums["pair_cross"], *ways)
    presence = Presence.of(sums, layout)
    return ClusterMoments(sums["total"], sums["cross"], clusters, by_key, second, presence=presence)


def _nuisance_quality(moments: Moments, sums: State) -> dict[str, float]:
    """Losses out of fold: the propensity's beside a constant's, and R squared by arm."""
    rows = moments.gram[:, :, 0, 0].sum(axis=0)
    n = rows.sum()
    quality = {
        "propensity_log_loss": float(sums["log_loss"][0] / n),
        "propensity_log_loss_constant": float(-xlogy(rows / n, rows / n).sum()),
    }
    p = len(moments.design)
    for a, label in enumerate(told_arms(moments.columns)):
        gram = moments.gram[:, a].sum(axis=0)
        _, covariance = centred(gram)
        for j, name in enumerate(moments.outcomes.names):
            spread = float(covariance[p + j, p + j] * gram[0, 0])
            left = float(sums["residual_squares"][a, j])
            # Of an arm in which the outcome has one value there is nothing to explain.
            varies = spread > 1e-9 * gram[0, 0]
            quality[f"r2_{label}.{name}"] = 1.0 - left / spread if varies else 0.0
    return quality
