"""Predictions of the reward by context and action, from sums, fitted without the users asked about.

Two models, both ridge regressions with closed forms in sums over rows:

* *additive*: ``q(x, a) = x'beta + alpha_a``, the actions' effects shrunk towards zero as random
  effects are; the actions are eliminated block by block, so that ten thousand of them cost a table of
  sums and nothing of rows x actions;
* *by action*: ``q(x, a) = x'b_a`` where each action's coefficients are shrunk towards those of the
  additive model; for few actions.

Sums are kept by fold (of whole users); a fold's rows are predicted from all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from truelift.inference.normal_equations import solve_symmetric

#: Rows that an action's prior is worth.
PRIOR_ROWS = 20.0
#: Numbers of a bucket's sums, above which a model is not fitted.
MOST_NUMBERS = 16_000_000
_RIDGE = 1e-6


@dataclass(frozen=True, eq=False)
class RewardModel:
    """Predictions for one fold.

    Parameters
    ----------
    beta : ndarray, d
    alpha : ndarray, K
    by_action : ndarray, K x d, optional
        In place of both.
    """

    beta: np.ndarray
    alpha: np.ndarray
    by_action: np.ndarray | None = None

    def of_actions(self, features: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Rewards of one action a row (n); an action that there is not (-1) counts as the mean."""
        known = np.maximum(actions, 0)
        if self.by_action is not None:
            found = np.einsum("nd,nd->n", features, self.by_action[known])
        else:
            found = features @ self.beta + self.alpha[known]
        return np.where(actions >= 0, found, 0.0)

    def of_one(self, features: np.ndarray, action: int) -> np.ndarray:
        """Rewards of the same action in every row (n)."""
        if self.by_action is not None:
            return features @ self.by_action[action]
        return features @ self.beta + self.alpha[action]

    def of_mixtures(
        self, features: np.ndarray, cells: np.ndarray, entries: tuple[np.ndarray, ...], count: int
    ) -> np.ndarray:
        """Mean rewards of mixtures of actions (n).

        Parameters
        ----------
        features : ndarray, n x d
        cells : ndarray of int, n
            Each row's mixture.
        entries : (cells, actions, shares)
            What the mixtures hold, entry by entry.
        count : int
            Mixtures.
        """
        cell, action, share = entries
        if self.by_action is not None:
            mean = np.zeros((count, features.shape[1]))
            np.add.at(mean, cell, share[:, None] * self.by_action[action])
            return np.einsum("nd,nd->n", features, mean[cells])
        weight = np.bincount(cell, share, count)
        effect = np.bincount(cell, share * self.alpha[action], count)
        return weight[cells] * (features @ self.beta) + effect[cells]


