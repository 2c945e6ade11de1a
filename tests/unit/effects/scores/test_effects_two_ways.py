"""Clusters in two ways that cross: V1 + V2 - V12 by one further pass."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from tests.unit.effects.reference import arrays, clustered_error
from tests.unit.effects.test_effects_estimates import find, same, scores_of
from truelift.effects.estimate import estimate_panel
from truelift.errors import ConfigError, DataError, TableError
from truelift.settings import EffectOptions

TWO_WAYS = EffectOptions(outcomes=("y_spend",), second_cluster="week", small_samples="cr1")


@pytest.fixture(scope="module")
def panel() -> pa.Table:
    """Households of twelve weeks; the units of a week share a shock."""
    table = simulate_panel(seed=21, units=1500, clusters=150)
    rng = np.random.default_rng(4)
    week = rng.integers(0, 12, 1500)
    shock = 2 * rng.normal(size=12)[week] * (table["treated"].to_numpy() - 0.5)
    table = with_column(table, "y_spend", table["y_spend"].to_numpy() + shock)
    return with_column(table, "week", [f"w{w}" for w in week])


def two_way_error(influence: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Three sandwiches by brute force."""
    _, second = np.unique(second, return_inverse=True)
    both = first * 1000 + second
    squares = [clustered_error(influence, keys) ** 2 for keys in (first, second, both)]
    return float(np.sqrt(squares[0] + squares[1] - squares[2]))


def test_the_error_is_that_of_three_sandwiches(panel):
    source = in_buckets(panel)
    estimation = estimate_panel(source, TWO_WAYS)
    rows = pa.concat_tables(source.buckets.values())
    _, first = np.unique(rows["user_key"].to_numpy(zero_copy_only=False), return_inverse=True)
    second = rows["week"].to_numpy(zero_copy_only=False)
    scores = scores_of(estimation, source.buckets)
    ate = find(estimation.result, "ATE")
    expected = two_way_error(scores - scores.mean(), first, second)
    assert ate.standard_error == pytest.approx(expected, rel=1e-9)
    alone = estimate_panel(source, EffectOptions(outcomes=("y_spend",), small_samples="cr1")).result
    assert ate.estimate == find(alone, "ATE").estimate
    assert ate.standard_error > 1.2 * find(alone, "ATE").standard_error


def test_the_naive_difference_is_that_of_a_regression_clustered_in_two_ways(panel):
    statsmodels = pytest.importorskip("statsmodels.api")
    _, y, d, _, first = arrays(panel, "y_spend", 5)
    _, second = np.unique(panel["week"].to_numpy(zero_copy_only=False), return_inverse=True)
    fit = statsmodels.OLS(y, np.column_stack([np.ones(len(d)), d])).fit(
        cov_type="cluster", cov_kwds={"groups": np.column_stack([first, second])}
    )
    naive = find(estimate_panel(in_buckets(panel), TWO_WAYS).result, "naive difference")
    assert naive.estimate == pytest.approx(fit.params[1], rel=1e-9)
    # Its factors have (n - 1) / (n - 2) besides.
    factor = np.sqrt((len(y) - 1) / (len(y) - 2))
    assert naive.standard_error == pytest.approx(fit.bse[1] / factor, rel=1e-8)


def test_degrees_of_freedom_are_those_of_the_way_with_fewer_clusters(panel):
    for e in estimate_panel(in_buckets(panel), TWO_WAYS).result.estimates:
        assert e.degrees_of_freedom == 11
        assert "150 x 12 clusters" in e.method


def test_a_second_way_that_is_the_first_changes_nothing(panel):
    table = with_column(panel, "week", panel["user_key"].to_pylist())
    one_way = EffectOptions(outcomes=("y_spend",), small_samples="cr1")
    two, one = (estimate_panel(in_buckets(table), o).result for o in (TWO_WAYS, one_way))
    same(two, one, 1e-9)


def test_the_order_of_rows_and_the_size_of_blocks_change_nothing(panel, monkeypatch):
    one = estimate_panel(in_buckets(panel), TWO_WAYS).result
    monkeypatch.setattr("truelift.effects.panel.columns.PanelColumns.batch_rows", lambda self: 77)
    order = pa.array(np.random.default_rng(0).permutation(panel.num_rows))
    same(estimate_panel(in_buckets(panel.take(order)), TWO_WAYS).result, one, 1e-12)


def test_variances_do_not_depend_on_what_else_is_estimated(panel):
    many = EffectOptions(
        outcomes=("y_spend", "y_visits"), estimands=("ATE", "ATT", "ATO", "APO", "GATE"),
        groups=("campaign",), second_cluster="week", small_samples="cr1",
    )  # fmt: skip
    among = find(estimate_panel(in_buckets(panel), many).result, "ATE")
    alone = find(estimate_panel(in_buckets(panel), TWO_WAYS).result, "ATE")
    assert among.standard_error == pytest.approx(alone.standard_error, rel=1e-9)


def test_a_column_with_one_value_or_none_is_refused(panel):
    table = with_column(panel, "week", ["w"] * panel.num_rows)
    with pytest.raises(DataError, match=r"'week' \(effects.second_cluster\) has 1 value"):
        estimate_panel(in_buckets(table), TWO_WAYS)
    with pytest.raises(TableError, match="no column 'week'"):
        estimate_panel(in_buckets(panel.drop_columns(["week"])), TWO_WAYS)
    with pytest.raises(ConfigError, match=r"effects\.second_cluster"):
        EffectOptions(second_cluster="user_key")
