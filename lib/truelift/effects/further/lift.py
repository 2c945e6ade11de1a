"""Relative lift: an arm's mean by another's, less one, with one covariance for all of them.

With ``r = theta_a / theta_b`` the gradient is ``(1, -r) / theta_b`` in the two means, which gives
the covariance matrix of all lifts from that of all means, and so bands for all lifts at once.
"""

from __future__ import annotations

import numpy as np

from truelift.effects.columns import PanelColumns, Scale
from truelift.effects.intervals.bands import simultaneous_bands
from truelift.effects.intervals.delta import delta_covariance, relative_lift
from truelift.effects.results import Estimate
from truelift.effects.scoring.catalogue import UNIT, pairs_of
from truelift.effects.scoring.estimands import (
    ClusterMoments,
    Estimand,
    Ratio,
    covariance,
    influence_rows,
)
from truelift.effects.scoring.layout import ScoreLayout
from truelift.settings import EffectOptions

RELATIVE_LIFT = "relative lift"
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
        ``contrasts``, ``confidence``, ``simultaneous``, ``band_draws``, ``seed``.
    learner : str

    Returns
    -------
    tuple of Estimate
        Without those whose mean below the line is not :data:`LEAST_BASE` standard errors away
        from zero: the delta method fails there, and a ratio says little.
    """
    arms, labels = len(columns.arms.values), columns.arms.labels
    means, spread = _means(moments, layout, arms, outcomes)
    errors = np.sqrt(np.clip(np.diag(spread), 0.0, None))
    degrees = max(moments.clusters - 1, 1)
    wanted = [
        (j, arms * j + a, arms * j + b)
        for j in range(len(outcomes.names))
        for a, b in pairs_of(columns, options)
        if means[arms * j + b] != 0
        and abs(means[arms * j + b]) >= LEAST_BASE * errors[arms * j + b]
    ]
    if not wanted:
        return ()
    gradient = np.zeros((len(wanted), len(means)))
    lifts = []
    for row, (_, top, base) in enumerate(wanted):
        lift = relative_lift(means, spread, degrees, top, base, options.confidence)
        gradient[row, top] = 1.0 / means[base]
        gradient[row, base] = -means[top] / means[base] ** 2
        lifts.append(lift)
    bands = simultaneous_bands(
        np.array([lift.lift for lift in lifts]), delta_covariance(gradient, spread), degrees,
        options.confidence, draws=options.band_draws, seed=options.seed,
    )  # fmt: skip
    several = options.simultaneous and len(wanted) > 1
    return tuple(
        Estimate(
            estimand=RELATIVE_LIFT,
            outcome=outcomes.names[j],
            estimate=lift.lift,
            standard_error=lift.standard_error,
            ci_lower=lift.lower,
            ci_upper=lift.upper,
            p_value=float(bands.p_values[row]),
            n=round(moments.total[layout.place(*UNIT)]),
            clusters=moments.clusters,
            confidence=options.confidence,
            method=(
                f"delta method on the arms' means, {learner} nuisances, standard errors clustered "
                f"over {moments.clusters:,} clusters"
            ),
            arm=labels[top % arms],
            versus=labels[base % arms],
            band_lower=float(bands.lower[row]) if several else None,
            band_upper=float(bands.upper[row]) if several else None,
            adjusted_p_value=float(bands.p_values_adjusted[row]) if several else None,
        )
        for row, ((j, top, base), lift) in enumerate(zip(wanted, lifts, strict=True))
    )


def _means(
    moments: ClusterMoments, layout: ScoreLayout, arms: int, outcomes: Scale
) -> tuple[np.ndarray, np.ndarray]:
    """Means of all arms in the outcomes' own units, outcome by outcome, and their covariance."""
    estimands = [
        Estimand("APO", j, (Ratio(((("apo", a, j), 1.0),), UNIT),), level=True)
        for j in range(len(outcomes.names))
        for a in range(arms)
    ]
    values, rows = influence_rows(moments.total, layout, estimands)
    scale, centre = np.repeat(outcomes.scale, arms), np.repeat(outcomes.centre, arms)
    return centre + scale * values, covariance(rows, moments) * np.outer(scale, scale)
