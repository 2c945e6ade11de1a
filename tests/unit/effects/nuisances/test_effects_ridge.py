"""The penalty that the options leave open: features over the units that a model is fitted on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from tests.unit.effects.reference import arrays
from truelift.effects.estimate import estimate_panel
from truelift.errors import ConfigError
from truelift.inference.normal_equations import ridge_per_unit
from truelift.settings import EffectOptions

STRICT = {"outcomes": ("y_spend",), "tolerance": 1e-24, "max_newton_steps": 30}


def test_a_number_is_kept_and_none_is_features_over_units():
    units = np.array([[100, 400], [50, 0]])
    assert ridge_per_unit(0.3, 7, units).tolist() == [[0.3, 0.3], [0.3, 0.3]]
    assert ridge_per_unit(0.0, 7, units).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert ridge_per_unit(None, 5, units).tolist() == [[0.05, 0.0125], [0.1, 5.0]]
    assert ridge_per_unit(None, 5, np.array(10_000_000)) == 5e-7


def test_every_model_has_the_penalty_of_its_own_units():
    """Ridge and penalised logit refitted on the rows outside a fold, without Gram matrices."""
    panel = simulate_panel(seed=8, units=300, clusters=60)
    estimation = estimate_panel(in_buckets(panel), EffectOptions(**STRICT))
    z, y, d, fold, _ = arrays(panel, "y_spend", 5)
    p = z.shape[1] - 1
    found = estimation.scoring.nuisances
    block = estimation.moments.design.block(panel.combine_chunks().to_batches()[0], None)
    outcomes = estimation.moments.outcomes
    for k in range(5):
        out, here = fold != k, fold == k
        predicted = found.predict(block[:, here], k)
        for arm in (0, 1):
            own = out & (d == arm)
            centre = z[own, 1:].mean(axis=0)
            x = z[own, 1:] - centre
            penalty = p * np.eye(p)  # p / n, and times n for sums in place of means
            slopes = np.linalg.solve(x.T @ x + penalty, x.T @ (y[own] - y[own].mean()))
            expected = y[own].mean() + (z[here, 1:] - centre) @ slopes
            scaled = outcomes.centre[0] + outcomes.scale[0] * predicted.outcome_regression[arm, 0]
            np.testing.assert_allclose(scaled, expected, rtol=1e-9)

        def objective(b, out=out):
            index = z[out] @ b
            loss = np.mean(np.logaddexp(0, index) - d[out] * index)
            return loss + 0.5 * p / out.sum() * np.sum(b[1:] ** 2)

        b = minimize(objective, np.zeros(p + 1), method="BFGS", options={"gtol": 1e-9}).x
        np.testing.assert_allclose(
            predicted.propensity[1], 1 / (1 + np.exp(-z[here] @ b)), atol=2e-6
        )


def test_weights_that_are_multiplied_change_no_penalty():
    panel = simulate_panel(seed=9, units=400, clusters=80)
    weight = np.random.default_rng(1).uniform(1, 3, 400)
    one, two = (
        estimate_panel(
            in_buckets(with_column(panel, "w", weight * factor)),
            EffectOptions(weight="w", **STRICT),
        ).result.estimates
        for factor in (1.0, 1000.0)
    )
    for a, b in zip(one, two, strict=True):
        assert b.estimate == pytest.approx(a.estimate, rel=1e-9)
        assert b.standard_error == pytest.approx(a.standard_error, rel=1e-9)


def test_it_moves_few_units_and_not_many():
    moved = []
    for units in (300, 30_000):
        panel = simulate_panel(seed=10, units=units, clusters=units // 5)
        open_, none = (
            estimate_panel(in_buckets(panel), EffectOptions(ridge=r, **STRICT)).result.estimates[0]
            for r in (None, 0.0)
        )
        moved.append(abs(open_.estimate - none.estimate) / none.standard_error)
    assert moved[0] > 0.01
    assert moved[1] < 0.01


def test_a_negative_penalty_is_refused():
    with pytest.raises(ConfigError, match=r"effects\.nuisances\.ridge"):
        EffectOptions(ridge=-0.1)
