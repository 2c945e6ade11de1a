"""Relative lift: an arm's mean by another's, less one, with one covariance for all of them.

With ``r = theta_a / theta_b`` the gradient is ``(1, -r) / theta_b`` in the two means, which gives
the covariance matrix of all lifts from that of all means, and so bands for all lifts at once.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from truelift.effects.look import Look, Sight
from truelift.effects.panel.columns import PanelColumns, Scale
from truelift.effects.results import EffectsResult, Estimate
from truelift.effects.scores.estimable import why_not
from truelift.effects.scores.estimands import (
    ClusterMoments,
    ClusterPrecision,
    covariance,
    influence_rows,
)
from truelift.effects.scores.inference import critical_values, errors_in_words, inferred
from truelift.effects.scores.kinds.mean import RELATIVE_LIFT
from truelift.effects.scores.kinds.pairs import pairs_of
from truelift.effects.scores.layout import ScoreLayout
from truelift.effects.scores.ratios import UNIT, Estimand, Ratio
from truelift.inference.delta import delta_covariance
from truelift.settings import EffectOptions

#: Standard errors that the mean below the line has to be away from zero.
LEAST_BASE = 3.0


def relative_lifts(
    moments: ClusterMoments,
    layout: ScoreLayout,
    columns: PanelColumns,
    outcomes: Scale,
    options: EffectOptions,
    learner: str,
) -> tuple[Estimate, ...]:
    """One lift a contrast and outcome, as shares: 0.1 is ten per cent more.

    Parameters
    ----------
    moments : ClusterMoments
    layout : ScoreLayout
    columns : PanelColumns
    outcomes : Scale
    options : EffectOptions
        ``contrasts``, and what :func:`~truelift.effects.scores.inference.inferred` reads.
    learner : str

    Returns
    -------
    tuple of Estimate
        Without those whose mean below the line is not :data:`LEAST_BASE` standard errors away
        from zero: the delta method fails there, and a ratio says little. Without those of which a
        mean has no standard error, too.
    """
    arms, labels = len(columns.arms.values), columns.arms.labels
    means, spread, of, known = _means(moments, layout, labels, outcomes)
    errors = np.sqrt(np.clip(np.diag(spread), 0.0, None))
    wanted = [
        (j, arms * j + a, arms * j + b)
        for j in range(len(outcomes.names))
        for a, b in pairs_of(columns, options)
        if known[arms * j + a]
        and known[arms * j + b]
        and means[arms * j + b] != 0
        and abs(means[arms * j + b]) >= LEAST_BASE * errors[arms * j + b]
    ]
    if not wanted:
        return ()
    gradient = np.zeros((len(wanted), len(means)))
    found, precision, described = [], [], []
    for row, (j, top, base) in enumerate(wanted):
        lift = means[top] / means[base] - 1.0
        gradient[row, top] = 1.0 / means[base]
        gradient[row, base] = -means[top] / means[base] ** 2
        found.append(lift)
        # As few clusters as the less precise of the two means has.
        precision.append(min((of[top], of[base]), key=lambda p: p.effective_clusters))
        described.append(
            partial(
                Estimate,
                estimand=RELATIVE_LIFT.name,
                outcome=outcomes.names[j],
                estimate=float(lift),
                n=moments.count(layout),
                clusters=moments.clusters,
                method=(
                    f"delta method on the arms' means, {learner} nuisances, "
                    f"{errors_in_words(moments)}"
                ),
                arm=labels[top % arms],
                versus=labels[base % arms],
            )
        )
    critical = critical_values(precision, moments, options)
    together = delta_covariance(gradient, spread)
    return tuple(inferred(described, np.array(found), together, critical, options))


def _means(
    moments: ClusterMoments, layout: ScoreLayout, labels: tuple[str, ...], outcomes: Scale
) -> tuple[np.ndarray, np.ndarray, list[ClusterPrecision], list[bool]]:
    """Means of all arms in the outcomes' own units, outcome by outcome; covariance; precision.

    Last, which of them have a standard error.
    """
    estimands = [
        Estimand("APO", j, (Ratio(((("apo", a, j), 1.0),), UNIT),), arm=label, level=True)
        for j in range(len(outcomes.names))
        for a, label in enumerate(labels)
    ]
    precision = [moments.precision_of(e) for e in estimands]
    values, rows = influence_rows(moments.total, layout, estimands)
    scale, centre = np.repeat(outcomes.scale, len(labels)), np.repeat(outcomes.centre, len(labels))
    corrected = scale * np.array([p.inflation for p in precision])
    spread = covariance(rows, moments) * np.outer(corrected, corrected)
    known = [not reason for reason in why_not(moments, layout, estimands)]
    return centre + scale * values, spread, precision, known


def _asked(options: EffectOptions, columns: PanelColumns) -> bool:  # noqa: ARG001
    return {"APO", "ATE"} <= set(options.estimands)


def _result(sight: Sight, found: None) -> EffectsResult:  # noqa: ARG001
    """Relative lifts beside the means that they are made of."""
    scoring = sight.estimation.scoring
    lifts = relative_lifts(
        sight.estimation.cluster_moments, scoring.layout, scoring.columns, scoring.outcomes,
        sight.options, sight.result.learner,
    )  # fmt: skip
    return replace(sight.result, estimates=(*sight.result.estimates, *lifts))


LIFTS = Look("lifts", _result, _asked)
