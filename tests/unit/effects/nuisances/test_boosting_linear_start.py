"""The linear models under the trees: least squares and logit of the other folds' rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax

from truelift.arrays.keys import mix
from truelift.distributed.collective import Alone
from truelift.effects.boosting import BoostingOptions
from truelift.effects.boosting.linear_start import design_chunks, fit_linear_start
from truelift.effects.boosting.reading import Block, prepare
from truelift.effects.panel.training_folds import training_folds

N = 1200


def fitted(arms: int, signs=(0, 0, 0), weight=None, **options):
    random = np.random.default_rng(arms)
    x = random.normal(size=(3, N)) * np.array([[1.0], [10.0], [0.1]])
    score = np.stack([a * 0.4 * x[0] for a in range(arms)])
    arm = np.argmax(score + random.gumbel(size=(arms, N)), axis=0)
    outcome = (x[0] - 0.3 * x[1] + arm + random.normal(size=N))[None]
    fold = np.arange(N) % 3
    block = Block(x, arm, outcome, mix(np.arange(N, dtype=np.uint64)), fold, weight)
    chosen = BoostingOptions(ridge=0.0, **options)
    names = ("x_0", "x_1", "x_2")
    rows, preparation = prepare(iter([block]), names, 1, arms, chosen, Alone(), "panel")
    start = fit_linear_start(rows, preparation, training_folds(3), arms, signs, 0.0, Alone())
    z = np.concatenate([z for _, z in design_chunks(rows, preparation)], axis=1)
    return rows, start, z


def test_outcome_coefficients_are_least_squares_of_the_arm_without_the_fold():
    rows, start, z = fitted(2)
    for k in range(3):
        for a in range(2):
            used = (rows.fold != k) & (rows.arm == a) & ~rows.validation
            expected = np.linalg.lstsq(z[:, used].T, rows.outcome[0, used], rcond=None)[0]
            np.testing.assert_allclose(start.outcome[k, a, 0], expected, atol=1e-10)


def test_weighted_outcome_coefficients_are_weighted_least_squares():
    weight = np.random.default_rng(2).uniform(0.5, 4.0, N)
    rows, start, z = fitted(2, weight=weight)
    used = (rows.fold != 0) & (rows.arm == 1) & ~rows.validation
    root = np.sqrt(rows.weight[used])
    expected = np.linalg.lstsq((z[:, used] * root).T, rows.outcome[0, used] * root, rcond=None)[0]
    np.testing.assert_allclose(start.outcome[0, 1, 0], expected, atol=1e-10)
    assert rows.weight.mean() == pytest.approx(1.0)


@pytest.mark.parametrize("arms", [2, 3])
def test_propensity_coefficients_maximise_the_likelihood_without_the_fold(arms):
    rows, start, z = fitted(arms, weight=np.linspace(0.5, 1.5, N))
    used = (rows.fold != 1) & ~rows.validation

    def loss(flat):
        odds = np.concatenate([np.zeros((1, used.sum())), flat.reshape(arms - 1, -1) @ z[:, used]])
        return np.average(
            -log_softmax(odds, axis=0)[rows.arm[used], np.arange(used.sum())],
            weights=rows.weight[used],
        )

    found = minimize(loss, np.zeros((arms - 1) * 4), method="BFGS", options={"gtol": 1e-7})
    np.testing.assert_allclose(start.propensity[1].ravel(), found.x, atol=1e-4)
    assert loss(start.propensity[1].ravel()) <= found.fun + 1e-12


def test_a_newton_start_on_few_rows_changes_nothing(monkeypatch):
    _, expected, _ = fitted(3)
    monkeypatch.setattr("truelift.effects.boosting.linear_start._START_ROWS", 200.0)
    _, found, _ = fitted(3)
    np.testing.assert_allclose(found.propensity, expected.propensity, atol=1e-7)


def test_a_coefficient_against_its_monotone_sign_is_taken_out_and_the_rest_fitted_anew():
    rows, start, z = fitted(2, signs=(1, 1, 0))
    used = (rows.fold != 0) & (rows.arm == 1) & ~rows.validation
    kept = [0, 1, 3]
    expected = np.linalg.lstsq(z[kept][:, used].T, rows.outcome[0, used], rcond=None)[0]
    assert start.outcome[0, 1, 0, 2] == 0.0
    np.testing.assert_allclose(start.outcome[0, 1, 0, kept], expected, atol=1e-10)


def test_without_covariates_the_start_is_the_mean_of_the_training_rows():
    rows, start, _ = fitted(2, on_top_of_linear=False)
    used = (rows.fold != 2) & ~rows.validation
    treated = rows.arm[used].mean()
    assert start.propensity.shape == (3, 1, 1)
    assert start.propensity[2, 0, 0] == pytest.approx(np.log(treated / (1 - treated)), abs=1e-8)
    in_arm = used & (rows.arm == 0)
    assert start.outcome[2, 0, 0, 0] == pytest.approx(rows.outcome[0, in_arm].mean(), abs=1e-12)


def test_degree_two_adds_squares_and_products_in_training_and_prediction():
    rows, start, z = fitted(2, start_degree=2)
    pairs = [z[1 + i] * z[1 + j] for i in range(3) for j in range(i, 3)]
    np.testing.assert_array_equal(z[4:], pairs)
    x = np.array(rows.raw)
    np.testing.assert_array_equal(start.design(x), z)
    used = (rows.fold != 2) & (rows.arm == 0) & ~rows.validation
    expected = np.linalg.lstsq(z[:, used].T, rows.outcome[0, used], rcond=None)[0]
    np.testing.assert_allclose(start.outcome[2, 0, 0], expected, atol=1e-9)
