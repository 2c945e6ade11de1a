"""The DR-learner: the effect as a function of covariates, by regressing the score on them.

Kennedy (2023), "Towards optimal doubly robust estimation of heterogeneous causal effects". With
one Gram matrix of (1, x, score) a fold, linear final stages come without a second look at the
data: the model for fold k from ``G - G_k`` (cross-fitting) or from the folds before k
(sequential validation; Wager 2024, "Sequential validation of treatment heterogeneity").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.effects.heterogeneity.blocks import ScoredBlock, State
from truelift.effects.heterogeneity.penalty import chosen_penalty
from truelift.effects.panel.training_folds import training_folds
from truelift.errors import DataError
from truelift.inference.normal_equations import centred, complements, ridge_coefficients

# Below this share of the scores' spread, differences between forecasts are rounding.
_SPREAD = 1e-9


@dataclass(frozen=True)
class GramPart:
    """Fold-wise Gram matrices of (1, x, score): ``gram`` (K x (2 + p) x (2 + p)).

    Parameters
    ----------
    covariates : int
        p.
    folds : int
        K.
    """

    covariates: int
    folds: int
    forecast: str | None = None

    def begin(self, fold: int) -> _GramTally:
        """A fresh tally."""
        return _GramTally(self.covariates, fold, self.folds)


class _GramTally:
    def __init__(self, covariates: int, fold: int, folds: int):
        self._gram = np.zeros((folds, covariates + 2, covariates + 2))
        self._fold = fold

    def add(self, block: ScoredBlock, cate: np.ndarray) -> None:  # noqa: ARG002
        z = np.concatenate([np.ones((1, len(block.score))), block.x, block.score[None]])
        weighted = z if block.weight is None else z * block.weight
        self._gram[self._fold] += weighted @ z.T

    def finish(self) -> State:
        return {"gram": self._gram}


@dataclass(frozen=True, eq=False)
class LinearCate:
    """A linear CATE model for each fold, fitted without that fold.

    Parameters
    ----------
    coefficients : ndarray, K x (1 + p)
        Intercept first.
    centre, spread : ndarray, K
        Mean and standard deviation of each model's forecasts over all units.
    first_fold : int
        Folds before it have no model.
    """

    coefficients: np.ndarray
    centre: np.ndarray
    spread: np.ndarray
    first_fold: int = 0

    def predict(self, x: np.ndarray, fold: int) -> np.ndarray:
        """CATE of units of ``fold`` (n) from ``x`` (p x n)."""
        slopes = self.coefficients[fold]
        return slopes[0] + slopes[1:] @ x

    def __repr__(self) -> str:
        folds, width = self.coefficients.shape
        return f"LinearCate({folds} folds, {width - 1} covariates)"


def fit_linear(
    gram: np.ndarray, ridge: float | None = 0.0, *, sequential: bool = False
) -> LinearCate:
    """Linear final stages of the DR-learner from fold-wise Gram matrices.

    Parameters
    ----------
    gram : ndarray, K x (2 + p) x (2 + p)
        Of (1, x, score), from :class:`GramPart`.
    ridge : float, optional
        Penalty on standardised coefficients; see
        :func:`~truelift.inference.normal_equations.ridge_coefficients`. None: the one with the
        least error on folds left out among those that the model may see, fold by fold.
    sequential : bool
        Fit fold k's model on the folds before it, so that the forecasts of one fold do not
        depend on the scores of later ones. Tests that add up folds are then valid where no
        effect varies; with complements they are not, for the models share data. Fold 0 has no
        model.

    Raises
    ------
    DataError
        If a fold's model has no rows to be fitted on.
    """
    p = gram.shape[1] - 2
    training = np.cumsum(gram, axis=0) - gram if sequential else complements(gram)
    first = 1 if sequential else 0
    if len(gram) < 2 or np.any(training[first:, 0, 0] <= 0):
        raise DataError(
            f"The CATE models of {len(gram)} folds need rows in at least two folds; rows by fold "
            f"are {', '.join(f'{n:,.0f}' for n in gram[:, 0, 0])}. Use fewer folds."
        )
    means, covariance = centred(gram.sum(axis=0))
    variances = np.diag(covariance)[:p]
    coefficients = np.zeros((len(gram), 1 + p))
    uses = training_folds(len(gram), sequential)
    for fold in range(first, len(gram)):
        penalty = chosen_penalty(gram[uses[fold]], variances) if ridge is None else ridge
        coefficients[fold] = ridge_coefficients(training[fold], p, variances, penalty)[0]
    slopes = coefficients[:, 1:]
    centre = coefficients[:, 0] + slopes @ means[:p]
    variance = np.einsum("kp,pq,kq->k", slopes, covariance[:p, :p], slopes)
    floor = _SPREAD * np.maximum(np.abs(centre), np.sqrt(max(covariance[p, p], 0.0)))
    spread = np.maximum(np.sqrt(np.clip(variance, 0.0, None)), floor)
    return LinearCate(coefficients, centre, spread, first)
