"""The propensity: multinomial logistic regression a fold, by Newton steps whose sums add up.

One pass gives the gradient and Hessian of every fold's complement, hence one Newton step for all
of them. How much a further step could still gain is predicted from the last step, so a pass is
only spent where it is needed. With two arms this is the usual logistic regression.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from truelift.effects.panel.columns import PanelColumns
from truelift.effects.panel.design import Design
from truelift.effects.panel.units import units_of
from truelift.inference.normal_equations import solve_symmetric

_MAX_START_STEPS = 50


def arm_probabilities(coefficients: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Probability of each arm.

    Parameters
    ----------
    coefficients : ndarray, (A - 1) x (1 + p)
        Of the arms after the control.
    block : ndarray, (1 + p) x n

    Returns
    -------
    ndarray, A x n
    """
    return _probabilities(coefficients @ block)


def _probabilities(index: np.ndarray) -> np.ndarray:
    """Probability of each arm (A x n) from log odds against the control (A - 1 x n)."""
    if len(index) == 1:
        smaller = np.exp(-np.abs(index[0]))
        larger = 1.0 / (1.0 + smaller)
        smaller *= larger
        likely = index[0] >= 0
        return np.stack([np.where(likely, smaller, larger), np.where(likely, larger, smaller)])
    full = np.vstack([np.zeros(index.shape[1]), index])
    full -= full.max(axis=0)
    np.exp(full, out=full)
    full /= full.sum(axis=0)
    return full


def loss_sums(
    block: np.ndarray, arm: np.ndarray, coefficients: np.ndarray, weight: np.ndarray | None = None
) -> tuple[float, np.ndarray, np.ndarray]:
    """Log loss, minus its gradient, and its Hessian, summed over rows.

    Parameters
    ----------
    block : ndarray, (1 + p) x n
        Intercept and covariates.
    arm : ndarray of int, n
    coefficients : ndarray, (A - 1) x (1 + p)
    weight : ndarray, n, optional

    Returns
    -------
    loss : float
    ascent : ndarray, (A - 1)(1 + p)
    hessian : ndarray, (A - 1)(1 + p) x (A - 1)(1 + p)
    """
    others, width = coefficients.shape
    index = coefficients @ block
    loss = float(np.sum(log_losses(index, arm, weight)))
    probability = _probabilities(index)[1:]
    ascent = np.empty((others, width))
    hessian = np.empty((others, width, others, width))
    for a in range(others):
        left = (arm == a + 1) - probability[a]
        ascent[a] = block @ (left if weight is None else left * weight)
        spread = probability[a] * (1.0 - probability[a])
        half = block * np.sqrt(spread if weight is None else spread * weight)
        hessian[a, :, a] = half @ half.T
        for b in range(a):
            # The product of two probabilities is positive; the Hessian's part is minus it.
            joint = probability[a] * probability[b]
            half = block * np.sqrt(joint if weight is None else joint * weight)
            hessian[a, :, b] = hessian[b, :, a] = -(half @ half.T)
    size = others * width
    return loss, ascent.reshape(size), hessian.reshape(size, size)


