"""The result of a design: estimates that no arms are compared for, judged by the design's own rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from truelift.effects.panel.source import PanelSource
from truelift.effects.results import Design, EffectsResult, Estimate
from truelift.effects.scores.inference import inferred
from truelift.effects.support.supported import Support, verdict
from truelift.inference.critical_values import CriticalValues
from truelift.settings import EffectOptions


@dataclass(frozen=True)
class Named:
    """What an estimate is of, without its numbers."""

    estimand: str
    outcome: str
    arm: str
    population: str
    method: str
    versus: str = ""


def family(
    named: Sequence[Named], values: np.ndarray, spread: np.ndarray, options: EffectOptions,
    units: int, clusters: int, simultaneous: bool = False,
) -> list[Estimate]:  # fmt: skip
    """Estimates with Student's intervals of G - 1 degrees of freedom, and bands where they are wanted.

    Parameters
    ----------
    named : sequence of Named
    values : ndarray, m
    spread : ndarray, m x m
        Their clustered covariance.
    options : EffectOptions
    units, clusters : int
    simultaneous : bool
        Whether the estimates are one family, over which bands hold at once.
    """
    described = [
        _described(one, float(value), units, clusters)
        for one, value in zip(named, values, strict=True)
    ]
    critical = CriticalValues(
        np.full(len(values), float(clusters - 1)),
        clusters,
        options.inference.confidence,
        options.inference.alternative,
    )
    return inferred(described, values, spread, critical, options, simultaneous)


def _described(one: Named, value: float, units: int, clusters: int) -> Any:
    def made(**found: Any) -> Estimate:
        return Estimate(
            estimand=one.estimand, outcome=one.outcome, estimate=value, n=units, clusters=clusters,
            method=f"{one.method}, standard errors clustered over {clusters:,} clusters", arm=one.arm,
            versus=one.versus, population=one.population, **found,
        )  # fmt: skip

    return made


def designed(
    source: PanelSource, options: EffectOptions, estimates: Sequence[Estimate],
    support: Sequence[Support], assignment: str, learner: str, folds: int = 0, **found: Any,
) -> EffectsResult:  # fmt: skip
    """The result of a design.

    Parameters
    ----------
    source : PanelSource
    options : EffectOptions
    estimates : sequence of Estimate
    support : sequence of Support
    assignment : str
        What lets the effect be told, such as ``'instrument'``.
    learner : str
        How what is adjusted for was fitted.
    folds : int
        Of cross-fitting; 0 for none.
    **found
        Further parts of the result.
    """
    asked = tuple(dict.fromkeys(judged.estimand for judged in support))
    return EffectsResult(
        estimates=tuple(estimates),
        arms={},
        overlaps={},
        folds=folds,
        n=estimates[0].n,
        clusters=estimates[0].clusters,
        nuisance={},
        table=source.name,
        table_version=source.version,
        verdict=verdict(support, asked),
        support=tuple(support),
        asked=asked,
        learner=learner,
        design=Design(
            treatment=options.treatment,
            cluster=options.cluster,
            assignment=assignment,
            measured_in=dict(options.measured_in),
            labels=dict(options.labels),
        ),
        not_made=left_out(options, assignment),
        **found,
    )


def left_out(options: EffectOptions, design: str) -> dict[str, str]:
    """Looks and parts that are asked for and that a design does not have."""
    asked = {
        "heterogeneity": options.heterogeneity.enabled,
        "credibility": options.credibility.enabled,
        "groups": bool(options.groups),
        "policies": bool(options.policies),
        "graph": bool(options.graph),
        **dict.fromkeys(options.looks, True),
    }
    return {
        name: f"it is not made for the design {design}." for name, wanted in asked.items() if wanted
    }
