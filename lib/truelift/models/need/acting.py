"""What acting changes: do(A), what is shown, and do(U), the need itself; with errors by the delta method.

The effect of showing ``a`` in place of the base, at the step of a user like those of the table, on
the chance of need k is sum_j w_j (P_a[j, k] - P_base[j, k]), where w are the shares of steps in each need; on an outcome
it is that times the outcome's mean under k. After the step the base is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np

from truelift.models.need.coordinates import Model, model_of
from truelift.models.need.information import Covariance
from truelift.models.need.linear import LinearModel
from truelift.models.need.states import StateModel

_STEP = 1e-5
M = TypeVar("M", StateModel, LinearModel, Model)


@dataclass(frozen=True, eq=False)
class Measured:
    """Numbers of a model, with standard errors.

    Parameters
    ----------
    estimate, standard_error : ndarray
    """

    estimate: np.ndarray
    standard_error: np.ndarray


def measured(
    model: M, covariance: Covariance, quantity: Callable[[M, np.ndarray], np.ndarray],
) -> Measured:  # fmt: skip
    """A function of a model and of shares of steps, and the errors of what it gives.

    Parameters
    ----------
    model : StateModel or LinearModel
    covariance : Covariance
    quantity : callable
        From model and shares (K) to numbers.
    """
    size = len(covariance.vector) - model.layout.shares

    def at(vector: np.ndarray) -> np.ndarray:
        near = cast(M, model_of(vector[:size], model))
        return quantity(near, vector[size:]).ravel()

    found = at(covariance.vector)
    slopes = np.empty((len(found), len(covariance.vector)))
    for place in range(len(covariance.vector)):
        moved = np.repeat(covariance.vector[None], 2, axis=0)
        moved[:, place] += (_STEP, -_STEP)
        slopes[:, place] = (at(moved[0]) - at(moved[1])) / (2 * _STEP)
    variance = np.einsum("ij,jk,ik->i", slopes, covariance.matrix, slopes)
    return Measured(found, np.sqrt(np.maximum(variance, 0.0)))


def forecast(model: StateModel, now: np.ndarray, shown: int, base: int, steps: int) -> np.ndarray:
    """Chances of needs at each of the next steps (steps x ... x K), ``shown`` at the first of them, the base after it.

    Parameters
    ----------
    model : StateModel
    now : ndarray, ... x K
        Chances of needs at the step before.
    shown, base : int
        Levels of the input.
    steps : int
    """  # fmt: skip
    found = [now @ model.transition[shown]]
    for _ in range(steps - 1):
        found.append(found[-1] @ model.transition[base])
    return np.stack(found)


def means_of(model: StateModel) -> np.ndarray:
    """What each need makes of the columns, K x d: chances of levels, rates, means."""
    return np.concatenate([model.table, model.rate, model.mean]).T


def pushed_on(model: LinearModel, shown: int, base: int, steps: int) -> np.ndarray:
    """What showing a level in place of the base adds to each need at each of the next steps, steps x K."""
    found = [model.pushed[:, shown] - model.pushed[:, base]]
    for _ in range(steps - 1):
        found.append(model.moves @ found[-1])
    return np.stack(found)
