"""Panels that cannot support an estimate: one clear message each, naming what was found."""

from __future__ import annotations

import datetime
import re

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from truelift.effects.estimate import estimate_panel
from truelift.errors import ConfigError, DataError, TableError
from truelift.settings import EffectOptions


def refusal(table: pa.Table, error: type[Exception] = DataError, **options) -> str:
    with pytest.raises(error) as caught:
        estimate_panel(in_buckets(table), EffectOptions(**options))
    return str(caught.value)


@pytest.fixture(scope="module")
def panel():
    return simulate_panel(units=400, clusters=100)


@pytest.mark.parametrize("arm", [0, 1])
def test_one_arm_only_is_refused_with_its_value(panel, arm):
    message = refusal(with_column(panel, "treated", np.full(400, arm, np.int32)))
    assert f"every row has 'treated' = '{arm}'" in message
    assert "needs both arms" in message


def test_no_rows_is_refused(panel):
    assert "panel has no rows" in refusal(panel.slice(0, 0))


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({"treatment": "mailed"}, "'mailed'"),
        ({"outcomes": ("y_spend", "y_profit")}, "'y_profit'"),
        ({"covariates": ("x_0", "x_9")}, "'x_9'"),
        ({"cluster": "person"}, "'person'"),
    ],
)
def test_missing_column_is_refused_with_the_columns_there_are(panel, options, missing):
    message = refusal(panel, TableError, **options)
    assert f"has no column {missing}" in message
    assert "user_key" in message
    assert "x_3" in message


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"covariates": ("X_0",)}, r"Did you mean 'x_0'\? Set effects\.covariates\."),
        ({"cluster": "userkey"}, r"Did you mean 'user_key'\? Set effects\.cluster\."),
        ({"covariates": ("x_*",)}, "without wildcards"),
        ({"cluster": "user_key, campaign"}, r"\[user_key, campaign\]"),
        (
            {"propensity": {"1": "50%", "0": "50%"}},
            r"such as 0\.5\. Set effects\.nuisances\.propensity\.",
        ),
        ({"propensity": {"1": "1/2", "0": "1/2"}}, r"such as 0\.5"),
    ],
)
def test_a_name_that_is_not_there_leads_on(panel, options, says):
    assert re.search(says, refusal(panel, TableError, **options))


