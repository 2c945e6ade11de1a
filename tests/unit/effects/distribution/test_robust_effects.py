"""``robust:`` from a table to its estimates, against outcomes that are cut by hand and Huber's equation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq

import truelift as tl
from tests.unit.effects.panels import with_column
from truelift.errors import ConfigError
from truelift.simulate.worlds.designed import skewed_outcomes

ASKED = {
    "treatment": "treated", "outcomes": "y", "cluster": "user", "buckets": 6, "estimands": ["ATE"],
}  # fmt: skip


def of_name(result, name: str):
    return next(e for e in result.estimates if e.estimand == name)


def test_the_winsorised_effect_is_the_effect_on_the_outcome_cut_by_hand():
    table = skewed_outcomes(3, 800, 200)[0]
    found = of_name(
        tl.estimate_effects(table, robust={"winsorise": 0.05}, **ASKED), "winsorised ATE"
    )
    y = table["y"].to_numpy()
    cut = with_column(table, "y", np.clip(y, *np.quantile(y, [0.05, 0.95])))
    by_hand = tl.estimate_effects(cut, inference={"small_samples": "cr1"}, **ASKED).estimates[0]
    assert found.estimate == pytest.approx(by_hand.estimate, rel=1e-6)
    assert found.standard_error == pytest.approx(by_hand.standard_error, rel=0.05)


def test_without_covariates_hubers_effect_solves_hubers_equation_in_either_arm():
    table = skewed_outcomes(4, 2000, 2000)[0]
    half = {"0": "0.5", "1": "0.5"}
    result = tl.estimate_effects(
        table, covariates=[], nuisances={"propensity": half}, robust={"huber": 1.345}, **ASKED
    )
    treated, y = table["treated"].to_numpy() == 1, table["y"].to_numpy()
    cut = 1.345 * 1.4826 * np.median(np.abs(y - np.median(y)))

    def location(values):
        return brentq(lambda t: np.clip(values - t, -cut, cut).mean(), values.min(), values.max())

    found = of_name(result, "Huber effect")
    wanted = location(y[treated]) - location(y[~treated])
    assert abs(found.estimate - wanted) < 0.2 * found.standard_error


def test_hubers_effect_is_found_where_few_are_treated_and_the_effect_is_far_beyond_the_cut():
    table = skewed_outcomes(7, 1000, 1000)[0]
    treated = (np.arange(1000) % 12 == 0).astype(np.int64)
    y = np.random.default_rng(8).normal(size=1000) + 7.0 * treated
    far = with_column(with_column(table, "treated", treated), "y", y)
    chances = {"0": "0.9167", "1": "0.0833"}
    found = of_name(
        tl.estimate_effects(
            far, covariates=[], nuisances={"propensity": chances}, robust={"huber": 1.345}, **ASKED
        ),
        "Huber effect",
    )
    assert found.estimate == pytest.approx(7.0, abs=0.4)
    assert found.standard_error < 0.2


def test_outliers_move_the_mean_and_not_what_is_robust():
    table = skewed_outcomes(5, 800, 200)[0]
    y, treated = table["y"].to_numpy().copy(), table["treated"].to_numpy()
    y[np.flatnonzero(treated)[:4]] += 500.0
    robust = {"winsorise": 0.02, "huber": 1.345}
    before, after = (
        tl.estimate_effects(t, robust=robust, **ASKED) for t in (table, with_column(table, "y", y))
    )
    for name, most in (("winsorised ATE", 0.3), ("Huber effect", 0.1)):
        assert abs(of_name(after, name).estimate - of_name(before, name).estimate) < most
    assert of_name(after, "ATE").estimate - of_name(before, "ATE").estimate > 1.0


def test_an_outcome_that_is_mostly_one_value_has_no_location():
    table = skewed_outcomes(6, 400, 100)[0]
    y = table["y"].to_numpy()
    spend = with_column(table, "y", np.where(y < np.quantile(y, 0.7), 0.0, y))
    result = tl.estimate_effects(spend, robust={"huber": 1.345}, **ASKED)
    assert "half of the outcomes or more are 0" in result.not_made["Huber effect of y"]


@pytest.mark.parametrize("robust", [{"winsorise": 0.5}, {"huber": 0.0}])
def test_cuts_that_leave_nothing_are_refused(robust):
    with pytest.raises(ConfigError, match=r"effects\.robust"):
        tl.estimate_effects(skewed_outcomes(6, 60, 30)[0], robust=robust, **ASKED)
