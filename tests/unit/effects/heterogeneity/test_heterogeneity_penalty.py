"""The linear CATE model's penalty: what cross-validation by refitting would choose."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.effects.heterogeneity_units import Units, as_is, simulate, summed
from truelift.effects.heterogeneity import PassKernel, fit_linear
from truelift.effects.heterogeneity.dr_learner import GramPart
from truelift.effects.heterogeneity.penalty import PENALTIES, chosen_penalty

FOLDS = 5


def gram_of(units: Units) -> np.ndarray:
    kernel = PassKernel(as_is, FOLDS, {"gram": GramPart(len(units.x), FOLDS)})
    return summed(units)(kernel)["gram.gram"]


def refitted_error(units: Units, penalty: float, variances: np.ndarray) -> float:
    """Squared error over folds left out, by ridge regressions on rows."""
    fold, total = units.fold(FOLDS), 0.0
    for k in range(FOLDS):
        x, y = units.x[:, fold != k], units.score[fold != k]
        means = x.mean(axis=1)
        centred = x - means[:, None]
        matrix = centred @ centred.T / len(y) + np.diag(penalty * variances)
        slopes = np.linalg.solve(matrix, centred @ y / len(y))
        forecast = y.mean() + slopes @ (units.x[:, fold == k] - means[:, None])
        total += np.sum((units.score[fold == k] - forecast) ** 2)
    return total


@pytest.mark.parametrize(("seed", "slopes"), [(1, ()), (2, (0.3,)), (3, (0.15, -0.1)), (4, (2.0,))])
def test_the_penalty_is_the_one_that_refitting_without_each_fold_would_choose(seed, slopes):
    units = simulate(seed, units=500, slopes=slopes)
    variances = units.x.var(axis=1)
    errors = [refitted_error(units, penalty, variances) for penalty in PENALTIES]
    assert chosen_penalty(gram_of(units), variances) == PENALTIES[int(np.argmin(errors))]


def test_where_nothing_varies_forecasts_hardly_do_and_where_it_does_they_follow():
    left = []
    for seed in range(20, 30):
        gram = gram_of(simulate(seed, units=600, covariates=8))
        plain, shrunken = (fit_linear(gram, ridge) for ridge in (0.0, None))
        assert (shrunken.spread <= plain.spread).all()
        left.append(shrunken.spread / plain.spread)
    assert np.mean(left) < 0.25
    clear = simulate(6, units=600, covariates=8, slopes=(2.0,))
    found = fit_linear(gram_of(clear), None)
    np.testing.assert_allclose(found.coefficients[:, 1], 2.0, atol=0.35)


@pytest.mark.parametrize("sequential", [False, True])
def test_a_folds_own_scores_do_not_reach_its_penalty(sequential):
    units = simulate(7, units=600, slopes=(0.4,))
    changed = Units(units.score.copy(), units.x, units.cluster, units.effect)
    fold = units.fold(FOLDS)
    own = fold >= 3 if sequential else fold == 3
    changed.score[own] += 50 * units.x[1, own]
    first, second = (fit_linear(gram_of(u), None, sequential=sequential) for u in (units, changed))
    np.testing.assert_allclose(first.coefficients[3], second.coefficients[3], atol=1e-9)
    assert not np.allclose(first.coefficients[4], second.coefficients[4], atol=0.1)


def test_with_a_single_fold_to_learn_from_half_of_each_slope_is_believed():
    units = simulate(8, units=600, covariates=1, slopes=(1.0,))
    gram = gram_of(units)
    variances = units.x.var(axis=1)
    assert chosen_penalty(gram[:1], variances) == 1.0
    assert chosen_penalty(np.concatenate([gram[:1], np.zeros_like(gram[:1])]), variances) == 1.0


def test_a_covariate_without_variance_is_left_out():
    units = simulate(9, units=600, slopes=(1.0,))
    flat = Units(units.score, units.x.copy(), units.cluster, units.effect)
    flat.x[2] = 3.0
    without = Units(units.score, units.x[:2], units.cluster, units.effect)
    found = chosen_penalty(gram_of(flat), flat.x.var(axis=1))
    assert found == chosen_penalty(gram_of(without), without.x.var(axis=1))
