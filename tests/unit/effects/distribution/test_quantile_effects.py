"""``quantiles:`` from a table to its estimates and sentences."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import truelift as tl
from tests.unit.effects.panels import with_column
from tests.unit.report.test_report_any_table import page_of, words
from truelift.errors import ConfigError
from truelift.simulate.worlds.designed import skewed_outcomes

ASKED = {
    "treatment": "treated", "outcomes": "y", "cluster": "user", "buckets": 6, "estimands": ["ATE"],
    "quantiles": [0.25, 0.5, 0.75],
}  # fmt: skip


def by_name(result) -> dict[tuple[str, str], float]:
    return {(e.estimand, e.population): e.estimate for e in result.estimates}


def test_a_change_of_units_changes_quantile_effects_alike():
    table = skewed_outcomes(3, units=800, clusters=200)[0]
    moved = with_column(table, "y", 5.0 + 2.0 * table["y"].to_numpy())
    found, other = (by_name(tl.estimate_effects(t, **ASKED)) for t in (table, moved))
    assert len(found) == 7
    for key, value in found.items():
        assert other[key] == pytest.approx(2.0 * value, rel=1e-6)


def test_without_covariates_quantile_effects_are_differences_of_the_arms_own_quantiles():
    table = skewed_outcomes(4, units=4000, clusters=4000)[0]
    half = {"0": "0.5", "1": "0.5"}
    result = tl.estimate_effects(
        table, covariates=[], nuisances={"propensity": half}, inference={"simultaneous": False}, **ASKED
    )  # fmt: skip
    treated, y = table["treated"].to_numpy() == 1, table["y"].to_numpy()
    for level in ASKED["quantiles"]:
        effect = np.quantile(y[treated], level) - np.quantile(y[~treated], level)
        found = next(e for e in result.estimates if e.population == f"the {level} quantile")
        assert abs(found.estimate - effect) < 0.35 * found.standard_error


def test_a_quantile_where_many_have_one_value_is_not_made_and_says_so():
    table = skewed_outcomes(5, units=600, clusters=150)[0]
    y = table["y"].to_numpy()
    spend = np.where(y < np.quantile(y, 0.6), 0.0, y)
    result = tl.estimate_effects(
        with_column(table, "y", spend), **(ASKED | {"quantiles": [0.3, 0.9]})
    )
    assert "have the one value 0 there" in result.not_made["quantile effect at 0.3 of y"]
    assert {e.population for e in result.estimates if e.estimand == "quantile effect"} == {
        "the 0.9 quantile"
    }


def test_a_value_that_half_of_a_small_arm_have_is_named_though_it_is_rare_over_all_arms():
    rng = np.random.default_rng(7)
    treated = (rng.random(2500) < 0.9).astype(np.int64)
    y = 0.5 + np.abs(rng.normal(size=2500) + treated)
    y[(treated == 0) & (rng.random(2500) < 0.55)] = 0.0
    assert (y == 0).mean() < 0.07
    table = {"user": np.arange(2500).astype(str), "treated": treated, "y": y}
    result = tl.estimate_effects(
        pa.table(table), covariates=[], **(ASKED | {"quantiles": [0.25, 0.5, 0.9]})
    )
    for level in ("0.25", "0.5"):
        told = result.not_made[f"quantile effect at {level} of y"]
        assert "of the arm 0 have the one value 0 there" in told
    assert {e.population for e in result.estimates if e.estimand == "quantile effect"} == {
        "the 0.9 quantile"
    }


def test_bands_over_the_grid_are_wider_than_intervals():
    result = tl.estimate_effects(skewed_outcomes(6, 600, 150)[0], **ASKED)
    for e in result.estimates[1:]:
        assert e.band_lower < e.ci_lower < e.ci_upper < e.band_upper


@pytest.mark.parametrize("levels", [[0.0, 0.5], [1.0], [0.5, 0.5], [50]])
def test_levels_are_different_numbers_between_0_and_1(levels):
    with pytest.raises(ConfigError, match="quantiles"):
        tl.estimate_effects(skewed_outcomes(6, 60, 30)[0], **(ASKED | {"quantiles": levels}))


def test_the_page_draws_effects_along_the_distribution():
    result = tl.estimate_effects(skewed_outcomes(6, 600, 150)[0], **ASKED)
    text = words(page_of(result))
    assert "along its distribution" in text and "the 0.25 quantile" in text
