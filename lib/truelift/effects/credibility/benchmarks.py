"""Nuisances without a covariate: how strong a confounder it would be, had it been left out.

The outcome models without it come from the Gram matrices that are there. The propensity without
it starts where the quadratic approximation at the full model has its optimum,
``b_S + H_SS^-1 H_SC b_C`` for the coefficients S that stay and C that go, and is refined by Newton
steps; all benchmarks share a pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.effects.credibility.blocks import ShortNuisances
from truelift.effects.look import Pass, Passes
from truelift.effects.nuisances.fitted import LinearNuisances
from truelift.effects.nuisances.moments import Moments
from truelift.effects.nuisances.propensity import (
    PropensityFit,
    arm_probabilities,
    loss_sums,
    propensity_penalty,
)
from truelift.effects.panel.columns import PanelColumns
from truelift.effects.panel.design import Design
from truelift.effects.panel.source import State
from truelift.effects.panel.units import units_of
from truelift.effects.scores.quantities import clipped
from truelift.errors import ConfigError
from truelift.inference.normal_equations import (
    complements,
    ridge_coefficients,
    ridge_per_unit,
    solve_symmetric,
)
from truelift.settings import EffectOptions

_MOST_PASSES = 3


@dataclass(frozen=True, eq=False)
class ShortModel:
    """Linear nuisances on some of the features.

    Parameters
    ----------
    covariate : str
        The one that is left out.
    kept : ndarray of int, 1 + q
        Lines of the design's block that stay, the intercept first.
    propensity : ndarray, K x (A - 1) x (1 + q), optional
        None where the propensity is known.
    outcome_regression : ndarray, K x A x J x (1 + q)
    """

    covariate: str
    kept: np.ndarray
    propensity: np.ndarray | None
    outcome_regression: np.ndarray

    def predict(
        self, block: np.ndarray, fold: int, known: np.ndarray, clip: float
    ) -> ShortNuisances:
        """Out-of-fold predictions for a block (1 + p) x n; ``known`` is the full propensity."""
        short = block[self.kept]
        propensity = known
        if self.propensity is not None:
            propensity = arm_probabilities(self.propensity[fold], short)
        return ShortNuisances(clipped(propensity, clip), self.outcome_regression[fold] @ short)


def features_of(covariate: str, names: tuple[str, ...]) -> np.ndarray:
    """Places of the features that are made of a covariate, by their names in the design."""
    parts = (f"{covariate} is missing", f"{covariate}^2")
    starts = (f"{covariate}=", f"{covariate}#", f"{covariate}: ", f"{covariate} x ")
    return np.array(
        [
            j
            for j, name in enumerate(names)
            if name == covariate
            or name in parts
            or name.startswith(starts)
            or name.endswith(f" x {covariate}")
        ],
        dtype=int,
    )


def short_models(
    moments: Moments,
    nuisances: object,
    options: EffectOptions,
) -> Passes[tuple[ShortModel, ...]]:
    """One model a covariate of ``options.benchmark_covariates``.

    Parameters
    ----------
    moments : Moments
    nuisances : LinearNuisances
        Those with all features.
    options : EffectOptions

    Raises
    ------
    ConfigError
        If the nuisances are not linear, or a covariate has no feature.
    """
    if not options.credibility.benchmark_covariates:
        return ()
    if not isinstance(nuisances, LinearNuisances):
        raise ConfigError(
            "effects.credibility.benchmark_covariates: benchmarks are made of the linear learner's sums; found "
            f"learner {options.nuisances.learner.name!r}. Leave the key out, or set effects.nuisances.learner=linear."
        )
    kept = [_kept(name, moments) for name in options.credibility.benchmark_covariates]
    fits: list[PropensityFit | None] = [None] * len(kept)
    if not moments.columns.propensity:
        fits = list((yield from _fit(moments, nuisances, kept, options)))
    without = complements(moments.gram)
    p, variances = len(moments.design), moments.variances
    models = []
    for name, lines, fit in zip(options.credibility.benchmark_covariates, kept, fits, strict=True):
        wide = np.concatenate([lines, np.arange(1 + p, without.shape[-1])])
        short = len(lines) - 1
        ridge = ridge_per_unit(options.nuisances.ridge, short, moments.units_without)
        regression = np.array(
            [
                [
                    ridge_coefficients(
                        gram[np.ix_(wide, wide)], short, variances[lines[1:] - 1], penalty
                    )
                    for gram, penalty in zip(grams, penalties, strict=True)
                ]
                for grams, penalties in zip(without, ridge, strict=True)
            ]
        )
        models.append(
            ShortModel(name, lines, None if fit is None else fit.coefficients, regression)
        )
    return tuple(models)


def _kept(covariate: str, moments: Moments) -> np.ndarray:
    names = moments.design.names
    gone = features_of(covariate, names)
    if not len(gone):
        raise ConfigError(
            f"effects.credibility.benchmark_covariates: found {covariate!r}, of which no feature is in the "
            f"models; expected some of {', '.join(names)}."
        )
    return np.setdiff1d(np.arange(1 + len(names)), 1 + gone)


def _fit(
    moments: Moments, full: LinearNuisances, kept: list[np.ndarray], options: EffectOptions
) -> Passes[list[PropensityFit]]:
    variances, units = moments.variances, moments.units_without.sum(axis=1)
    penalties = [
        propensity_penalty(
            ridge_per_unit(options.nuisances.ridge, len(lines) - 1, units), variances[lines[1:] - 1]
        )
        for lines in kept
    ]
    fits = [_start(moments, full.propensity, lines) for lines in kept]
    for _ in range(_MOST_PASSES):
        kernel = ShortNewtonKernel(
            moments.columns, moments.design, tuple(kept), tuple(f.coefficients for f in fits)
        )
        state = yield Pass(kernel)
        fits = [
            fit.step(
                state[f"{b}_loss"], state[f"{b}_ascent"], state[f"{b}_hessian"], state["rows"],
                penalty,
            )
            for b, (fit, penalty) in enumerate(zip(fits, penalties, strict=True))
        ]  # fmt: skip
        # A benchmark is a yardstick: a thousandth of what separates models is fine enough.
        if max(fit.remaining for fit in fits) <= max(options.nuisances.tolerance, 1e-6):
            break
    return fits


def _start(moments: Moments, full: np.ndarray, lines: np.ndarray) -> PropensityFit:
    folds, others, width = full.shape
    gone = np.setdiff1d(np.arange(width), lines)
    steps = np.arange(others)[:, None] * width
    stay, go = (steps + lines).ravel(), (steps + gone).ravel()
    point = np.empty((folds, others, len(lines)))
    for k in range(folds):
        hessian, flat = moments.hessian[k], full[k].ravel()
        shift = solve_symmetric(hessian[np.ix_(stay, stay)], hessian[np.ix_(stay, go)] @ flat[go])
        point[k] = (flat[stay] + shift).reshape(others, len(lines))
    return PropensityFit(point, np.inf, 0, point, np.full(folds, np.inf))


@dataclass(frozen=True, eq=False)
class ShortNewtonKernel:
    """Sums for a Newton step of several propensity models, each on its own features."""

    columns: PanelColumns
    design: Design
    kept: tuple[np.ndarray, ...]
    coefficients: tuple[np.ndarray, ...]

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        """Loss, ascent direction and Hessian of each fold's complement, by model."""
        folds = len(self.coefficients[0])
        state: State = {"rows": np.zeros(folds)}
        for b, coefficients in enumerate(self.coefficients):
            size = coefficients[0].size
            state[f"{b}_loss"] = np.zeros(folds)
            state[f"{b}_ascent"] = np.zeros((folds, size))
            state[f"{b}_hessian"] = np.zeros((folds, size, size))
        others = [fold for fold in range(folds) if fold != bucket % folds]
        for batch in batches:
            units = units_of(batch, bucket % folds, self.columns, self.design)
            state["rows"][others] += units.size
            for b, (lines, coefficients) in enumerate(
                zip(self.kept, self.coefficients, strict=True)
            ):
                short = units.features[lines]
                for fold in others:
                    loss, ascent, hessian = loss_sums(
                        short, units.arm, coefficients[fold], units.weight
                    )
                    state[f"{b}_loss"][fold] += loss
                    state[f"{b}_ascent"][fold] += ascent
                    state[f"{b}_hessian"][fold] += hessian
        return state