KINDS = {
    "a text": (["1.5"] * 400, "pd.to_numeric"),
    "a date": ([datetime.date(2024, 1, 1)] * 400, "days since a date"),
    "a duration": ([datetime.timedelta(1)] * 400, "days since a date"),
    "categories": (pa.array(["a"] * 400).dictionary_encode(), "astype('float64')"),
    "nothing": (pa.nulls(400), "no values at all"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", ["outcomes", "weight", "covariates"])
def test_a_column_of_another_type_is_refused_with_its_part_and_a_way_on(panel, kind, part):
    values, way = KINDS[kind]
    named = "v" if part == "weight" else ("v",)
    message = refusal(with_column(panel, "v", values), TableError, **{part: named})
    assert f"expected a number (effects.{part})" in message and way in message
    assert ("effects.features.categorical" in message) == (
        part == "covariates" and kind != "nothing"
    )


@pytest.mark.parametrize("part", ["outcomes", "covariates"])
def test_a_column_that_is_listed_twice_is_said_to_be(panel, part):
    assert "'x_0' is listed twice" in refusal(panel, DataError, **{part: ("x_0", "x_0")})


def test_a_table_without_covariates_is_refused(panel):
    names = [n for n in panel.column_names if not n.startswith("x_")]
    assert "no covariates" in refusal(panel.select(names), TableError)


def test_text_covariate_is_refused_with_its_type(panel):
    message = refusal(with_column(panel, "x_text", ["a"] * 400), TableError)
    assert "'x_text': found type string" in message


@pytest.mark.parametrize(
    ("value", "missing"),
    [(np.nan, "refuse"), (None, "refuse"), (np.inf, "indicator"), (-np.inf, "indicator")],
)
def test_values_that_are_not_finite_are_refused_with_column_and_count(panel, value, missing):
    values = panel["x_1"].to_pylist()
    values[3] = values[250] = value
    message = refusal(with_column(panel, "x_1", pa.array(values, pa.float64())), missing=missing)
    assert "'x_1' in 2 rows" in message
    assert "x_0" not in message


def test_missing_outcome_is_refused_with_its_count(panel):
    values = panel["y_visits"].to_pylist()
    values[0] = None
    table = with_column(panel, "y_visits", values)
    assert "'y_visits' in 1 rows" in refusal(table, outcomes=("y_visits",))


def test_outcome_among_the_covariates_is_refused(panel):
    message = refusal(panel, covariates=("x_0", "y_spend"))
    assert "'y_spend' is both outcome and covariate" in message


def test_treatment_among_the_covariates_is_refused(panel):
    message = refusal(panel, covariates=("x_0", "treated"))
    assert "'treated' is both treatment and covariate" in message


def test_a_dose_is_refused_with_values_found(panel):
    message = refusal(with_column(panel, "treated", np.arange(400) % 37))
    assert "'treated' has 37 distinct values (0, 1, 2" in message
    assert "at most 20 arms" in message


def test_rows_without_a_treatment_are_refused_with_their_number(panel):
    values = panel["treated"].to_pylist()
    values[7] = None
    assert "'treated': 1 rows are null" in refusal(with_column(panel, "treated", values))


def test_arms_that_no_row_has_are_refused_with_those_there_are(panel):
    assert "no row has 'treated' = '2'; values found: 0, 1" in refusal(panel, arms=("0", "2"))
    assert "effects.arms names '0' alone, of the values 0, 1" in refusal(panel, arms=("0",))


def test_an_arm_that_lies_in_one_fold_is_refused(panel):
    only = (panel["bucket"].to_numpy() % 5 == 3) & (panel["treated"].to_numpy() == 1)
    message = refusal(with_column(panel, "treated", only.astype(np.int32)))
    assert "all rows with 'treated' = '1' lie in fold 3" in message


@pytest.mark.parametrize("weight", [0.0, -1.0])
def test_weights_that_are_not_positive_are_refused_with_their_number(panel, weight):
    weights = np.ones(400)
    weights[:3] = weight
    message = refusal(with_column(panel, "w", weights), weight="w")
    assert "weight 'w': 3 rows are zero or negative" in message


def test_a_known_propensity_outside_zero_and_one_is_refused(panel):
    chances = np.full(400, 0.5)
    chances[:2] = 0.0
    message = refusal(with_column(panel, "chance", chances), propensity={"1": "chance"})
    assert "the known propensities of 2 rows" in message


def test_a_policy_that_is_no_arm_and_no_column_is_refused(panel):
    options = {"policies": {"nobody": "never"}, "estimands": ("policy value",)}
    with pytest.raises(ConfigError, match=r"policies\.nobody: found 'never', which is neither"):
        estimate_panel(in_buckets(panel), EffectOptions(**options))


def test_few_clusters_in_an_arm_are_refused_with_the_number_found():
    table = simulate_panel(units=400, clusters=100)
    treated = np.isin(table["user_key"].to_pylist(), [f"household-{i}" for i in range(12)])
    message = refusal(with_column(table, "treated", treated.astype(np.int32)))
    assert "the treated arm has 12 clusters" in message
    assert "at least 20" in message


def test_clusters_in_two_buckets_are_refused(panel):
    buckets = (np.arange(400) % 10).astype(np.int32)
    message = refusal(with_column(panel, "bucket", buckets))
    assert "in more than one bucket" in message
    assert "'user_key'" in message


def test_one_cluster_in_two_buckets_is_found_when_clusters_are_few(panel):
    buckets = panel["bucket"].to_numpy().copy()
    mine = np.flatnonzero(np.array(panel["user_key"].to_pylist()) == "household-7")
    assert len(mine) > 1
    buckets[mine[0]] = (buckets[mine[0]] + 1) % 10
    assert "at least 1 values of the cluster" in refusal(with_column(panel, "bucket", buckets))


def test_all_rows_in_one_fold_are_refused(panel):
    message = refusal(with_column(panel, "bucket", np.full(400, 5, np.int32)))
    assert "1 of 5 cross-fitting folds" in message
