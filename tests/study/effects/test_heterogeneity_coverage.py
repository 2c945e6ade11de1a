"""A small seeded coverage study of everything that ranks effects, with and without differences.

Covariates are standard normal and the true effect is linear, so a linear model with slopes in
direction d has closed-form truths: the average effect of the units between two of its quantiles
is ``1 + slope * d[0] * E[z | quantiles]`` for a standard normal z.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from scipy import integrate, stats

from tests.unit.effects.heterogeneity_units import as_is, simulate, summed
from truelift.effects.heterogeneity import Heterogeneity, HeterogeneityOptions, explore

pytestmark = pytest.mark.study

FOLDS, REPETITIONS, SLOPE, GROUPS = 5, 120, 0.5, 4
NAMES = ("a", "b")
# Fewer cells and fractions than by default: the study is about errors, not about resolution.
QUICK = {"groups": GROUPS, "cells": 501, "fractions": (0.2,)}

_EDGES = stats.norm.ppf(np.linspace(0, 1, GROUPS + 1))
GROUP_MEANS = GROUPS * -np.diff(stats.norm.pdf(_EDGES))
AUTOC = integrate.quad(lambda q: stats.norm.pdf(stats.norm.isf(q)) / q, 0, 1)[0]


def repetition(seed: int, slope: float, validation: str) -> tuple[Heterogeneity, float]:
    """What is found, and the true slope of the effect on the (standardised) forecasts."""
    units = simulate(seed, units=1200, clusters=300, covariates=2, slopes=(slope,))
    run, seen = summed(units), {}

    def sum_pass(kernel):
        seen.update(kernel.forecasts)
        return run(kernel)

    found = explore(
        sum_pass, as_is, FOLDS, NAMES, HeterogeneityOptions(validation=validation, **QUICK)
    )
    slopes = seen["cate"].model.coefficients[:, 1:]
    first = seen["cate"].first_fold
    size = np.bincount(units.fold(FOLDS), minlength=FOLDS)[first:]
    direction = slopes[first:, 0] / np.linalg.norm(slopes[first:], axis=1)
    return found, float(slope * np.average(direction, weights=size))


def study(slope: float, validation: str = "sequential") -> dict[str, np.ndarray]:
    """By statistic, its distance from the truth in standard errors, and p-values of tests."""
    seen = defaultdict(list)
    for seed in range(REPETITIONS):
        found, along = repetition(seed, slope, validation)
        truth = {
            "group": list(zip(found.quantile_groups.groups, 1 + along * GROUP_MEANS, strict=True)),
            "difference": [
                (found.quantile_groups.difference, along * (GROUP_MEANS[-1] - GROUP_MEANS[0]))
            ],
            "AUTOC": [(found.targeting.autoc, along * AUTOC)],
            "top 20%": [
                (
                    found.targeting.rows[0].effect,
                    1 + along * 5 * stats.norm.pdf(stats.norm.isf(0.2)),
                )
            ],
            "best linear": list(zip(found.best_linear.terms, (1, slope, 0), strict=True)),
        }
        for name, pairs in truth.items():
            seen[name] += [(term.estimate - true) / term.standard_error for term, true in pairs]
        seen["p of slopes"].append(found.best_linear.joint.p_value)
        seen["p of equal groups"].append(found.quantile_groups.equal.p_value)
        seen["p of AUTOC"].append(found.targeting.autoc.p_value)
        seen["p of earlier folds"].append(found.targeting.sequential.p_value)
        seen["p of differential forecast"].append(found.calibration.differential_forecast.p_value)
    return {name: np.array(values) for name, values in seen.items()}


@pytest.fixture(scope="module")
def differing() -> dict[str, np.ndarray]:
    return study(SLOPE)


@pytest.fixture(scope="module")
def equal() -> dict[str, np.ndarray]:
    return study(0.0)


RANKED = ("group", "difference", "AUTOC", "top 20%")


@pytest.mark.parametrize("statistic", [*RANKED, "best linear"])
def test_intervals_cover_where_effects_differ(differing, statistic):
    # 3.5 binomial standard deviations around .95 at 120 repetitions.
    assert np.mean(np.abs(differing[statistic]) < 1.96) >= 0.88
    assert 0.8 < np.std(differing[statistic]) < 1.25


@pytest.mark.parametrize("statistic", [*RANKED, "best linear"])
def test_intervals_cover_where_no_effect_differs(equal, statistic):
    assert np.mean(np.abs(equal[statistic]) < 1.96) >= 0.88
    assert 0.8 < np.std(equal[statistic]) < 1.25


@pytest.mark.parametrize(
    "test",
    ["slopes", "equal groups", "AUTOC", "earlier folds", "differential forecast"],
)
def test_tests_keep_their_level_where_no_effect_differs(equal, differing, test):
    assert np.mean(equal[f"p of {test}"] < 0.05) <= 0.12
    assert np.mean(differing[f"p of {test}"] < 0.05) > 0.9


def test_cross_fitted_ranks_are_too_sure_where_no_effect_differs():
    """Why validation is sequential by default; the test with earlier folds is there either way."""
    found = study(0.0, "cross_fitted")
    assert np.std(found["difference"]) > 1.25
    assert np.std(found["AUTOC"]) > 1.25
    assert np.mean(found["p of earlier folds"] < 0.05) <= 0.12
