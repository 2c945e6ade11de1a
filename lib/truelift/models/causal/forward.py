"""The networks' predictions in NumPy, so that a Spark task needs no TensorFlow.

All K models of the folds lie in arrays with a leading fold axis. A model is

- a representation ``phi(x)``: dense layers with ELU, the first on the p features;
- for every arm a head on ``phi(x)``: dense layers with ELU, a linear output of J values, plus a
  linear term of the features themselves, so that a linear world is inside the model;
- the propensity: a softmax over a linear map of ``phi(x)`` (dragonnet) or of layers of its own
  (tarnet), plus a linear term of the features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import softmax

from truelift.models.causal.options import NeuralOptions

Weights = Mapping[str, np.ndarray]


def weight_shapes(
    options: NeuralOptions, folds: int, features: int, arms: int, outcomes: int
) -> dict[str, tuple[int, ...]]:
    """Shapes of all weights by name; every one begins with the fold axis.

    Parameters
    ----------
    options : NeuralOptions
    folds, features, arms, outcomes : int
        K, p, A, J.
    """
    shapes: dict[str, tuple[int, ...]] = {}

    def dense(name: str, before: int, after: int, *axes: int) -> None:
        shapes[f"{name}.kernel"] = (folds, *axes, before, after)
        shapes[f"{name}.bias"] = (folds, *axes, 1, after)

    towers = ("shared",) if options.kind == "dragonnet" else ("shared", "assignment")
    for tower in towers:
        for i, (before, after) in enumerate(_pairs((features, *options.shared))):
            dense(f"{tower}_{i}", before, after)
    for i, (before, after) in enumerate(_pairs((options.shared[-1], *options.head))):
        dense(f"head_{i}", before, after, arms)
    dense("outcome", (*options.shared[-1:], *options.head)[-1], outcomes, arms)
    dense("propensity", options.shared[-1], arms)
    shapes["outcome.linear"] = (folds, arms, features, outcomes)
    shapes["propensity.linear"] = (folds, features, arms)
    if options.targeted > 0:
        shapes["targeted.epsilon"] = (folds, arms, 1, outcomes)
    return shapes


def _pairs(widths: tuple[int, ...]) -> list[tuple[int, int]]:
    return list(pairwise(widths))


@dataclass(frozen=True, eq=False)
class CausalNetworks:
    """Cross-fitted networks; the weights of index k have not seen fold k.

    Parameters
    ----------
    options : NeuralOptions
    weights : mapping of str to ndarray
        See :func:`weight_shapes`.
    """

    options: NeuralOptions
    weights: Weights

    def chances_and_outcomes(self, x: np.ndarray, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """Chances of the arms (n, A) and outcomes under them (A, n, J), from features (p, n)."""
        own, x = self._own(fold), x.T
        shared = _tower(x, own, "shared", len(self.options.shared))
        outcome = self._outcome(x, shared, own)
        return softmax(self._log_odds(x, shared, own), axis=1), outcome

    def log_odds(self, x: np.ndarray, fold: int) -> np.ndarray:
        """The arms' log odds (n, A) up to a constant of each unit, from features (p, n)."""
        own = self._own(fold)
        return self._log_odds(x.T, _tower(x.T, own, "shared", len(self.options.shared)), own)

    def regression(self, x: np.ndarray, fold: int, arm: int, outcome: int) -> np.ndarray:
        """One outcome (n) of :meth:`chances_and_outcomes`, from features (p, n)."""
        own = self._own(fold)
        shared = _tower(x.T, own, "shared", len(self.options.shared))
        return self._outcome(x.T, shared, own)[arm, :, outcome]

    def _own(self, fold: int) -> Weights:
        return {name: values[fold].astype(np.float64) for name, values in self.weights.items()}

    def _log_odds(self, x: np.ndarray, shared: np.ndarray, own: Weights) -> np.ndarray:
        tower = shared
        if self.options.kind == "tarnet":
            tower = _tower(x, own, "assignment", len(self.options.shared))
        odds = tower @ own["propensity.kernel"] + own["propensity.bias"]
        return np.asarray(odds + x @ own["propensity.linear"])

    def _outcome(self, x: np.ndarray, shared: np.ndarray, own: Weights) -> np.ndarray:
        hidden = np.broadcast_to(shared, (len(own["outcome.kernel"]), *shared.shape))
        hidden = _tower(hidden, own, "head", len(self.options.head))
        return np.asarray(
            hidden @ own["outcome.kernel"] + own["outcome.bias"] + x @ own["outcome.linear"]
        )


def _tower(x: np.ndarray, weights: Weights, name: str, layers: int) -> np.ndarray:
    for i in range(layers):
        x = x @ weights[f"{name}_{i}.kernel"] + weights[f"{name}_{i}.bias"]
        x = np.where(x > 0, x, np.expm1(np.minimum(x, 0.0)))
    return x
