from __future__ import annotations

import numpy as np
import pytest

from truelift.lake.states import add_states
from truelift.policy.off_policy.reward_model import PRIOR_ROWS, fit, in_fold, model_state

ACTIONS, FOLDS = 4, 3


def rows(n: int = 600, seed: int = 0):
    rng = np.random.default_rng(seed)
    features = np.column_stack([np.ones(n), rng.normal(size=(n, 2))])
    actions = rng.integers(0, ACTIONS, n)
    slopes = rng.normal(size=(ACTIONS, 3))
    rewards = np.einsum("nd,nd->n", features, slopes[actions]) + rng.normal(size=n)
    return features, actions, rewards, rng.integers(0, FOLDS, n)


def fitted(by_action: bool, weights=None):
    features, actions, rewards, folds = rows()
    weights = np.ones((len(actions), 1)) if weights is None else weights
    states = []
    for fold in range(FOLDS):
        own = folds == fold
        state = model_state(
            features[own], actions[own], rewards[own], weights[own], ACTIONS, by_action
        )
        states.append(in_fold(state, fold, FOLDS))
    return add_states(states)


def test_the_additive_model_is_the_ridge_regression_on_dummies_of_the_other_folds():
    features, actions, rewards, folds = rows()
    for fold, model in enumerate(fit(fitted(False), 0)):
        other = folds != fold
        design = np.column_stack([features, np.eye(ACTIONS)[actions]])[other]
        penalty = np.diag([0.0] * 3 + [PRIOR_ROWS] * ACTIONS)
        solved = np.linalg.solve(design.T @ design + penalty, design.T @ rewards[other])
        np.testing.assert_allclose(model.beta, solved[:3], atol=1e-4)
        np.testing.assert_allclose(model.alpha, solved[3:], atol=1e-4)


def test_the_model_by_action_follows_each_action():
    features, actions, rewards, folds = rows()

    def squares(by_action):
        models = fit(fitted(by_action), 0)
        found = np.zeros(len(actions))
        for fold, model in enumerate(models):
            own = folds == fold
            found[own] = model.of_actions(features[own], actions[own])
        return np.mean((rewards - found) ** 2)

    assert squares(True) < 1.15 < 0.8 * squares(False)


@pytest.mark.parametrize("by_action", [True, False])
def test_doubling_all_weights_changes_nothing(by_action):
    one, two = np.ones((600, 1)), np.full((600, 2), 1.0) * [1.0, 2.0]
    plain, doubled = fit(fitted(by_action, one), 0), fit(fitted(by_action, two), 1)
    features, actions, _, _ = rows()
    for a, b in zip(plain, doubled, strict=True):
        np.testing.assert_allclose(
            a.of_actions(features, actions), b.of_actions(features, actions), rtol=1e-6, atol=1e-8
        )


@pytest.mark.parametrize("by_action", [True, False])
def test_mixtures_are_means_of_single_actions(by_action):
    model = fit(fitted(by_action), 0)[0]
    features = rows()[0][:50]
    shares = np.array([[0.5, 0.5, 0.0, 0.0], [0.1, 0.2, 0.3, 0.4]])
    cell, action = np.nonzero(shares)
    cells = np.arange(50) % 2
    found = model.of_mixtures(features, cells, (cell, action, shares[cell, action]), 2)
    single = np.column_stack([model.of_one(features, a) for a in range(ACTIONS)])
    np.testing.assert_allclose(found, (single * shares[cells]).sum(axis=1), rtol=1e-10, atol=1e-12)