def log_losses(index: np.ndarray, arm: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Minus the log probability of the arm that each row has.

    Parameters
    ----------
    index : ndarray, (A - 1) x n
        Log odds of the arms against the control.
    """
    if len(index) == 1:
        # As logaddexp(0, index), in functions that NumPy computes several numbers at a time.
        found = np.log1p(np.exp(-np.abs(index[0]))) + np.maximum(index[0], 0.0)
        found -= (arm == 1) * index[0]
    else:
        own = np.where(arm > 0, np.take_along_axis(index, np.maximum(arm - 1, 0)[None], 0)[0], 0.0)
        found = np.logaddexp(0.0, np.logaddexp.reduce(index, axis=0)) - own
    return found if weight is None else found * weight


@dataclass(frozen=True, eq=False)
class NewtonKernel:
    """Sums for a further Newton step: every row counts for each fold but its own."""

    columns: PanelColumns
    design: Design
    coefficients: np.ndarray

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> dict[str, np.ndarray]:
        """Loss, ascent direction, Hessian and weight of each fold's complement."""
        folds, others, width = self.coefficients.shape
        size = others * width
        state = {
            "loss": np.zeros(folds),
            "ascent": np.zeros((folds, size)),
            "hessian": np.zeros((folds, size, size)),
            "rows": np.zeros(folds),
        }
        for batch in batches:
            units = units_of(batch, bucket % folds, self.columns, self.design)
            for fold in range(folds):
                if fold == bucket % folds:
                    continue
                loss, ascent, hessian = loss_sums(
                    units.features, units.arm, self.coefficients[fold], units.weight
                )
                state["loss"][fold] += loss
                state["ascent"][fold] += ascent
                state["hessian"][fold] += hessian
                state["rows"][fold] += units.size
        return state


@dataclass(frozen=True, eq=False)
class PropensityFit:
    """Coefficients of every fold's model, and how far they are from their optimum.

    Parameters
    ----------
    coefficients : ndarray, K x (A - 1) x (1 + p)
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
        """The same start, (A - 1) x (1 + p), for all folds."""
        point = np.repeat(coefficients[None], folds, axis=0)
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
        ascent : ndarray, K x (A - 1)(1 + p)
        hessian : ndarray, K x (A - 1)(1 + p) x (A - 1)(1 + p)
            Sums over each fold's complement.
        penalty : ndarray, K x (1 + p)
            Each fold's penalty on squared coefficients of every arm, zero for the intercept.
        """
        point, accepted = self.coefficients.copy(), self.accepted.copy()
        objective, remaining = self.objective.copy(), 0.0
        _, others, width = point.shape
        for k in range(len(point)):
            if rows[k] <= 0:
                continue
            here, own = self.coefficients[k].ravel(), np.tile(penalty[k], others)
            value = loss[k] / rows[k] + 0.5 * own @ here**2
            if value > objective[k] + 1e-12 * abs(objective[k]):
                point[k] = 0.5 * (accepted[k] + self.coefficients[k])
                remaining = np.inf
                continue
            direction, gain = _newton(ascent[k] / rows[k] - own * here, hessian[k] / rows[k], own)
            weight = float(np.diag(hessian[k])[::width].min() / rows[k])
            accepted[k], objective[k] = self.coefficients[k], value
            point[k] = (here + direction).reshape(others, width)
            remaining = max(remaining, predicted_gain(gain, weight))
        return replace(
            self,
            coefficients=point,
            remaining=float(remaining),
            steps=self.steps + 1,
            accepted=accepted,
            objective=objective,
        )


def propensity_penalty(ridge: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Penalties for :meth:`PropensityFit.step`, K x (1 + p).

    Parameters
    ----------
    ridge : ndarray, K
        On squared standardised coefficients, by fold.
    variances : ndarray, p
    """
    return np.concatenate([np.zeros((len(ridge), 1)), np.outer(ridge, variances)], axis=1)


def predicted_gain(decrement: float, weight: float) -> float:
    """Log loss a row that is left after a full Newton step whose decrement is known.

    Newton's remainder for the logistic loss is of second order in the step: with ``decrement``
    the squared step in the Hessian's norm (per row) and ``weight`` the mean of ``e (1 - e)``,
    the next decrement is at most about ``decrement^2 / weight``. With several arms the smallest
    of these means stands for all.
    """
    return decrement * decrement / max(weight, 1e-12)


def _newton(
    ascent: np.ndarray, hessian: np.ndarray, penalty: np.ndarray
) -> tuple[np.ndarray, float]:
    direction = solve_symmetric(hessian + np.diag(penalty), ascent)
    return direction, float(max(ascent @ direction, 0.0))


def fit_start(
    block: np.ndarray, arm: np.ndarray, arms: int, penalty: np.ndarray, usable: np.ndarray
) -> np.ndarray:
    """Logistic coefficients on the start rows, by Newton with step halving.

    Parameters
    ----------
    block : ndarray, (1 + p) x n
    arm : ndarray of int, n
    arms : int
        A.
    penalty : ndarray, 1 + p
    usable : ndarray of bool, 1 + p
        Columns that may have a coefficient; the others stay at zero.

    Returns
    -------
    ndarray, (A - 1) x (1 + p)
    """
    others, n = arms - 1, len(arm)
    coefficients = np.zeros((others, len(block)))
    counts = np.bincount(arm, minlength=arms)
    coefficients[:, 0] = np.log((counts[1:] + 0.5) / (counts[0] + 0.5))
    if n == 0 or counts.min() == 0:
        return coefficients
    block, penalty = block[usable], np.tile(penalty[usable], others)
    current = coefficients[:, usable]

    def objective(at: np.ndarray) -> float:
        losses = log_losses(at @ block, arm)
        return float(np.mean(losses) + 0.5 * penalty @ at.ravel() ** 2)

    value = objective(current)
    for _ in range(_MAX_START_STEPS):
        _, ascent, hessian = loss_sums(block, arm, current)
        flat, gain = _newton(ascent / n - penalty * current.ravel(), hessian / n, penalty)
        direction = flat.reshape(current.shape)
        size, proposed = 1.0, objective(current + direction)
        while proposed > value and size > 1e-6:
            size *= 0.5
            proposed = objective(current + size * direction)
        if proposed > value:
            break
        current, value = current + size * direction, proposed
        if gain < 1e-10:
            break
    coefficients[:, usable] = current
    return coefficients
