"""Cross-fitted logistic propensity by Newton steps on sums over the data.

The model of fold k minimises, over all rows outside fold k,

    mean(log(1 + exp(f)) - treated * f) + ridge / 2 * sum(variance * slope^2),   f = a + x'b.

One pass over the data gives gradient and Hessian of every fold's complement, hence one Newton
step for all of them. How much a further step could still gain is predicted from the last step,
so a pass is only spent where it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from scipy.special import expit

from truelift.effects.columns import PanelColumns, Scale, design, number_column
from truelift.effects.normal_equations import solve_symmetric

_MAX_START_STEPS = 50


def loss_sums(
    block: np.ndarray, treated: np.ndarray, coefficients: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Log loss, minus its gradient, and its Hessian, summed over rows.

    Parameters
    ----------
    block : ndarray, (1 + p) x n
        Intercept and covariates.
    treated : ndarray, n
    coefficients : ndarray, 1 + p
    """
    index = coefficients @ block
    probability = expit(index)
    loss = float(np.sum(np.logaddexp(0.0, index) - treated * index))
    ascent = block @ (treated - probability)
    half = block * np.sqrt(probability * (1.0 - probability))
    return loss, ascent, half @ half.T


@dataclass(frozen=True, eq=False)
class NewtonKernel:
    """Sums for a further Newton step: every row counts for each fold but its own."""

    columns: PanelColumns
    scale: Scale
    coefficients: np.ndarray

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> dict[str, np.ndarray]:
        """Loss, ascent direction, Hessian and rows of each fold's complement."""
        folds, width = self.coefficients.shape
        state = {
            "loss": np.zeros(folds),
            "ascent": np.zeros((folds, width)),
            "hessian": np.zeros((folds, width, width)),
            "rows": np.zeros(folds),
        }
        for batch in batches:
            block = design(batch, self.scale)
            treated = number_column(batch, self.columns.treatment)
            for fold in range(folds):
                if fold == bucket % folds:
                    continue
                loss, ascent, hessian = loss_sums(block, treated, self.coefficients[fold])
                state["loss"][fold] += loss
                state["ascent"][fold] += ascent
                state["hessian"][fold] += hessian
                state["rows"][fold] += batch.num_rows
        return state


@dataclass(frozen=True, eq=False)
class PropensityFit:
    """Coefficients of every fold's model, and how far they are from their optimum.

    Parameters
    ----------
    coefficients : ndarray, K x (1 + p)
        In the scale of the kernels.
    remaining : float
        Largest log loss per row that a further step is predicted to gain, over folds.
    steps : int
        Newton steps taken.
    accepted, objective :
        The last point at which the objective was measured, and its value: a step that made it
        worse is halved.
    """

    coefficients: np.ndarray
    remaining: float
    steps: int
    accepted: np.ndarray
    objective: np.ndarray

    @staticmethod
    def start(coefficients: np.ndarray, folds: int) -> PropensityFit:
        """The same start for all folds."""
        point = np.tile(coefficients, (folds, 1))
        return PropensityFit(point, np.inf, 0, point, np.full(folds, np.inf))

    def step(
        self,
        loss: np.ndarray,
        ascent: np.ndarray,
        hessian: np.ndarray,
        rows: np.ndarray,
        penalty: np.ndarray,
    ) -> PropensityFit:
        """One damped Newton step for every fold, from sums at ``coefficients``.

        Parameters
        ----------
        loss, rows : ndarray, K
        ascent : ndarray, K x (1 + p)
        hessian : ndarray, K x (1 + p) x (1 + p)
            Sums over each fold's complement.
        penalty : ndarray, 1 + p
            Penalty on squared coefficients, zero for the intercept.
        """
        point, accepted = self.coefficients.copy(), self.accepted.copy()
        objective, remaining = self.objective.copy(), 0.0
        for k in range(len(point)):
            if rows[k] <= 0:
                continue
            here = self.coefficients[k]
            value = loss[k] / rows[k] + 0.5 * penalty @ here**2
            if value > objective[k] + 1e-12 * abs(objective[k]):
                point[k] = 0.5 * (accepted[k] + here)
                remaining = np.inf
                continue
            direction, gain, weight = _newton(
                ascent[k] / rows[k] - penalty * here, hessian[k] / rows[k], penalty
            )
            accepted[k], objective[k], point[k] = here, value, here + direction
            remaining = max(remaining, predicted_gain(gain, weight))
        return replace(
            self,
            coefficients=point,
            remaining=float(remaining),
            steps=self.steps + 1,
            accepted=accepted,
            objective=objective,
        )


def predicted_gain(decrement: float, weight: float) -> float:
    """Log loss a row that is left after a full Newton step whose decrement is known.

    Newton's remainder for the logistic loss is of second order in the step: with ``decrement``
    the squared step in the Hessian's norm (per row) and ``weight`` the mean of ``e (1 - e)``,
    the next decrement is at most about ``decrement^2 / weight``.
    """
    return decrement * decrement / max(weight, 1e-12)


def _newton(
    ascent: np.ndarray, hessian: np.ndarray, penalty: np.ndarray
) -> tuple[np.ndarray, float, float]:
    direction = solve_symmetric(hessian + np.diag(penalty), ascent)
    return direction, float(max(ascent @ direction, 0.0)), float(hessian[0, 0])


def fit_start(
    block: np.ndarray, treated: np.ndarray, penalty: np.ndarray, usable: np.ndarray
) -> np.ndarray:
    """Logistic coefficients on the start rows, by Newton with step halving.

    Parameters
    ----------
    block : ndarray, (1 + p) x n
    treated : ndarray, n
    penalty : ndarray, 1 + p
    usable : ndarray of bool, 1 + p
        Columns that may have a coefficient; the others stay at zero.
    """
    coefficients = np.zeros(len(block))
    n, ones = len(treated), float(treated.sum())
    coefficients[0] = np.log((ones + 0.5) / (n - ones + 0.5))
    if n == 0 or ones in (0.0, float(n)):
        return coefficients
    block, penalty = block[usable], penalty[usable]
    current = coefficients[usable]

    def objective(at: np.ndarray) -> float:
        index = at @ block
        return float(np.mean(np.logaddexp(0.0, index) - treated * index) + 0.5 * penalty @ at**2)

    value = objective(current)
    for _ in range(_MAX_START_STEPS):
        _, ascent, hessian = loss_sums(block, treated, current)
        direction, gain, _ = _newton(ascent / n - penalty * current, hessian / n, penalty)
        size, proposed = 1.0, objective(current + direction)
        while proposed > value and size > 1e-6:
            size *= 0.5
            proposed = objective(current + size * direction)
        if proposed > value:
            break
        current, value = current + size * direction, proposed
        if gain < 1e-10:
            break
    coefficients[usable] = current
    return coefficients
