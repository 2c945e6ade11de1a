"""EM, and Newton steps at its end: both by the sums of one pass, of which none may make the likelihood fall."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from truelift.models.need.coordinates import Model, model_of, score_matrix, vector_of

#: The sums of all users under a model: one pass.
Passes = Callable[[Model], np.ndarray]
_HALVINGS = 6
# Ridge of the information, relative to its diagonal: coordinates of chances of almost zero have none.
_RIDGE = 1e-9


@dataclass(frozen=True, eq=False)
class Fit:
    """A model at a maximum of the likelihood (with its prior).

    Parameters
    ----------
    model : Model
    sums : ndarray
        Under the model.
    objective : float
        Log-likelihood and log prior, in nats.
    path : tuple of float
        The objective pass by pass.
    gain_left : float
        Nats that a Newton step would still bring; NaN where none was asked for.
    """

    model: Model
    sums: np.ndarray
    objective: float
    path: tuple[float, ...]
    gain_left: float = float("nan")

    @property
    def log_likelihood(self) -> float:
        """In nats."""
        return float(self.model.layout.parts(self.sums)["told"][2])


def objective_of(model: Model, sums: np.ndarray, prior: np.ndarray) -> float:
    """Log-likelihood and log prior of a model whose sums these are."""
    return float(model.layout.parts(sums)["told"][2]) + model.log_density(prior)


def em(
    passes: Passes, model: Model, prior: np.ndarray, scale: np.ndarray, least: float, most: int
) -> Fit:
    """Expectation and maximisation until a pass brings fewer than ``least`` nats, or for ``most`` passes."""
    sums = passes(model)
    path = [objective_of(model, sums, prior)]
    while len(path) < most:
        new = model.improved(sums + prior, scale)
        found = passes(new)
        path.append(objective_of(new, found, prior))
        model, sums = new, found
        if path[-1] - path[-2] < least:
            break
    return Fit(model, sums, path[-1], tuple(path))


def gain_of(model: Model, sums: np.ndarray, prior: np.ndarray, information: np.ndarray) -> float:
    """Nats that a step of Newton's would bring, by a quadratic."""
    score = score_matrix(model) @ (sums + prior)
    return 0.5 * float(score @ np.linalg.solve(information, score))


def newton(
    passes: Passes, fit: Fit, prior: np.ndarray, information: np.ndarray, scale: np.ndarray, least: float, most: int,
) -> Fit:  # fmt: skip
    """Steps along the score by a fixed information, until one would bring fewer than ``least`` nats.

    A step that makes the objective fall is halved; where halves do not help, EM takes one.
    """
    ridge = np.diag(_RIDGE * np.maximum(np.diag(information), np.diag(information).max() * 1e-6))
    path = list(fit.path)
    model, sums, held = fit.model, fit.sums, fit.objective
    gain = float("nan")
    for _ in range(most):
        score = score_matrix(model) @ (sums + prior)
        step = np.linalg.solve(information + ridge, score)
        gain = 0.5 * float(score @ step)
        if 0 <= gain < least:
            break
        taken = None
        share = 1.0 if gain > 0 else 0.0
        for _ in range(_HALVINGS if share else 0):
            # Far steps in logs of chances would leave the range in which the information holds.
            vector = vector_of(model) + share * np.clip(step, -2, 2)
            new = model_of(vector, model)
            found = passes(new)
            value = objective_of(new, found, prior)
            path.append(max(value, held))
            if value >= held:
                taken = (new, found, value)
                break
            share /= 2
        if taken is None:
            new = model.improved(sums + prior, scale)
            found = passes(new)
            taken = (new, found, objective_of(new, found, prior))
            path.append(taken[2])
        model, sums, held = taken
    return replace(fit, model=model, sums=sums, objective=held, path=tuple(path), gain_left=gain)
