"""What every nuisance learner gives: out-of-fold predictions for a block of units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from truelift.effects.nuisances.propensity import arm_probabilities
from truelift.effects.panel.columns import REST, number_column


@dataclass(frozen=True, eq=False)
class Predictions:
    """Of n units, by models that have not seen their fold.

    Parameters
    ----------
    propensity : ndarray, A x n
        Not clipped; every column sums to one.
    outcome_regression : ndarray, A x J x n
        In the scale of the kernels.
    """

    propensity: np.ndarray
    outcome_regression: np.ndarray


class Nuisances(Protocol):
    """Cross-fitted models of the propensity and of every arm's outcomes."""

    @property
    def name(self) -> str:
        """How they are fitted, in a word."""

    def predict(self, block: np.ndarray, fold: int) -> Predictions:
        """Predict with the models that were fitted without a fold.

        Parameters
        ----------
        block : ndarray, (1 + p) x n
            Intercept and features of the design.
        fold : int
        """


@dataclass(frozen=True, eq=False)
class Fitted:
    """Nuisances of a learner, how good they are, and the passes over the data that they took."""

    nuisances: Nuisances
    converged: bool
    quality: dict[str, float]
    passes: int


@dataclass(frozen=True, eq=False)
class LinearNuisances:
    """Multinomial logistic propensity and linear outcome regressions.

    Parameters
    ----------
    propensity : ndarray, K x (A - 1) x (1 + p)
    outcome_regression : ndarray, K x A x J x (1 + p)
        Row k of both was fitted without fold k.
    """

    propensity: np.ndarray
    outcome_regression: np.ndarray
    name: str = "linear"

    def predict(self, block: np.ndarray, fold: int) -> Predictions:
        """See :class:`Nuisances`."""
        return Predictions(
            arm_probabilities(self.propensity[fold], block), self.outcome_regression[fold] @ block
        )


@dataclass(frozen=True, eq=False)
class KnownPropensity:
    """Another learner's outcome regressions beside chances that are known.

    Parameters
    ----------
    parts : tuple of (str or float)
        By arm: a chance, the column that holds it, or :data:`~truelift.effects.panel.columns.REST`.
    """

    parts: tuple[str | float, ...]

    def of(self, batch: pa.RecordBatch) -> np.ndarray:
        """The arms' chances, A x n."""
        found = np.zeros((len(self.parts), batch.num_rows))
        for a, part in enumerate(self.parts):
            if isinstance(part, float):
                found[a] = part
            elif part != REST:
                found[a] = number_column(batch, part)
        for a, part in enumerate(self.parts):
            if part == REST:
                found[a] = 1.0 - found.sum(axis=0)
        return found
