"""How far a linear CATE model is shrunken: by its error on folds that it was not fitted on.

Scores of the doubly robust kind are noisy, the more so where propensities are small, and least
squares on p covariates then forecasts mostly noise. Fold-wise Gram matrices hold all that
cross-validation asks for, so choosing a penalty costs no look at the data.
"""

from __future__ import annotations

import numpy as np

from truelift.inference.normal_equations import centred

#: Penalties on squared standardised coefficients that are tried, the largest first.
PENALTIES = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0)
# Where one fold is all there is to be fitted on: prior and data count alike.
_UNTESTED = 1.0
_RANK = 1e-11


def chosen_penalty(gram: np.ndarray, variances: np.ndarray) -> float:
    """The penalty with the least squared error over folds left out in turn.

    Parameters
    ----------
    gram : ndarray, T x (2 + p) x (2 + p)
        Of (1, x, score), of the folds that a model is fitted on; those without rows count for
        nothing.
    variances : ndarray, p
        That coefficients are standardised by; see
        :func:`~truelift.inference.normal_equations.ridge_coefficients`.

    Returns
    -------
    float
        One of :data:`PENALTIES`; of two that do equally well the larger.
    """
    filled = gram[gram[:, 0, 0] > 0]
    if len(filled) < 2:
        return _UNTESTED
    total = filled.sum(axis=0)
    errors = sum(_errors(total - left_out, left_out, variances) for left_out in filled)
    return PENALTIES[int(np.argmin(errors))]


def _errors(training: np.ndarray, left_out: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Sums of squared errors on a fold left out, by penalty."""
    p = len(variances)
    means, covariance = centred(training)
    spread = np.sqrt(variances)
    varies = spread > 0
    safe = np.where(varies, spread, 1.0)
    standard = np.where(np.outer(varies, varies), covariance[:p, :p] / np.outer(safe, safe), 0.0)
    values, vectors = np.linalg.eigh(standard)
    values = np.clip(values, 0.0, None)
    rotated = vectors.T @ np.where(varies, covariance[:p, p] / safe, 0.0)
    kept = values > _RANK * values.max(initial=0.0)
    found = np.zeros(len(PENALTIES))
    for place, penalty in enumerate(PENALTIES):
        inverse = np.where(kept, 1.0 / np.where(kept, values + penalty, 1.0), 0.0)
        slopes = vectors @ (rotated * inverse) / safe
        error = np.concatenate([[means[p] - means[:p] @ slopes], slopes, [-1.0]])
        found[place] = error @ left_out @ error
    return found
