"""A stack of nuisances: convex weights by how well each predicts rows that it has not seen.

One more pass sums, by fold, products of the learners' out-of-fold errors. The weights for fold k
minimise the squared error over the other folds (for the propensity the Brier score of all arms),
with weights that are not negative and add up to one (van der Laan, Polley & Hubbard 2007). So
neither a fold's models nor its weights have seen its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.optimize import nnls

from truelift.effects.nuisances.fitted import Fitted, Nuisances, Predictions
from truelift.effects.nuisances.moments import Moments
from truelift.effects.panel.columns import PanelColumns, Scale
from truelift.effects.panel.design import Design
from truelift.effects.panel.source import PanelSource
from truelift.effects.panel.units import units_of
from truelift.inference.normal_equations import complements
from truelift.settings import EffectOptions

# Weight of the condition that the weights add up to one, beside errors of order one.
_STRICT = 1e4


@dataclass(frozen=True, eq=False)
class StackKernel:
    """Products of the learners' errors, summed by fold.

    ``outcome_errors`` is K x A x J x L x L over an arm's own rows, ``arm_errors`` K x L x L over
    all rows and arms, for L learners.
    """

    columns: PanelColumns
    design: Design
    outcomes: Scale
    learners: tuple[Nuisances, ...]
    folds: int

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> dict[str, np.ndarray]:
        """The state of one bucket."""
        fold, size = bucket % self.folds, len(self.learners)
        arms, outcomes = len(self.columns.arms.values), len(self.outcomes.names)
        state = {
            "outcome_errors": np.zeros((self.folds, arms, outcomes, size, size)),
            "arm_errors": np.zeros((self.folds, size, size)),
        }
        for batch in batches:
            units = units_of(batch, fold, self.columns, self.design, self.outcomes)
            arm, outcome, weight = units.arm, units.outcome, units.weight
            found = [learner.predict(units.features, fold) for learner in self.learners]
            indicators = arm == np.arange(arms)[:, None]
            errors = np.stack([indicators - f.propensity for f in found])
            weighted = errors if weight is None else errors * weight
            state["arm_errors"][fold] += np.einsum("lan,man->lm", weighted, errors)
            for a in range(arms):
                own = np.flatnonzero(arm == a)
                left = np.stack([outcome[:, own] - f.outcome_regression[a][:, own] for f in found])
                heavy = left if weight is None else left * weight[own]
                state["outcome_errors"][fold, a] += np.einsum("ljn,mjn->jlm", heavy, left)
        return state


@dataclass(frozen=True, eq=False)
class StackedNuisances:
    """Learners and their weights.

    Parameters
    ----------
    learners : tuple of Nuisances
        L of them.
    propensity_weights : ndarray, K x L
    outcome_weights : ndarray, K x A x J x L
    """

    learners: tuple[Nuisances, ...]
    propensity_weights: np.ndarray
    outcome_weights: np.ndarray
    name: str = "stacked"

    def predict(self, block: np.ndarray, fold: int) -> Predictions:
        """See :class:`~truelift.effects.nuisances.fitted.Nuisances`."""
        found = [learner.predict(block, fold) for learner in self.learners]
        propensity = sum(
            w * f.propensity for w, f in zip(self.propensity_weights[fold], found, strict=True)
        )
        weights = np.moveaxis(self.outcome_weights[fold], -1, 0)[..., None]
        outcome = sum(w * f.outcome_regression for w, f in zip(weights, found, strict=True))
        return Predictions(np.asarray(propensity), np.asarray(outcome))


def fit_stack(
    source: PanelSource, moments: Moments, options: EffectOptions, parts: tuple[Fitted, ...],
    progress: Callable[[str], None], name: str = "stacked", shrink: float = 0.0,
) -> Fitted:  # fmt: skip
    """Weights for learners that are fitted already.

    Parameters
    ----------
    parts : tuple of Fitted
        Fitted with the same folds and design.
    name : str
        What the results call them.
    shrink : float
        How far the weights are drawn to equal ones; see :func:`simplex_weights`.
    """
    passes = sum(part.passes for part in parts) + 1
    progress(f"pass {passes}: weights of the learners")
    learners = tuple(part.nuisances for part in parts)
    columns = moments.columns
    kernel = StackKernel(
        columns, moments.design, moments.outcomes, learners, options.nuisances.folds
    )
    state = source.sum(kernel, columns.of_moments(), columns.batch_rows())
    by_arm = complements(state["arm_errors"])
    by_outcome = complements(state["outcome_errors"])
    outcome = np.array(
        [[[simplex_weights(e, shrink) for e in arm] for arm in fold] for fold in by_outcome]
    )
    propensity = np.array([simplex_weights(errors, shrink) for errors in by_arm])
    quality = {name: value for part in parts for name, value in part.quality.items()}
    for place, learner in enumerate(learners):
        quality[f"stack_propensity_{learner.name}"] = float(propensity[:, place].mean())
        quality[f"stack_outcome_{learner.name}"] = float(outcome[..., place].mean())
    return Fitted(
        StackedNuisances(learners, propensity, outcome, name),
        all(part.converged for part in parts),
        quality,
        passes,
    )


def simplex_weights(errors: np.ndarray, shrink: float = 0.0) -> np.ndarray:
    """Weights w, not negative and adding up to one, that minimise ``w' errors w``.

    Parameters
    ----------
    errors : ndarray, L x L
        Sums of products of the learners' errors; equal weights where it is zero.
    shrink : float
        Share of the mean squared error that is added to each learner's own: a ridge that draws the
        weights to equal ones. Where learners err alike, weights that are estimated from few rows
        vary more than they gain (the forecast combination puzzle, Smith & Wallis 2009, Oxford
        Bulletin of Economics and Statistics 71); where one is clearly better it hardly matters.
    """
    size = len(errors)
    scale = float(np.trace(errors)) / size
    if scale <= 0:
        return np.full(size, 1.0 / size)
    values, vectors = np.linalg.eigh(errors / scale + shrink * np.eye(size))
    root = np.sqrt(np.clip(values, 0.0, None))[:, None] * vectors.T
    matrix = np.vstack([root, np.full((1, size), _STRICT)])
    found, _ = nnls(matrix, np.concatenate([np.zeros(size), [_STRICT]]))
    return found / found.sum()