def model_state(
    features: np.ndarray, actions: np.ndarray, rewards: np.ndarray, weights: np.ndarray,
    count: int, by_action: bool,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Sums of a block of rows, which add up.

    Parameters
    ----------
    features : ndarray, n x d
    actions : ndarray of int, n
    rewards : ndarray, n
    weights : ndarray, n x M
        Of each model that is to be fitted.
    count : int
        Actions.
    by_action : bool
        Whether cross-products are kept for each action.
    """
    models, d = weights.shape[1], features.shape[1]
    kept = count if by_action else 0
    state = {
        "gram": np.zeros((models, d, d)),
        "right": np.zeros((models, d)),
        "actions": np.zeros((models, count, d + 2)),
        "grams": np.zeros((models, kept, d, d)),
        "rights": np.zeros((models, kept, d)),
    }
    order = np.argsort(actions, kind="stable")
    bounds = np.searchsorted(actions[order], np.arange(kept + 1))
    for m in range(models):
        weighted = features * weights[:, m : m + 1]
        state["gram"][m] = weighted.T @ features
        state["right"][m] = weighted.T @ rewards
        columns = [weights[:, m], weights[:, m] * rewards, *weighted.T]
        for j, column in enumerate(columns):
            state["actions"][m, :, j] = np.bincount(actions, column, count)
        for a in range(kept):
            own = order[bounds[a] : bounds[a + 1]]
            if len(own):
                state["grams"][m, a] = weighted[own].T @ features[own]
                state["rights"][m, a] = weighted[own].T @ rewards[own]
    return state


def in_fold(state: Mapping[str, np.ndarray], fold: int, folds: int) -> dict[str, np.ndarray]:
    """Sums of rows of one fold, in their place among all folds."""
    placed = {}
    for key, value in state.items():
        placed[key] = np.zeros((folds, *value.shape))
        placed[key][fold] = value
    return placed


def of_reward(state: Mapping[str, np.ndarray], reward: int) -> dict[str, np.ndarray]:
    """The sums of one reward, of a state that has those of all of them as ``<key>.<reward>``."""
    end = f".{reward}"
    return {k.removesuffix(end): v for k, v in state.items() if k.endswith(end)}


def fit(
    state: Mapping[str, np.ndarray], model: int, groups: np.ndarray | None = None
) -> list[RewardModel]:
    """The model of each fold, from the sums of all others; model 0 is the one whose rows count one.

    With the groups of the actions (K), an action's effect is shrunk towards its group's.
    """
    folds, found = len(state["gram"]), []
    for fold in range(folds):
        sums = {
            key: value[0, model] if folds == 1 else value[:, model].sum(axis=0) - value[fold, model]
            for key, value in state.items()
        }
        plain = state["actions"][:, 0, :, 0].sum(axis=1)
        rows = float(plain.sum() - (plain[fold] if folds > 1 else 0.0))
        found.append(_fit(sums, max(rows, 1.0), groups))
    return found


def explained_by_context(state: Mapping[str, np.ndarray], squares: float) -> float:
    """Share of the reward's variance that least squares on the features explain, without the action.

    Parameters
    ----------
    state : mapping
        Sums by fold, of the features (with a constant) and the reward.
    squares : float
        Sum of the rewards' squares.
    """
    gram, right = state["gram"][:, 0].sum(axis=0), state["right"][:, 0].sum(axis=0)
    rows, total = state["actions"][:, 0, :, :2].sum(axis=(0, 1))
    variance = squares - total**2 / rows
    if variance <= 1e-12 * squares or rows <= len(gram):
        return 0.0
    scale = np.sqrt(np.maximum(np.diag(gram), 1e-300))
    beta = solve_symmetric(gram / np.outer(scale, scale), right / scale) / scale
    left = squares - 2 * right @ beta + beta @ gram @ beta
    return float(1.0 - (left / (rows - len(gram))) / (variance / rows))


def _fit(sums: Mapping[str, np.ndarray], rows: float, groups: np.ndarray | None) -> RewardModel:
    gram, right, actions = sums["gram"], sums["right"], sums["actions"]
    width = len(gram)
    if groups is not None:
        gram, right, actions = _with_groups(gram, right, actions, groups)
    weight, reward, features = actions[:, 0], actions[:, 1], actions[:, 2:]
    # A prior is worth so many rows of the weight that rows have.
    whole = float(weight.sum())
    prior = max(PRIOR_ROWS * whole / rows, 1e-12)
    shrunk = 1 / (np.maximum(weight, 0.0) + prior)
    scale = np.maximum(np.diag(gram) / max(whole, 1e-12), _RIDGE)
    penalty = np.diag(scale) * _RIDGE * whole
    matrix = gram - (features * shrunk[:, None]).T @ features + penalty
    beta = solve_symmetric(matrix, right - features.T @ (shrunk * reward))
    alpha = shrunk * (reward - features @ beta)
    if groups is not None:
        alpha += beta[width:][groups]
        beta, scale = beta[:width], scale[:width]
    if not len(sums["grams"]):
        return RewardModel(beta, alpha)
    start = np.tile(beta, (len(alpha), 1))
    start[:, 0] += alpha
    matrices = sums["grams"] + prior * np.diag(scale)
    residual = sums["rights"] - np.einsum("kij,kj->ki", sums["grams"], start)
    return RewardModel(beta, alpha, start + np.linalg.solve(matrices, residual[..., None])[..., 0])


def _with_groups(
    gram: np.ndarray, right: np.ndarray, actions: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same sums as if each row had an indicator of its action's group among its features."""
    count, d = int(groups.max()) + 1, len(gram)
    own = np.zeros((count, actions.shape[1]))
    np.add.at(own, groups, actions)
    wide = np.zeros((d + count, d + count))
    wide[:d, :d], wide[:d, d:], wide[d:, :d] = gram, own[:, 2:].T, own[:, 2:]
    np.fill_diagonal(wide[d:, d:], own[:, 0])
    indicator = np.zeros((len(groups), count))
    indicator[np.arange(len(groups)), groups] = actions[:, 0]
    return wide, np.concatenate([right, own[:, 1]]), np.hstack([actions, indicator])
