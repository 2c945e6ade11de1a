"""From sums over clusters to estimates with clustered standard errors and simultaneous bands.

The covariance matrix of all estimates comes from one small matrix of cluster cross-products, times
the small-sample factor G / (G - 1). Intervals and tests use Student's t with G - 1 degrees of
freedom, for G clusters; bands and adjusted p-values use the largest of several t statistics, one
family a name (all effects, all effects on the treated, all group effects, ...).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import special

from truelift.effects.columns import Scale
from truelift.effects.intervals.bands import simultaneous_bands, two_sided
from truelift.effects.results import Estimate
from truelift.effects.scoring.estimands import (
    ClusterMoments,
    Estimand,
    covariance,
    influence_rows,
)
from truelift.effects.scoring.layout import ScoreLayout
from truelift.settings import EffectOptions

NAIVE = "naive difference"


def estimates_of(
    moments: ClusterMoments,
    layout: ScoreLayout,
    estimands: Sequence[Estimand],
    outcomes: Scale,
    options: EffectOptions,
    learner: str,
    simultaneous: bool = True,
) -> tuple[Estimate, ...]:
    """Every estimand with its interval, in the outcomes' own units.

    Parameters
    ----------
    moments : ClusterMoments
    layout : ScoreLayout
    estimands : sequence of Estimand
    outcomes : Scale
    options : EffectOptions
        ``confidence``, ``simultaneous``, ``band_draws``, ``seed``.
    learner : str
        How the nuisances were fitted, for the description.
    simultaneous : bool
        Whether bands are wanted at all.

    Returns
    -------
    tuple of Estimate
        Without those whose population has no unit.
    """
    values, rows = influence_rows(moments.total, layout, estimands)
    found = np.flatnonzero(np.isfinite(values))
    estimands = [estimands[i] for i in found.tolist()]
    spread = covariance(rows[found], moments)
    scale = np.array([outcomes.scale[e.outcome] for e in estimands])
    centre = np.array([outcomes.centre[e.outcome] if e.level else 0.0 for e in estimands])
    values = values[found] * scale
    spread = spread * np.outer(scale, scale)
    degrees = max(moments.clusters - 1, 1)
    made: list[Estimate | None] = [None] * len(estimands)
    errors = np.sqrt(np.clip(np.diag(spread), 0.0, None))
    alone = float(special.stdtrit(degrees, 0.5 + options.confidence / 2))
    for family in _families(estimands):
        wanted = simultaneous and options.simultaneous and len(family) > 1
        if wanted:  # a simulation: tens of milliseconds, more than all the rest
            bands = simultaneous_bands(
                values[family], spread[np.ix_(family, family)], degrees, options.confidence,
                draws=options.band_draws, seed=options.seed,
            )  # fmt: skip
        for place, i in enumerate(family):
            estimand, error = estimands[i], float(errors[i])
            value = float(values[i] + centre[i])
            one = Estimate(
                estimand=estimand.name,
                outcome=outcomes.names[estimand.outcome],
                estimate=value,
                standard_error=error,
                ci_lower=value - alone * error,
                ci_upper=value + alone * error,
                p_value=None if estimand.level else _p_value(float(values[i]), error, degrees),
                n=round(moments.total[layout.place("unit")]),
                clusters=moments.clusters,
                confidence=options.confidence,
                method=_method(estimand.name, learner, moments.clusters),
                arm=estimand.arm,
                versus=estimand.versus,
                population=estimand.population,
            )
            if wanted:
                one = replace(
                    one,
                    band_lower=float(bands.lower[place] + centre[i]),
                    band_upper=float(bands.upper[place] + centre[i]),
                    adjusted_p_value=(
                        None if estimand.level else float(bands.p_values_adjusted[place])
                    ),
                )
            made[i] = one
    return tuple(e for e in made if e is not None)


def _p_value(value: float, error: float, degrees: float) -> float:
    """Two-sided against zero; an estimate without error is certain."""
    if error == 0:
        return 1.0 if value == 0 else 0.0
    return float(two_sided(np.array(value / error), degrees))


def _families(estimands: Sequence[Estimand]) -> list[list[int]]:
    families: dict[str, list[int]] = {}
    for i, estimand in enumerate(estimands):
        families.setdefault(estimand.name, []).append(i)
    return list(families.values())


def _method(name: str, learner: str, clusters: int) -> str:
    how = "difference in means" if name == NAIVE else f"cross-fitted AIPW, {learner} nuisances"
    return f"{how}, standard errors clustered over {clusters:,} clusters"
