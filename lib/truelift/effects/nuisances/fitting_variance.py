"""What the fitting of linear nuisances adds to an estimate's variance, to second order."""

from __future__ import annotations

import numpy as np

from truelift.effects.nuisances.moments import Moments
from truelift.effects.panel.source import State
from truelift.inference.normal_equations import centred, ridge_per_unit
from truelift.settings import EffectOptions


def fitting_variance(sums: State, moments: Moments, options: EffectOptions) -> float:
    """Share of the sandwich's variance to add for cross-fitted linear models.

    Influence functions leave it out, for it vanishes faster than the rest. An arm's outcome
    model with k coefficients enters a score multiplied by ``1[D = a] / e_a - 1``, which has mean zero
    and sums to about ``sqrt(n)``; the propensity's error enters multiplied by the residuals. With n
    independent units, K folds and even arms either adds ``k K / (K - 1) / n`` of the variance. Where
    clusters share their arm, the sums of ``1[D = a] - e_a`` by cluster vary more than its units would
    alone, and n is divided by that design effect. Ridge counts as fewer coefficients.

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
    if options.learner != "linear" or alone <= 0:
        return 0.0
    n = float(moments.units.sum())
    independent = n / max(together / alone, 1.0)
    p, share = len(moments.design), options.folds / (options.folds - 1)
    ridge = float(ridge_per_unit(options.ridge, p, np.array(n / share)))
    models = 1 if moments.columns.propensity else 2
    return models * (1.0 + _coefficients(moments, ridge)) * share / independent


def _coefficients(moments: Moments, ridge: float) -> float:
    """``tr(C (C + ridge)^-1)`` with the features' correlation matrix C."""
    p = len(moments.design)
    _, covariance = centred(moments.gram.sum(axis=(0, 1)))
    deviation = np.sqrt(np.diag(covariance)[:p])
    values = np.linalg.eigvalsh(covariance[:p, :p] / np.outer(deviation, deviation))
    values = np.clip(values, 0.0, None)
    return float(np.sum(values / (values + ridge))) if ridge > 0 else float(p)
