"""``design: did`` with covariates and weights, against loops over folds and cells."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import truelift as tl
from tests.unit.effects.panels import with_column
from truelift.effects.designs.differences.run import difference_effects
from truelift.effects.panel.source import MemoryPanel
from truelift.errors import DataError
from truelift.settings import EffectOptions
from truelift.settings.effect_sections import DifferencesSection, NuisanceSection
from truelift.simulate.worlds.staggered import trending_table, true_effect

FOLDS = 2


def in_memory(table: pa.Table, buckets: int = 4) -> MemoryPanel:
    bucket = table["region"].to_numpy() % buckets
    return MemoryPanel({b: table.filter(pa.array(bucket == b)) for b in range(buckets)})


def asked(**more) -> EffectOptions:
    return EffectOptions(
        design="did", treatment="begins", outcomes=("y",), unit="shop", cluster="region",
        differences=DifferencesSection("week"),
        nuisances=NuisanceSection(ridge=0.0, tolerance=1e-13, folds=FOLDS), **more,
    )  # fmt: skip


def made(table: pa.Table, buckets: int = 4, **more):
    return difference_effects(in_memory(table, buckets), asked(**more), lambda text: None)


def cells_of(result) -> dict[str, float]:
    return {e.population: e.estimate for e in result.estimates if e.estimand == "ATT(g,t)"}


def softmax_fit(x: np.ndarray, codes: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Multinomial logistic coefficients by plain Newton steps, the first class the reference."""
    classes, width = codes.max() + 1, x.shape[1]
    at = np.zeros((classes - 1) * width)
    for _ in range(25):
        chance = chances(x, at.reshape(classes - 1, width))[:, 1:]
        left = (codes[:, None] == np.arange(1, classes)) - chance
        gradient = (x.T @ (left * weight[:, None])).T.ravel()
        curvature = np.zeros((len(at), len(at)))
        for row, p, w in zip(x, chance, weight, strict=True):
            curvature += w * np.kron(np.diag(p) - np.outer(p, p), np.outer(row, row))
        at = at + np.linalg.solve(curvature, gradient)
    return at.reshape(classes - 1, width)


