"""Predictions of the reward by context and dose: a ridge regression, fitted without the users asked about."""

from __future__ import annotations

import numpy as np

from truelift.inference.normal_equations import solve_symmetric

_RIDGE = 1e-6


def features_of(context: np.ndarray, dose: np.ndarray) -> np.ndarray:
    """Context, 0 where it is missing, the dose, its square, and the dose times the context (n x 3 + 2 c)."""
    context = np.where(np.isfinite(context), context, 0.0)
    columns = [np.ones(len(dose)), dose, dose**2, *context.T, *(context * dose[:, None]).T]
    return np.column_stack(columns)


def model_sums(features: np.ndarray, rewards: np.ndarray) -> dict[str, np.ndarray]:
    """Cross-products of the features, and with the rewards (n x R)."""
    return {"gram": features.T @ features, "right": features.T @ rewards}


def coefficients(gram: np.ndarray, right: np.ndarray) -> np.ndarray:
    """By fold, from the sums of all others (K x d x R)."""
    found = np.empty_like(right)
    for fold in range(len(gram)):
        matrix = gram.sum(axis=0) - gram[fold]
        penalty = np.diag(np.diag(matrix)) * _RIDGE
        found[fold] = solve_symmetric(matrix + penalty, right.sum(axis=0) - right[fold])
    return found
