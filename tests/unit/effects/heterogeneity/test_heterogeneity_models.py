"""CATE models, the best linear predictor and calibration against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.unit.effects.heterogeneity_units import Units, as_is, simulate, summed
from truelift.effects.heterogeneity import (
    Forecast,
    HeterogeneityOptions,
    PassKernel,
    explore,
    fit_linear,
)
from truelift.effects.heterogeneity.dr_learner import GramPart
from truelift.errors import ConfigError, DataError

FOLDS = 5
NAMES = ("age", "visits", "spend")
CROSS_FITTED = HeterogeneityOptions(validation="cross_fitted")


def gram_of(units: Units) -> np.ndarray:
    kernel = PassKernel(as_is, FOLDS, {"gram": GramPart(len(units.x), FOLDS)})
    return summed(units)(kernel)["gram.gram"]


def least_squares(units: Units, rows: np.ndarray) -> np.ndarray:
    weight = np.ones(len(rows)) if units.weight is None else units.weight[rows]
    design = np.column_stack([np.ones(len(rows)), units.x[:, rows].T])
    root = np.sqrt(weight)
    return np.linalg.lstsq(design * root[:, None], units.score[rows] * root, rcond=None)[0]


def clustered(units: Units, values: np.ndarray) -> np.ndarray:
    """G / (G - 1) times the sum over clusters of the products of sums of ``values`` (m x n)."""
    keys, place = np.unique(units.cluster, return_inverse=True)
    sums = np.zeros((len(values), len(keys)))
    for row, value in zip(sums, values, strict=True):
        np.add.at(row, place, value)
    return sums @ sums.T * len(keys) / (len(keys) - 1)


@pytest.mark.parametrize("weighted", [False, True])
def test_model_of_a_fold_is_least_squares_on_the_other_folds(weighted):
    units = simulate(1, weighted=weighted)
    model = fit_linear(gram_of(units))
    fold = units.fold(FOLDS)
    for k in range(FOLDS):
        expected = least_squares(units, np.flatnonzero(fold != k))
        np.testing.assert_allclose(model.coefficients[k], expected, atol=1e-10)


def test_sequential_model_of_a_fold_is_least_squares_on_the_folds_before_it():
    units = simulate(2)
    model = fit_linear(gram_of(units), sequential=True)
    fold = units.fold(FOLDS)
    assert model.first_fold == 1
    for k in range(1, FOLDS):
        expected = least_squares(units, np.flatnonzero(fold < k))
        np.testing.assert_allclose(model.coefficients[k], expected, atol=1e-10)


def test_centre_and_spread_are_those_of_the_forecasts_over_all_units():
    units = simulate(3, slopes=(0.5, -0.2))
    model = fit_linear(gram_of(units))
    for k in range(FOLDS):
        forecasts = model.predict(units.x, k)
        assert model.centre[k] == pytest.approx(forecasts.mean())
        assert model.spread[k] == pytest.approx(forecasts.std())


def test_rows_in_one_fold_only_are_refused_with_the_counts():
    units = simulate(4)
    gram = gram_of(units)
    gram[1:] = 0
    with pytest.raises(DataError, match=r"rows by fold are [\d,]+, 0, 0, 0, 0"):
        fit_linear(gram)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("features", [None, (2, 0)])
def test_best_linear_predictor_is_weighted_least_squares_with_the_clustered_sandwich(
    weighted, features
):
    units = simulate(5, slopes=(0.4,), weighted=weighted)
    options = HeterogeneityOptions(features=features)
    found = explore(summed(units, 97), as_is, FOLDS, NAMES, options).best_linear

    chosen = [0, 1, 2] if features is None else list(features)
    design = np.vstack([np.ones(len(units.score)), units.x[chosen]])
    weight = np.ones(len(units.score)) if units.weight is None else units.weight
    bread = np.linalg.inv((design * weight) @ design.T)
    slopes = bread @ (design * weight) @ units.score
    meat = clustered(units, design * weight * (units.score - slopes @ design))
    covariance = bread @ meat @ bread
    np.testing.assert_allclose([t.estimate for t in found.terms], slopes, rtol=1e-9)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-8, atol=1e-14)
    assert [t.name for t in found.terms] == ["intercept", *(NAMES[c] for c in chosen)]

    q, clusters = len(chosen), len(np.unique(units.cluster))
    wald = slopes[1:] @ np.linalg.solve(covariance[1:, 1:], slopes[1:]) / q
    assert found.joint.statistic == pytest.approx(wald, rel=1e-6)
    assert found.joint.p_value == pytest.approx(stats.f.sf(wald, q, clusters - 1), rel=1e-5)


def test_collinear_features_do_not_spoil_the_joint_test():
    units = simulate(6, slopes=(0.4,))
    twice = Units(units.score, np.vstack([units.x[:1], units.x[:1]]), units.cluster, units.effect)
    once = Units(units.score, units.x[:1], units.cluster, units.effect)
    both = explore(summed(twice), as_is, FOLDS, ("a", "a again")).best_linear
    single = explore(summed(once), as_is, FOLDS, ("a",)).best_linear
    assert both.joint.degrees[0] == 1
    assert both.joint.statistic == pytest.approx(single.joint.statistic, rel=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_calibration_slope_is_that_of_least_squares_with_intercepts_by_fold(weighted):
    units = simulate(7, slopes=(0.4, 0.2), weighted=weighted)
    found = explore(summed(units), as_is, FOLDS, NAMES, CROSS_FITTED).calibration

    fold = units.fold(FOLDS)
    model = fit_linear(gram_of(units))
    cate = np.choose(fold, [model.predict(units.x, k) for k in range(FOLDS)])
    weight = np.ones(len(cate)) if units.weight is None else units.weight
    within = (fold[None] == np.arange(FOLDS)[:, None]).astype(float)
    design = np.vstack([within, cate])
    bread = np.linalg.inv((design * weight) @ design.T)
    values = bread @ (design * weight) @ units.score
    meat = clustered(units, design * weight * (units.score - values @ design))
    slope = found.differential_forecast
    assert slope.estimate == pytest.approx(values[-1], rel=1e-8)
    assert slope.standard_error == pytest.approx(np.sqrt((bread @ meat @ bread)[-1, -1]), rel=1e-6)

    average = np.average(units.score, weights=weight)
    ratio = average / np.average(cate, weights=weight)
    assert found.average.estimate == pytest.approx(average)
    assert found.mean_forecast.estimate == pytest.approx(ratio)
    spread = clustered(units, (weight * (units.score - ratio * cate))[None])[0, 0]
    error = np.sqrt(spread) / np.sum(weight * cate)
    assert found.mean_forecast.standard_error == pytest.approx(error, rel=1e-6)
    assert found.mean_forecast.null == 1


class Twice:
    """Forecasts twice the effect."""

    def predict(self, x: np.ndarray, fold: int) -> np.ndarray:
        return 2 * (1 + 0.8 * x[0])


def test_a_model_of_the_callers_own_is_calibrated_by_the_same_passes():
    units = simulate(8, units=4000, slopes=(0.8,))
    found = explore(summed(units), as_is, FOLDS, NAMES, CROSS_FITTED, Forecast(Twice()))
    calibration = found.calibration
    assert calibration.differential_forecast.estimate == pytest.approx(0.5, abs=0.1)
    assert calibration.mean_forecast.estimate == pytest.approx(0.5, abs=0.1)
    assert calibration.calibrated.p_value < 1e-4


def test_forecasts_that_do_not_differ_say_nothing_about_differences():
    class Constant:
        def predict(self, x, fold):
            return np.full(x.shape[1], 0.1)

    units = simulate(9)
    with pytest.raises(DataError, match="at most 1 distinct values"):
        explore(summed(units), as_is, FOLDS, NAMES, CROSS_FITTED, Forecast(Constant()))


def test_a_forecast_of_fold_0_cannot_be_sequential():
    with pytest.raises(ConfigError, match="first_fold=1"):
        explore(summed(simulate(9)), as_is, FOLDS, NAMES, None, Forecast(Twice()))


def test_scores_that_are_not_finite_are_counted_and_refused():
    units = simulate(10)
    units.score[[3, 4]] = np.nan
    with pytest.raises(DataError, match="not finite"):
        explore(summed(units), as_is, FOLDS, NAMES)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"groups": 1}, "groups: found 1"),
        ({"fractions": (0.0, 0.5)}, "fractions"),
        ({"cells": 1000}, "cells: found 1000"),
        ({"validation": "none"}, "validation: found 'none'"),
        ({"confidence": 0.2}, "confidence"),
        ({"ridge": -1.0}, "ridge"),
    ],
)
def test_options_name_what_is_wrong(wrong, message):
    with pytest.raises(ConfigError, match=message):
        HeterogeneityOptions(**wrong)


def test_features_that_are_not_there_are_named():
    with pytest.raises(ConfigError, match=r"features: found \[7\]"):
        explore(summed(simulate(1)), as_is, FOLDS, NAMES, HeterogeneityOptions(features=(0, 7)))
