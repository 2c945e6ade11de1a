"""The linear learner: ridge regressions from Gram matrices, a logistic propensity by Newton steps."""

from __future__ import annotations

import numpy as np

from truelift.effects.nuisances.fitted import Fitted, LinearNuisances
from truelift.effects.nuisances.moments import Moments
from truelift.effects.nuisances.propensity import NewtonKernel, PropensityFit, propensity_penalty
from truelift.effects.panel.source import PanelSource, State
from truelift.inference.fitting_variance import fitting_variance
from truelift.inference.normal_equations import (
    centred,
    complements,
    ridge_coefficients,
    ridge_per_unit,
)
from truelift.progress import Tell
from truelift.settings import EffectOptions


def fit_linear(
    source: PanelSource, moments: Moments, options: EffectOptions, progress: Tell
) -> Fitted:
    """Outcome regressions from the first pass; Newton steps while the propensity asks for them."""
    propensity, passes = _fit_propensity(source, moments, options, progress)
    quality = {
        "propensity_newton_steps": float(propensity.steps),
        "propensity_remaining": min(propensity.remaining, 1e6),
    }
    nuisances = LinearNuisances(
        propensity.coefficients, _outcome_regression(moments, options.nuisances.ridge)
    )
    return Fitted(nuisances, propensity.remaining <= options.nuisances.tolerance, quality, passes)


def _fit_propensity(
    source: PanelSource, moments: Moments, options: EffectOptions, progress: Tell
) -> tuple[PropensityFit, int]:
    ridge = ridge_per_unit(
        options.nuisances.ridge, len(moments.design), moments.units_without.sum(axis=1)
    )
    penalty = propensity_penalty(ridge, moments.variances)
    fit = PropensityFit.start(moments.start, options.nuisances.folds)
    if moments.columns.propensity:  # known: nothing is fitted
        known = PropensityFit(fit.coefficients, 0.0, 0, fit.accepted, fit.objective)
        return known, 1
    fit = fit.step(moments.loss, moments.ascent, moments.hessian, moments.rows, penalty)
    passes = 1
    unfinished = fit.remaining > options.nuisances.tolerance or not moments.exact_start
    while unfinished and fit.steps < options.nuisances.max_newton_steps:
        passes += 1
        progress(f"pass {passes}: a further Newton step")
        state = source.sum(
            NewtonKernel(moments.columns, moments.design, fit.coefficients),
            moments.columns.of_propensity(),
            moments.columns.batch_rows(),
        )
        fit = fit.step(state["loss"], state["ascent"], state["hessian"], state["rows"], penalty)
        unfinished = fit.remaining > options.nuisances.tolerance
    return fit, passes


def _outcome_regression(moments: Moments, chosen: float | None) -> np.ndarray:
    p = len(moments.design)
    without = complements(moments.gram)
    ridge = ridge_per_unit(chosen, p, moments.units_without)
    variances = moments.variances
    return np.array(
        [
            [
                ridge_coefficients(gram, p, variances, penalty)
                for gram, penalty in zip(grams, penalties, strict=True)
            ]
            for grams, penalties in zip(without, ridge, strict=True)
        ]
    )


def variance_of_fitting(sums: State, moments: Moments, options: EffectOptions) -> float:
    """Share of the variance to add for the fitting (:func:`~truelift.inference.fitting_variance.fitting_variance`).

    Parameters
    ----------
    sums : State
        Of the scores pass, with ``surprise_squares`` and ``surprise_by_cluster``.
    moments : Moments
    options : EffectOptions
        ``learner``, ``ridge``, ``folds``.

    Returns
    -------
    float
        0 for other learners than the linear one, whose number of coefficients nobody knows.
    """
    alone, together = float(sums["surprise_squares"][0]), float(sums["surprise_by_cluster"][0])
    if options.nuisances.learner.name != "linear" or alone <= 0:
        return 0.0
    n, p = float(moments.units.sum()), len(moments.design)
    trained_on = np.array(n / (options.nuisances.folds / (options.nuisances.folds - 1)))
    ridge = float(ridge_per_unit(options.nuisances.ridge, p, trained_on))
    _, covariance = centred(moments.gram.sum(axis=(0, 1)))
    models = 1 if moments.columns.propensity else 2
    return fitting_variance(
        covariance[:p, :p], ridge, n, together / alone, options.nuisances.folds, models
    )
