"""A network too sure of the treatment is drawn towards the arms' shares, as far as rows ask."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.effects.neural.nuisances import NeuralNuisances
from truelift.effects.panel.training_folds import training_folds
from truelift.models.causal.forward import weight_shapes
from truelift.models.causal.options import NeuralOptions
from truelift.models.causal.rows import Rows
from truelift.models.causal.tempering import FACTORS, entropies, log_shares, tempered

FOLDS, FEATURES = 3, 2


def networks(kind: str, arms: int, seed: int = 1, scale: float = 0.5) -> NeuralNuisances:
    options = NeuralOptions(kind=kind, shared=(4,), head=(3,))
    rng = np.random.default_rng(seed)
    shapes = weight_shapes(options, FOLDS, FEATURES, arms, 1)
    weights = {n: (scale * rng.normal(size=s)).astype(np.float32) for n, s in shapes.items()}
    return NeuralNuisances(options, weights)


def some_rows(arms: int, n: int = 400, seed: int = 2) -> Rows:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, FEATURES)).astype(np.float32)
    arm = rng.integers(0, arms, n).astype(np.int32)
    fold = rng.integers(0, FOLDS, n).astype(np.int32)
    return Rows(x, arm, np.zeros((n, 1), np.float32), fold, rng.uniform(0.5, 2, n).astype("f4"))


def chances(nuisances: NeuralNuisances, x: np.ndarray, fold: int) -> np.ndarray:
    return nuisances.predict(np.vstack([np.ones(len(x)), x.T]), fold).propensity


@pytest.mark.parametrize("kind", ["tarnet", "dragonnet"])
@pytest.mark.parametrize("arms", [2, 3])
def test_log_odds_are_moved_by_the_factor_and_outcomes_stay(kind, arms):
    before, rows = networks(kind, arms), some_rows(arms)
    share = np.random.default_rng(3).dirichlet(np.ones(arms), FOLDS)
    factor = np.array([1.0, 0.3, 0.0])
    after = NeuralNuisances(before.options, tempered(before.weights, factor, np.log(share)))
    for k in range(FOLDS):
        old, new = (np.log(chances(n, rows.x, k)) for n in (before, after))
        expected = np.log(share[k])[:, None] * (1 - factor[k]) + factor[k] * old
        np.testing.assert_allclose(new - new[0], expected - expected[0], atol=1e-5)
        same = (n.regression(rows.x.T.astype(float), k, 1, 0) for n in (before, after))
        np.testing.assert_array_equal(*same)
    np.testing.assert_allclose(chances(after, rows.x, 2).T, np.tile(share[2], (400, 1)), rtol=1e-5)


def test_entropies_are_those_of_the_tempered_networks_on_rows_outside_the_fold():
    nuisances, rows = networks("dragonnet", 3), some_rows(3)
    uses = training_folds(FOLDS)
    shares = np.log(np.random.default_rng(3).dirichlet(np.ones(3), FOLDS))
    found = entropies(nuisances, rows, shares, uses)
    for place in (0, 7, 20):
        factor = np.full(FOLDS, FACTORS[place])
        moved = NeuralNuisances(nuisances.options, tempered(nuisances.weights, factor, shares))
        for k in range(FOLDS):
            received = chances(moved, rows.x, k)[rows.arm, np.arange(len(rows))]
            outside = rows.fold != k
            expected = -(np.log(received) * rows.weight)[outside].sum()
            np.testing.assert_allclose(found[k, place], expected, rtol=1e-5)


def test_a_network_that_is_too_sure_is_tempered_by_as_much_as_it_is_too_sure():
    rng = np.random.default_rng(8)
    right = networks("dragonnet", 2, seed=4)
    rows = some_rows(2, n=20_000)
    for k in range(FOLDS):
        own = rows.fold == k
        # All folds' networks are made alike, so that one truth holds for each of them.
        for name, values in right.weights.items():
            values[k] = right.weights[name][0]
        rows.arm[own] = rng.random(own.sum()) < chances(right, rows.x[own], 0)[1]
    uses = training_folds(FOLDS)
    shares = log_shares(np.array([[100.0, 300.0]] * FOLDS), uses)
    too_sure = NeuralNuisances(
        right.options,
        tempered(right.weights, np.full(FOLDS, 2.0), shares),
    )
    chosen = [FACTORS[e.argmin()] for e in entropies(too_sure, rows, shares, uses)]
    np.testing.assert_allclose(chosen, 0.5, atol=0.051)
    honest = [FACTORS[e.argmin()] for e in entropies(right, rows, shares, uses)]
    assert min(honest) >= 0.9


def test_shares_are_those_of_the_folds_that_a_model_uses():
    weight = np.array([[10.0, 0.0], [30.0, 20.0], [0.0, 0.0]])
    across = np.exp(log_shares(weight, training_folds(3)))
    np.testing.assert_allclose(across, [[31 / 52, 21 / 52], [11 / 12, 1 / 12], [41 / 62, 21 / 62]])
    sequential = np.exp(log_shares(weight, training_folds(3, sequential=True)))
    np.testing.assert_allclose(sequential[:2], [[0.5, 0.5], [11 / 12, 1 / 12]])


def test_a_model_without_rows_keeps_its_odds():
    sums = entropies(
        networks("dragonnet", 2), some_rows(2), np.zeros((3, 2)), training_folds(3, sequential=True)
    )
    assert FACTORS[sums[0].argmin()] == 1.0
