"""Covariates that are made of the outcome or the treatment, in whatever form."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from truelift.effects.estimate import estimate_panel
from truelift.effects.panel.source import MemoryPanel
from truelift.effects.results import EffectsResult
from truelift.effects.support.leaks import Ranked
from truelift.settings import EffectOptions

N = 3000


@pytest.fixture(scope="module")
def world() -> dict[str, np.ndarray]:
    g = np.random.default_rng(0)
    x, noise = g.normal(size=N), g.normal(size=N)
    t = (g.random(N) < 1 / (1 + np.exp(-0.5 * x))).astype(int)
    y = 0.3 * t + x + g.normal(size=N)
    ranks = np.argsort(np.argsort(y)).astype(float)
    return {"x": x, "t": t, "y": y, "noise": noise, "ranks": ranks}


def estimated(world, v, categorical: bool = False, **changes) -> EffectsResult:
    table = pa.table(
        {"id": np.arange(N), "v": pa.array(v, from_pandas=True), **{n: world[n] for n in "txy"}}
    )
    keys = {
        "treatment": "t", "outcomes": ("y",), "covariates": ("x",) if categorical else ("x", "v"),
        "categorical": {"v": "one_hot"} if categorical else {}, "cluster": "id",
        "estimands": ("ATE", "ATT"),
    }  # fmt: skip
    options = EffectOptions(**(keys | changes))
    bucket = np.arange(N) % 5
    source = MemoryPanel({j: table.filter(pa.array(bucket == j)) for j in range(5)})
    return estimate_panel(source, options).result


OF_OUTCOME = {
    "a copy": lambda w: w["y"],
    "another unit": lambda w: 3 - 7 * w["y"],
    "with noise": lambda w: w["y"] + 0.25 * w["noise"],
    "a rank": lambda w: w["ranks"],
    "an exponential": lambda w: np.exp(2 * w["y"]),
    "a threshold": lambda w: (w["y"] > 0).astype(float),
    "a rare threshold": lambda w: (w["y"] > 2.5).astype(float),
    "a threshold with noise": lambda w: (w["y"] + 0.1 * w["noise"] > 0).astype(float),
    "deciles": lambda w: np.floor(10 * w["ranks"] / N),
    "a square": lambda w: w["y"] ** 2,
    "of the treated alone": lambda w: np.where(w["t"] == 1, w["y"], w["noise"]),
    "missing below a threshold": lambda w: np.where(w["y"] > 0, w["noise"], np.nan),
    "a residual": lambda w: w["y"] - w["x"],
    "of half of the units": lambda w: np.where(w["noise"] > 0, w["y"], w["noise"]),
    "another unit of half": lambda w: np.where(w["noise"] > 0, 100 * w["y"], 99 * w["noise"]),
    "a shift of half": lambda w: np.where(w["noise"] > 0, w["y"] - 40, w["noise"] - 40),
    "of a fifth of the units": lambda w: np.where(w["noise"] > 0.84, w["y"], 3 * w["noise"]),
}


@pytest.mark.parametrize("form", OF_OUTCOME)
def test_a_covariate_that_is_made_of_the_outcome_stops_support(world, form):
    result = estimated(world, OF_OUTCOME[form](world))
    assert not any(result.supports(e) for e in result.estimates)
    assert any(c.stops and c.outcomes == ("y",) for c in result.cautions)
    assert "effects.covariates" in result.verdict


OF_TREATMENT = {
    "a copy": lambda w: w["t"].astype(float),
    "another unit": lambda w: 2.0 * w["t"] + 3,
    "with noise": lambda w: w["t"] + 0.1 * w["noise"],
    "nearly a copy": lambda w: np.where(w["noise"] > 2.2, 1 - w["t"], w["t"]).astype(float),
    "missing for controls": lambda w: np.where(w["t"] == 1, w["noise"], np.nan),
}


@pytest.mark.parametrize("form", OF_TREATMENT)
def test_a_covariate_that_is_made_of_the_treatment_stops_support(world, form):
    result = estimated(world, OF_TREATMENT[form](world))
    assert not any(result.supports(e) for e in result.estimates)
    assert any(c.stops and "treatment 't'" in c.text for c in result.cautions)


@pytest.mark.parametrize("of", ["y", "t"])
def test_a_class_of_the_outcome_or_the_treatment_stops_support(world, of):
    classes = np.where(world[of] > 0.5, "high", "low")
    result = estimated(world, classes, categorical=True)
    assert any(c.stops and "'v' is a class of" in c.text for c in result.cautions)


@pytest.mark.parametrize("levels", [2, 50])
def test_a_text_that_holds_the_treatment_beside_something_else_stops_support(world, levels):
    number = np.floor(1e6 * np.abs(world["noise"])).astype(int) % levels
    texts = [f"{'mail' if t else 'none'}-{k}" for t, k in zip(world["t"], number, strict=True)]
    result = estimated(world, texts, categorical=True)
    assert any(c.stops and "'v'" in c.text and "treatment 't'" in c.text for c in result.cautions)


def test_a_category_whose_units_share_the_outcome_stops_support(world):
    result = estimated(world, np.floor(world["ranks"] / 5).astype(int), categorical=True)
    assert any(c.stops and "'v' tells the outcome 'y'" in c.text for c in result.cautions)


def test_common_values_that_two_columns_share_are_no_copy(world):
    spend = np.where(world["noise"] > 1.2, np.round(50 * world["noise"], 2), 0.0)
    before = np.where(world["y"] > 1, np.round(40 * np.abs(world["y"]), 2), 0.0)
    result = estimated(world | {"y": spend}, before)
    assert not [c for c in result.cautions if c.stops]


@pytest.mark.parametrize("level", [1e9, 1.7e9, 1e12])
def test_a_covariate_or_an_outcome_of_a_large_level_is_no_copy(world, level):
    result = estimated(world, world["noise"] + level)
    assert not [c for c in result.cautions if c.stops]
    result = estimated(world | {"y": world["y"] + level}, world["noise"])
    assert not [c for c in result.cautions if c.stops]
    half = np.where(world["noise"] > 0, world["y"], world["noise"]) + 1e6
    assert any(c.stops for c in estimated(world, half).cautions)


def test_an_arm_in_which_the_outcome_has_one_value_is_not_taken_for_a_leak(world):
    only_treated = np.where(world["t"] == 1, world["y"], 0.0)
    result = estimated(world | {"y": only_treated}, world["noise"])
    assert not [c for c in result.cautions if c.stops]
    assert any("same value in every row of arm 0" in c.text for c in result.cautions)


FINE = {
    "noise": lambda w: w["noise"],
    "an earlier value": lambda w: w["x"] + w["noise"],
    "a strong forecast": lambda w: w["y"] + 0.7 * w["noise"],
    "whole numbers": lambda w: np.round(20 * w["x"] + 5 * w["noise"]),
    "cents": lambda w: np.round(w["y"] + 0.7 * w["noise"], 2),
    "a rare flag": lambda w: (w["noise"] > 2.5).astype(float),
    "missing at random": lambda w: np.where(w["noise"] > 1, np.nan, w["x"]),
    "constant": lambda w: np.ones(N),
    "a propensity's index": lambda w: 3 * w["x"],
}


@pytest.mark.parametrize("form", FINE)
def test_a_covariate_that_only_forecasts_stops_nothing(world, form):
    result = estimated(world, FINE[form](world))
    assert not [c for c in result.cautions if c.stops]
    assert all(result.supports(e) for e in result.estimates)


def test_what_is_said_to_be_from_before_may_be_as_close_as_it_likes(world):
    close = world["y"] + 0.2 * world["noise"]
    result = estimated(world, close, pre_outcomes={"y": "v"})
    assert not [c for c in result.cautions if c.stops]
    assert "explain" in result.cautions[0].text
    assert "pre_outcomes" not in result.cautions[0].text


def test_an_earlier_outcome_that_is_not_adjusted_for_excuses_no_other_column(world):
    result = estimated(world, world["y"] - world["x"], pre_outcomes={"y": "noise"})
    assert not result.supported


def test_two_columns_that_are_the_outcome_together_stop_support(world):
    table = world | {"x": world["noise"]}
    result = estimated(table, world["y"] - world["noise"])
    assert not result.supported
    assert "The covariates explain 100.00%" in result.verdict


@pytest.mark.parametrize("seed", range(3))
def test_xi_is_that_of_chatterjees_formula(seed):
    g = np.random.default_rng(seed)
    x, y = g.permutation(50).astype(float), g.integers(0, 6, 50).astype(float)
    ordered = y[np.argsort(x)]
    r = np.array([(ordered <= v).sum() for v in ordered])
    above = np.array([(ordered >= v).sum() for v in ordered])
    expected = 1 - 50 * np.abs(np.diff(r)).sum() / (2 * (above * (50 - above)).sum())
    assert Ranked.of(x).tells(Ranked.of(y)) == pytest.approx(expected)


def test_xi_of_normal_numbers_is_what_the_threshold_says():
    g = np.random.default_rng(1)
    x = g.normal(size=20_000)
    y = np.sqrt(0.975) * x + np.sqrt(0.025) * g.normal(size=20_000)
    assert Ranked.of(x).tells(Ranked.of(y)) == pytest.approx(0.85, abs=0.01)
