"""A random common cause: seeded random covariates, which must leave the estimate where it is.

Nothing is fitted again. A covariate u that is independent of everything has, in each nuisance
model without fold k, the coefficient of one Gauss-Newton step from the fitted model:
``g_a = sum 1[D = a] u (Y - m_a) / sum 1[D = a] u^2`` in the outcome regression of arm a, and
``b = H^-1 sum u (1[D = a] - e_a)`` with ``H = sum u^2 (diag(e) - e e')`` in the logits of arms
1 .. A - 1 against the control; the other coefficients move by O(1/n), for u is uncorrelated with
their columns. The score of arm a's mean then moves by

``g_a sum u (1 - 1[D = a] / e_a) - sum_c b_c sum 1[D = a] u (Y - m_a)(1[a = c] - e_c) / e_a
+ g_a sum_c b_c sum 1[D = a] u^2 (1[a = c] - e_c) / e_a``.

All three terms are of order 1/n, for g and b are of order n^-1/2; what is left out is of order
n^-3/2. This holds for any learner, as if u were added to it linearly. All of it is made of sums by
fold.
"""

from __future__ import annotations

import numpy as np

from truelift.effects.credibility.blocks import CredibilityBlock
from truelift.effects.credibility.draws import covariates
from truelift.effects.credibility.results import RandomCommonCause
from truelift.effects.credibility.target import Target
from truelift.inference.normal_equations import complements, solve_symmetric

_PURPOSE = 2


class RandomCauseSums:
    """Sums by fold for ``count`` random covariates.

    Parameters
    ----------
    count, seed : int
    folds, arms, outcomes : int
    """

    def __init__(self, count: int, seed: int, folds: int, arms: int, outcomes: int):
        self._count, self._seed = count, seed
        self._state = {
            "random_square": np.zeros((folds, count, arms)),
            "random_residual": np.zeros((folds, count, arms, outcomes)),
            "random_balance": np.zeros((folds, count, arms)),
            "random_ascent": np.zeros((folds, count, arms - 1)),
            "random_hessian": np.zeros((folds, count, arms - 1, arms - 1)),
            "random_slope": np.zeros((folds, count, arms, arms - 1, outcomes)),
            "random_cross": np.zeros((folds, count, arms, arms - 1)),
        }

    def add(self, block: CredibilityBlock) -> None:
        """Add a block of units; the covariate belongs to the unit's key."""
        u = covariates(block.unit, self._seed, _PURPOSE, self._count)
        members, propensity = block.members, block.propensity
        state, k = self._state, block.fold
        squares = u**2
        state["random_square"][k] += squares @ members.T
        state["random_ascent"][k] += u @ (members[1:] - propensity[1:]).T
        state["random_balance"][k] += u @ (1.0 - members / propensity).T
        arms = len(propensity)
        for c in range(1, arms):
            for d in range(1, arms):
                curve = propensity[c] * ((c == d) - propensity[d])
                state["random_hessian"][k, :, c - 1, d - 1] += squares @ curve
        for a in range(arms):
            own = np.flatnonzero(block.arm == a)
            part = u[:, own]
            residual = block.outcome[:, own] - block.outcome_regression[a][:, own]
            state["random_residual"][k, :, a] += part @ residual.T
            for c in range(1, arms):
                turn = ((a == c) - propensity[c, own]) / propensity[a, own]
                state["random_slope"][k, :, a, c - 1] += part @ (residual * turn).T
                state["random_cross"][k, :, a, c - 1] += squares[:, own] @ turn

    def finish(self) -> dict[str, np.ndarray]:
        """The sums, by fold."""
        return self._state


def shifts_of_means(state: dict[str, np.ndarray], units: float) -> np.ndarray:
    """How much each random covariate moves each arm's mean, covariates x A x J."""
    count, arms, outcomes = state["random_residual"].shape[1:]
    square, residual, ascent, hessian = (
        complements(state[f"random_{name}"])
        for name in ("square", "residual", "ascent", "hessian")
    )  # fmt: skip
    moved = np.zeros((count, arms, outcomes))
    for k in range(len(square)):
        safe = np.where(square[k] > 0, square[k], 1.0)[:, :, None]
        outcome_step = residual[k] / safe
        moved += outcome_step * state["random_balance"][k][:, :, None]
        for r in range(count):
            logits = solve_symmetric(hessian[k, r], ascent[k, r])
            moved[r] -= np.einsum("acj,c->aj", state["random_slope"][k, r], logits)
            moved[r] += outcome_step[r] * (state["random_cross"][k, r] @ logits)[:, None]
    return moved / units


def random_common_cause(
    state: dict[str, np.ndarray],
    estimate: float,
    standard_error: float,
    target: Target,
) -> RandomCommonCause:
    """The shifts of one ATE under every random covariate.

    Parameters
    ----------
    state : dict of str to ndarray
        Added over buckets: the sums by fold, and ``total`` of the contrast lines.
    estimate, standard_error : float
        Of the ATE, in the outcome's units.
    target : Target
    """
    moved = shifts_of_means(state, float(state["total"][0]))
    shifts = target.scale * (moved[:, target.contrast] - moved[:, 0])[:, target.outcome]
    return RandomCommonCause(
        outcome=target.outcome_name,
        contrast=target.contrast_name,
        estimate=estimate,
        standard_error=standard_error,
        shifts=tuple(shifts.tolist()),
    )