def chances(x: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    odds = np.exp(np.column_stack([np.zeros(len(x)), x @ coefficients.T]))
    return odds / odds.sum(axis=1, keepdims=True)


def by_loops(table: pa.Table, weighted: bool) -> dict[str, tuple[float, float]]:
    """ATT(g, t) by the formula of Sant'Anna and Zhao with folds of regions, and its clustered error."""
    frame = table.to_pandas().sort_values(["shop", "week"])
    first = frame.groupby("shop").first()
    y = frame.pivot(index="shop", columns="week", values="y").to_numpy()
    begins, region = first.begins.to_numpy(), first.region.to_numpy()
    weight = first["size"].to_numpy() if weighted else np.ones(len(first))
    x = np.column_stack([np.ones(len(first)), first.x_0, first.x_1])
    groups = np.array([0, 3, 4])
    chance = np.zeros((len(first), 3))
    fold = region % 4 % FOLDS
    for k in range(FOLDS):
        rest = fold != k
        coefficients = softmax_fit(x[rest], np.searchsorted(groups, begins[rest]), weight[rest])
        chance[fold == k] = chances(x[fold == k], coefficients)
    found = {}
    for g in (3, 4):
        for t in range(2, y.shape[1] + 1):
            base = g - 1 if t >= g else t - 1
            control = (begins == 0) | ((begins > max(t, base)) & (begins != g))
            change, foreseen = y[:, t - 1] - y[:, base - 1], np.zeros(len(first))
            for k in range(FOLDS):
                at = np.sqrt(weight) * (control & (fold != k))
                solved = np.linalg.lstsq(x * at[:, None], change * at, rcond=None)[0]
                foreseen[fold == k] = x[fold == k] @ solved
            compared = np.isin(groups, [0, *(c for c in (3, 4) if c > max(t, base) and c != g)])
            odds = chance[:, groups == g][:, 0] / chance[:, compared].sum(axis=1)
            one, zero = weight * (begins == g), weight * control * odds
            left = change - foreseen
            means = one @ left / one.sum(), zero @ left / zero.sum()
            influence = one * (left - means[0]) / one.sum() - zero * (left - means[1]) / zero.sum()
            sums = np.bincount(region, weights=influence)
            groups_of = len(np.unique(region))
            error = np.sqrt(np.sum(sums**2) * groups_of / (groups_of - 1))
            found[f"units treated from {g} on, in {t}"] = (means[0] - means[1], error)
    return found


@pytest.mark.parametrize("weighted", [False, True])
def test_cells_and_their_errors_are_the_doubly_robust_formula_by_loops(weighted):
    table = trending_table(3, shops=240, regions=60)
    result = made(table, weight="size" if weighted else None)
    wanted = by_loops(table, weighted)
    found = {e.population: e for e in result.estimates if e.estimand == "ATT(g,t)"}
    assert found.keys() == wanted.keys()
    for cell, (effect, error) in wanted.items():
        assert found[cell].estimate == pytest.approx(effect, abs=1e-7)
        assert found[cell].standard_error == pytest.approx(error, rel=1e-6)


def test_trends_that_hang_on_a_covariate_are_told_apart_only_by_adjusting():
    table = trending_table(5, shops=3000, regions=300)
    adjusted, plain = made(table), made(table, covariates=())
    assert adjusted.covariates == 2 and "doubly robust" in adjusted.estimates[0].method
    for e in adjusted.estimates:
        if e.estimand == "ATT(g,t)":
            assert abs(e.estimate - true_effect(e.population)) < 4 * e.standard_error
    assert adjusted.trends[0].pre_trend.p_value > 0.01 > plain.trends[0].pre_trend.p_value


def test_weights_of_two_are_a_unit_twice():
    table = trending_table(6, shops=200, regions=50)
    twice = table["shop"].to_numpy() % 3 == 0
    weighted = with_column(table, "size", np.where(twice, 2.0, 1.0))
    again = table.filter(pa.array(twice))
    again = with_column(again, "shop", again["shop"].to_numpy() + 10_000)
    doubled = pa.concat_tables([table, again])
    for covariates in ((), ("x_0", "x_1")):
        one = made(weighted, weight="size", covariates=covariates)
        two = made(doubled, covariates=covariates)
        assert cells_of(one) == pytest.approx(cells_of(two), abs=1e-8)
        for a, b in zip(one.estimates, two.estimates, strict=True):
            assert a.standard_error == pytest.approx(b.standard_error, rel=1e-6)


def test_a_covariate_that_changes_counts_as_it_was_in_the_first_period():
    table = trending_table(7, shops=200, regions=50)
    later = table["x_0"].to_numpy() + np.where(table["week"].to_numpy() > 1, table["y"], 0.0)
    order = np.random.default_rng(0).permutation(table.num_rows)
    result = made(with_column(table, "x_0", later).take(order))
    assert cells_of(result) == pytest.approx(cells_of(made(table)), abs=1e-9)
    assert any("Covariates or weights of 200 units change" in c.text for c in result.cautions)


def test_cohorts_that_covariates_tell_apart_are_not_supported():
    table = trending_table(8, shops=300, regions=60)
    told = 6.0 * (table["begins"].to_numpy() > 0) + table["x_1"].to_numpy()
    result = made(with_column(table, "x_0", told))
    assert not result.supported
    assert any("next to nobody to compare them with" in r for r in result.support[0].reasons)


def test_the_public_function_adjusts_and_weights_that_are_no_weights_are_refused():
    table = trending_table(9, shops=200, regions=50)
    keys = {
        "design": "did", "treatment": "begins", "outcomes": "y", "unit": "shop", "cluster": "region",
        "differences": {"time": "week"}, "buckets": 8,
    }  # fmt: skip
    result = tl.estimate_effects(table, covariates=["x_0"], weight="size", **keys)
    assert result.covariates == 1 and result.supported
    with pytest.raises(DataError, match="expected positive weights"):
        tl.estimate_effects(
            with_column(table, "size", np.zeros(table.num_rows)), weight="size", **keys
        )
