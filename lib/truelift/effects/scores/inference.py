"""From sums over clusters to estimates with clustered standard errors and simultaneous bands.

The covariance matrix of all estimates comes from one small matrix of cluster cross-products, times
the small-sample factor G / (G - 1), or that of the jackknife (:mod:`~.scores.power_sums`) and of
fitted nuisances (:mod:`~truelift.inference.fitting_variance`).
Intervals and tests use Student's t with G - 1 degrees of freedom, for G clusters, or fewer where
few of them decide; bands and adjusted p-values use the largest of several t statistics, one
family a name (all effects, all effects on the treated, all group effects, ...).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from truelift.effects.panel.columns import Scale
from truelift.effects.results import Estimate
from truelift.effects.scores.estimable import why_not
from truelift.effects.scores.estimands import (
    ClusterMoments,
    ClusterPrecision,
    covariance,
    influence_rows,
)
from truelift.effects.scores.layout import ScoreLayout
from truelift.effects.scores.ratios import Estimand
from truelift.inference.anytime import AnytimeOptions
from truelift.inference.critical_values import CriticalValues
from truelift.inference.small_samples import degrees_of_freedom
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
        ``confidence``, ``simultaneous``, ``band_draws``, ``seed``, ``alternative``, ``anytime``.
    learner : str
        How the nuisances were fitted, for the description.
    simultaneous : bool
        Whether bands are wanted at all.

    Returns
    -------
    tuple of Estimate
        Without those that have no standard error (:func:`~.scores.estimable.why_not`).
    """
    reasons = why_not(moments, layout, estimands)
    estimands = [e for e, reason in zip(estimands, reasons, strict=True) if not reason]
    values, rows = influence_rows(moments.total, layout, estimands)
    scale = np.array([outcomes.scale[e.outcome] for e in estimands])
    centre = np.array([outcomes.centre[e.outcome] if e.level else 0.0 for e in estimands])
    values = values * scale
    precision = [moments.precision_of(e) for e in estimands]
    corrected = scale * np.array([p.inflation for p in precision])
    spread = covariance(rows, moments) * np.outer(corrected, corrected)
    critical = critical_values(precision, moments, options)
    made: list[Estimate | None] = [None] * len(estimands)
    for family in _families(estimands):
        described = [
            partial(
                Estimate,
                estimand=estimands[i].name,
                outcome=outcomes.names[estimands[i].outcome],
                estimate=float(values[i] + centre[i]),
                n=moments.count(layout),
                clusters=moments.clusters,
                method=_method(estimands[i].name, learner, moments),
                arm=estimands[i].arm,
                versus=estimands[i].versus,
                population=estimands[i].population,
            )
            for i in family
        ]
        found_family = inferred(
            described, values[family], spread[np.ix_(family, family)], critical.of(family), options,
            simultaneous, [estimands[i].level for i in family],
        )  # fmt: skip
        for i, estimate in zip(family, found_family, strict=True):
            made[i] = estimate
    return tuple(e for e in made if e is not None)


def inferred(
    described: Sequence[Callable[..., Estimate]],
    values: np.ndarray,
    spread: np.ndarray,
    critical: CriticalValues,
    options: EffectOptions,
    simultaneous: bool = True,
    levels: Sequence[bool] = (),
) -> list[Estimate]:
    """One family of estimates with intervals, bands and p-values.

    Parameters
    ----------
    described : sequence of callable
        By estimate: makes it of what is missing; ``estimate`` is set.
    values : ndarray, m
        What is tested against zero; may differ from ``estimate`` by the origin of a level.
    spread : ndarray, m x m
        Covariance matrix.
    critical : CriticalValues
    options : EffectOptions
        ``confidence``, ``simultaneous``, ``band_draws``, ``seed``, ``alternative``, ``anytime``.
    simultaneous : bool
        Whether bands are wanted, if there are several.
    levels : sequence of bool
        Which are levels, of which nothing is tested; none by default.
    """
    errors = np.sqrt(np.clip(np.diag(spread), 0.0, None))
    half, p_values = critical.interval() * errors, critical.p_values(values, errors)
    towards = {"greater": -1.0, "less": 1.0}.get(options.inference.alternative)
    bound = critical.bound() * errors
    together = adjusted = None
    if simultaneous and options.inference.simultaneous and len(described) > 1:
        # A simulation: tens of milliseconds, more than all the rest.
        together, adjusted = critical.together(
            values, spread, options.inference.band_draws, options.seed
        )
    found = []
    for i, described_one in enumerate(described):
        level = bool(levels) and levels[i]
        one = described_one(
            standard_error=float(errors[i]),
            ci_lower=0.0,
            ci_upper=0.0,
            p_value=None if level else float(p_values[i]),
            confidence=options.inference.confidence,
            degrees_of_freedom=float(critical.degrees[i]),
            anytime=options.inference.anytime,
        )
        value = one.estimate
        one = replace(one, ci_lower=value - float(half[i]), ci_upper=value + float(half[i]))
        if towards is not None and not level:
            at = value + towards * float(bound[i])
            one = replace(one, alternative=options.inference.alternative, bound=at)
        if together is not None and adjusted is not None:
            one = replace(
                one,
                band_lower=value - float(together[i]),
                band_upper=value + float(together[i]),
                adjusted_p_value=None if level else float(adjusted[i]),
            )
        found.append(one)
    return found


def critical_values(
    precision: Sequence[ClusterPrecision], moments: ClusterMoments, options: EffectOptions
) -> CriticalValues:
    """How estimates are read: Student's t with ``min(G, G*) - 1`` degrees of freedom, or all looks.

    Parameters
    ----------
    precision : sequence of ClusterPrecision
        Of the estimates.
    moments : ClusterMoments
    options : EffectOptions
        ``confidence``, ``alternative``, ``anytime``, ``anytime_tightest_at``.
    """
    anytime = None
    if options.inference.anytime:
        anytime = AnytimeOptions(
            options.inference.confidence, options.inference.anytime_tightest_at
        )
    degrees = [
        degrees_of_freedom(max(moments.fewest_clusters, 2), p.effective_clusters) for p in precision
    ]
    return CriticalValues(
        np.array(degrees),
        moments.fewest_clusters,
        options.inference.confidence,
        options.inference.alternative,
        anytime,
    )


def _families(estimands: Sequence[Estimand]) -> list[list[int]]:
    families: dict[str, list[int]] = {}
    for i, estimand in enumerate(estimands):
        families.setdefault(estimand.name, []).append(i)
    return list(families.values())


def _method(name: str, learner: str, moments: ClusterMoments) -> str:
    how = "difference in means" if name == NAIVE else f"cross-fitted AIPW, {learner} nuisances"
    return f"{how}, {errors_in_words(moments)}"


def errors_in_words(moments: ClusterMoments) -> str:
    """How the standard errors were made."""
    jackknife = ", jackknife" if moments.precision else ""
    clusters = f"{moments.clusters:,}"
    if moments.second is not None:
        clusters += f" x {moments.second.clusters:,}"
    return f"standard errors clustered over {clusters} clusters{jackknife}"
