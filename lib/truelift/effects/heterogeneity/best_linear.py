"""The best linear predictor of the CATE on chosen features.

Semenova & Chernozhukov (2021), "Debiased machine learning of conditional average treatment
effects and other causal functions": least squares of the score on features f = (1, x_chosen).
The coefficients come from the Gram matrix of the first pass. The sandwich needs, by cluster,
``s_c = sum of w f (score - f'b)``; a later pass adds ``s_c`` up with b known, which costs 1 + q
numbers a cluster in a task and (1 + q)^2 in the state. (Without b, the products of the cluster
sums of all ``f f'`` would be needed: the fourth power of q.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.effects.heterogeneity.blocks import ClusterProducts, ScoredBlock, State
from truelift.effects.heterogeneity.results import BestLinearPredictor
from truelift.effects.heterogeneity.wald import ClusteredInference
from truelift.inference.normal_equations import solve_symmetric


@dataclass(frozen=True, eq=False)
class LinearFit:
    """Least squares of the score on some covariates.

    Parameters
    ----------
    features : tuple of int
        Rows of x.
    coefficients : ndarray, 1 + q
    bread : ndarray, (1 + q) x (1 + q)
        Inverse of ``sum of w f f'``.
    """

    features: tuple[int, ...]
    coefficients: np.ndarray
    bread: np.ndarray

    def of(self, x: np.ndarray) -> np.ndarray:
        """Features f, (1 + q) x n, of covariates p x n."""
        return np.concatenate([np.ones((1, x.shape[1])), x[list(self.features)]])


def fit_best_linear(gram: np.ndarray, features: tuple[int, ...]) -> LinearFit:
    """Coefficients from the fold-wise Gram matrices (K x (2 + p) x (2 + p)) of (1, x, score)."""
    total = gram.sum(axis=0)
    index = [0, *(1 + f for f in features)]
    square = total[np.ix_(index, index)]
    bread = solve_symmetric(square, np.eye(len(index)))
    return LinearFit(features, solve_symmetric(square, total[index, -1]), bread)


@dataclass(frozen=True)
class BestLinearPart:
    """Sums over clusters of ``s_c s_c'``, by fold.

    Parameters
    ----------
    fit : LinearFit
    folds : int
    """

    fit: LinearFit
    folds: int
    forecast: str | None = None

    def begin(self, fold: int) -> _BestLinearTally:
        """A fresh tally."""
        return _BestLinearTally(self.fit, fold, self.folds)


class _BestLinearTally:
    def __init__(self, fit: LinearFit, fold: int, folds: int):
        self._fit = fit
        self._products = ClusterProducts(len(fit.coefficients), fold, folds)

    def add(self, block: ScoredBlock, cate: np.ndarray) -> None:  # noqa: ARG002
        features = self._fit.of(block.x)
        residual = block.weights * (block.score - self._fit.coefficients @ features)
        self._products.add(block.cluster, features * residual)

    def finish(self) -> State:
        return self._products.finish()


def best_linear(
    fit: LinearFit, state: State, names: tuple[str, ...], confidence: float
) -> BestLinearPredictor:
    """Coefficients with clustered sandwich errors, and the test that all slopes are zero.

    Parameters
    ----------
    fit : LinearFit
    state : dict
        Of :class:`BestLinearPart`.
    names : tuple of str
        Of all covariates, in the order of x.
    confidence : float
    """
    inference = ClusteredInference(int(state["clusters"].sum()), confidence)
    meat = state["products"].sum(axis=0)
    covariance = inference.correction * fit.bread @ meat @ fit.bread
    labels = ("intercept", *(names[f] for f in fit.features))
    terms = tuple(
        inference.term(label, value, covariance[i, i])
        for i, (label, value) in enumerate(zip(labels, fit.coefficients, strict=True))
    )
    joint = inference.joint("all slopes are zero", fit.coefficients[1:], covariance[1:, 1:])
    return BestLinearPredictor(terms, covariance, joint, inference.clusters)
