"""Covariates that adjust for less than they seem to, and numbers that cannot be squared."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from truelift.effects.estimate import estimate_panel
from truelift.effects.panel.source import MemoryPanel
from truelift.effects.results import EffectsResult
from truelift.effects.support.covariate_checks import mark_of_missing
from truelift.errors import DataError
from truelift.settings import EffectOptions

N = 2000


@pytest.fixture(scope="module")
def rows() -> dict[str, np.ndarray]:
    g = np.random.default_rng(0)
    x = g.normal(size=N)
    t = (g.random(N) < 1 / (1 + np.exp(-x))).astype(int)
    y = x + t + g.normal(size=N)
    return {"id": np.arange(N), "x": x, "t": t, "y": y, "w": np.ones(N), "some": g.random(N)}


def estimated(rows: dict[str, object], **changes: object) -> EffectsResult:
    table = pa.table(rows)
    keys: dict[str, object] = {
        "treatment": "t", "outcomes": ("y",), "covariates": ("x",), "cluster": "id",
        "estimands": ("ATE",),
    }  # fmt: skip
    options = EffectOptions(**(keys | changes))  # type: ignore[arg-type]
    bucket = np.asarray(table["id"]) % 5
    source = MemoryPanel({j: table.filter(pa.array(bucket == j)) for j in range(5)})
    return estimate_panel(source, options).result


@pytest.mark.parametrize("x", [1.0, np.nan])
def test_covariates_that_do_not_vary_adjust_for_nothing_and_that_is_said(rows, x):
    (caution,) = estimated(rows | {"x": np.full(N, x)}).cautions
    assert caution.text.startswith("Nothing is adjusted for: no covariate (x) varies")


def test_what_many_units_miss_is_said(rows):
    shop = [None if s < 0.2 else f"s{int(10 * s)}" for s in rows["some"]]
    x = np.where(rows["some"] < 0.1, np.nan, rows["x"])
    result = estimated(rows | {"x": x, "shop": shop}, categorical={"shop": "one_hot"})
    (text,) = [c.text for c in result.cautions if c.text.startswith("Values are missing")]
    assert "'x' of 10%" in text or "'x' of 11%" in text or "'x' of 9%" in text
    assert "'shop' of " in text


def test_a_mark_for_missing_values_is_named(rows):
    x = np.where(rows["some"] < 0.05, 99999.0, rows["x"])
    result = estimated(rows | {"x": x})
    assert any("'x' is 99999 in many rows" in c.text for c in result.cautions)
    assert not estimated(rows).cautions


@pytest.mark.parametrize(
    ("usual", "mark"),
    [
        ([20.0, 30, 45, 61, 80], 999),
        ([-2.5, -1, 0.3, 1, 2.5], -999),
        ([0.0, 1, 2, 3, 7], -1),
        ([0.5, 1.5, 3.25, 9.75], -99),
    ],
)
def test_marks_are_found_among_other_numbers(usual, mark):
    values = np.concatenate([np.tile(usual, 100), np.full(10, float(mark))])
    assert mark_of_missing(values) == str(mark)


@pytest.mark.parametrize(
    "values",
    [
        np.arange(100.0),  # 99 is the last of many
        np.tile([-1.0, 0, 1], 50),
        np.tile([-2.0, -1, 0, 1], 50),
        np.concatenate([np.tile([0.0, 5, 10], 200), np.full(10, 5000.0)]),  # a cap
        np.zeros(0),
    ],
)
def test_numbers_that_mean_themselves_are_no_marks(values):
    assert mark_of_missing(values) == ""


@pytest.mark.parametrize("column", ["x", "y", "w"])
@pytest.mark.parametrize(("factor", "do"), [(1e200, "Divide"), (1e-200, "Multiply")])
def test_numbers_whose_squares_are_none_are_refused_by_name(rows, column, factor, do):
    with pytest.raises(DataError, match=rf"column '{column}': found values up to .* {do}"):
        estimated(rows | {column: rows[column] * factor}, weight="w")


def test_known_chances_need_no_covariate(rows):
    t = (np.random.default_rng(1).random(N) < 0.5).astype(int)
    changed = rows | {"t": t, "y": rows["y"] - rows["t"] + t, "x": np.ones(N)}
    assert not estimated(changed, propensity={"1": "0.5"}).cautions
