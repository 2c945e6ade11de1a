"""What the fitting of linear models adds to an estimate's variance, to second order."""

from __future__ import annotations

import numpy as np


def fitting_variance(
    covariance: np.ndarray,
    ridge: float,
    units: float,
    design_effect: float,
    folds: int,
    models: int,
) -> float:
    """Share of the sandwich's variance to add for cross-fitted linear models.

    Influence functions leave it out, for it vanishes faster than the rest. A group's outcome
    model with k coefficients enters a score multiplied by ``1[D = a] / e_a - 1``, which has mean zero
    and sums to about ``sqrt(n)``; the propensity's error enters multiplied by the residuals. With n
    independent units, K folds and even groups either adds ``k K / (K - 1) / n`` of the variance. Where
    clusters share their group, the sums of ``1[D = a] - e_a`` by cluster vary more than its units would
    alone, and n is divided by that design effect. Ridge counts as fewer coefficients.

    Parameters
    ----------
    covariance : ndarray, p x p
        Of the models' features.
    ridge : float
        Penalty a unit, of standardised features.
    units, design_effect : float
        n, and what it is divided by, at least 1.
    folds : int
        K.
    models : int
        Fitted ones: 2 where the propensity is fitted as well as the outcomes.
    """
    share = folds / (folds - 1)
    independent = units / max(design_effect, 1.0)
    return models * (1.0 + _coefficients(covariance, ridge)) * share / independent


def _coefficients(covariance: np.ndarray, ridge: float) -> float:
    """``tr(C (C + ridge)^-1)`` with the features' correlation matrix C."""
    p = len(covariance)
    deviation = np.sqrt(np.diag(covariance))
    values = np.linalg.eigvalsh(covariance / np.outer(deviation, deviation))
    values = np.clip(values, 0.0, None)
    return float(np.sum(values / (values + ridge))) if ridge > 0 else float(p)
