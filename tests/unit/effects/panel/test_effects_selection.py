"""Rows, arms, outcomes and clusters that count, and those that do not."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from truelift.arrays.keys import hash_keys
from truelift.effects.estimate import estimate_panel
from truelift.effects.look import look_further
from truelift.effects.results import EffectsResult
from truelift.errors import ConfigError, DataError
from truelift.settings import EffectOptions


@pytest.fixture(scope="module")
def panel() -> pa.Table:
    table = simulate_panel(seed=5, units=800, clusters=160)
    return with_column(table, "arm", np.array(["mail", "none", "call"])[np.arange(800) % 3])


def estimated(table: pa.Table, **options) -> EffectsResult:
    chosen = EffectOptions(**{"outcomes": ("y_spend",), **options})
    source = in_buckets(table)
    return look_further(source, estimate_panel(source, chosen), chosen).result


def numbers(result: EffectsResult) -> list[tuple[str, float, float, int]]:
    return [(e.named, e.estimate, e.standard_error, e.n) for e in result.estimates]


def test_a_filter_estimates_on_the_rows_that_meet_it(panel):
    kept = panel.filter(pa.array(panel["x_1"].to_numpy() > 3))
    found = estimated(panel, filter="x_1 > 3")
    assert numbers(found) == numbers(estimated(kept))
    assert found.selection == f"{kept.num_rows} of 800 rows are looked at: those with x_1 > 3."
    assert found.selection in found.summary()


def test_further_looks_see_the_filtered_rows_alone(panel):
    options = {"propensity": {"1": "0.5"}, "heterogeneity": True, "credibility": True,
               "placebos": 10, "leave_out": "campaign"}  # fmt: skip
    kept = panel.filter(pa.array(panel["x_1"].to_numpy() > 3))
    found, expected = estimated(panel, filter="x_1 > 3", **options), estimated(kept, **options)
    assert found.experiment == expected.experiment
    assert found.heterogeneity == expected.heterogeneity
    assert found.credibility == expected.credibility


def test_a_filter_that_leaves_no_row_says_so(panel):
    with pytest.raises(DataError, match=r"no rows with a value of .treated.*effects\.filter"):
        estimated(panel, filter="x_1 > 1000")


def test_a_filter_on_a_column_that_is_not_there_is_refused(panel):
    with pytest.raises(ConfigError, match=r"effects\.filter: panel has no column 'x_9'"):
        estimated(panel, filter="x_9 > 0")


def test_two_of_three_arms_are_compared_without_the_rows_of_the_third(panel):
    kept = panel.filter(pa.array(panel["arm"].to_numpy(zero_copy_only=False) != "call"))
    found = estimated(panel, treatment="arm", arms=("none", "mail"))
    assert numbers(found) == numbers(estimated(kept, treatment="arm", control="none"))
    assert list(found.arms) == ["none", "mail"]
    assert "the arms none, mail (1 more left out)" in found.selection


def test_chances_of_two_of_three_arms_are_those_given_one_of_the_two(panel):
    chances = {"none": "0.2", "mail": "0.3", "call": "0.5"}
    found = estimated(panel, treatment="arm", arms=("none", "mail"), propensity=chances)
    given = {"none": "0.4", "mail": "0.6"}
    expected = estimated(panel, treatment="arm", arms=("none", "mail"), propensity=given)
    assert [e.estimate for e in found.estimates] == pytest.approx(
        [e.estimate for e in expected.estimates], rel=1e-12
    )
    assert found.experiment == expected.experiment
    with pytest.raises(
        ConfigError, match=r"call is not among effects\.arms.*given that it has one"
    ):
        estimated(panel, treatment="arm", arms=("none", "mail"),
                  propensity={**chances, "mail": "x_1"})  # fmt: skip


def test_rows_without_a_treatment_are_refused_where_some_arms_are_listed_too(panel):
    values = panel["arm"].to_pylist()
    values[3] = None
    with pytest.raises(DataError, match=r"'arm': 1 rows are null.*`arm` is not null"):
        estimated(with_column(panel, "arm", values), treatment="arm", arms=("none", "mail"))


@pytest.mark.parametrize("value", [None, np.nan, np.inf])
def test_an_outcome_with_missing_values_does_not_refuse_the_others(panel, value):
    spoilt = panel["y_visits"].to_pylist()
    spoilt[:7] = [value] * 7
    table = with_column(panel, "y_visits", pa.array(spoilt, pa.float64()))
    options = {"outcomes": ("y_spend", "y_visits"), "propensity": {"1": "0.5"},
               "pre_outcomes": {"y_visits": "x_1"}, "negative_controls": ("y_visits",),
               "non_inferiority_margin": {"y_visits": 1.0}}  # fmt: skip
    found = estimated(table, **options)
    assert numbers(found) == numbers(estimated(panel, propensity={"1": "0.5"}))
    (caution,) = [c for c in found.cautions if "y_visits" in c.outcomes]
    assert "'y_visits' is not looked at: 7 rows have no finite value" in caution.text
    assert not caution.stops


def test_an_outcome_with_missing_values_does_not_spoil_the_encoding_of_categories(panel):
    spoilt = panel["y_visits"].to_pylist()
    spoilt[:7] = [None] * 7
    options = {"categorical": {"campaign": "target"}, "outcomes": ("y_visits", "y_spend")}
    found = estimated(with_column(panel, "y_visits", spoilt), **options)
    alone = estimated(panel, **{**options, "outcomes": ("y_spend",)})
    assert numbers(found) == numbers(alone)


def test_where_every_outcome_has_missing_values_they_are_refused(panel):
    spoilt = panel["y_spend"].to_pylist()
    spoilt[:7] = [None] * 7
    with pytest.raises(DataError, match=r"'y_spend' in 7 rows.*`y_spend` is not null"):
        estimated(with_column(panel, "y_spend", spoilt))


NAMELESS = {
    "null text": pa.array([None if i % 8 == 0 else f"c{i % 90}" for i in range(800)]),
    "blank text": pa.array([" " if i % 8 == 0 else f"c{i % 90}" for i in range(800)]),
    "null integer": pa.array([None if i % 8 == 0 else i % 90 for i in range(800)]),
    "NaN": pa.array([np.nan if i % 8 == 0 else float(i % 90) for i in range(800)]),
    "null of a dictionary": pa.array(
        [None if i % 8 == 0 else f"c{i % 90}" for i in range(800)]
    ).dictionary_encode(),
    "blank of a dictionary": pa.array(
        ["" if i % 8 == 0 else f"c{i % 90}" for i in range(800)]
    ).dictionary_encode(),
}


@pytest.mark.parametrize("kind", NAMELESS)
def test_rows_without_a_cluster_are_refused_with_their_number(panel, kind):
    table = with_column(panel, "household", pa.array(range(800)))
    table = table.set_column(table.column_names.index("household"), "household", NAMELESS[kind])
    with pytest.raises(DataError, match="cluster 'household': 100 rows are null, NaN or blank"):
        estimated(table, cluster="household")
    with pytest.raises(DataError, match="second_cluster 'household': 100 rows are null"):
        estimated(table, second_cluster="household")


def test_n_counts_units_whatever_they_weigh(panel):
    for weight in (0.001, 7.0):
        table = with_column(panel, "w", np.linspace(weight, 2 * weight, 800))
        found = estimated(table, weight="w", estimands=("APO", "ATE", "ATT"))
        assert "relative lift" in {e.estimand for e in found.estimates}
        assert {e.n for e in found.estimates} == {found.n} == {800}
        assert {e.n for e in found.followed} == {800}


def test_no_covariates_means_none_and_says_that_nothing_is_adjusted_for(panel):
    found = estimated(panel, covariates=(), estimands=("ATE", "naive difference"))
    assert found.covariates == 0
    ate, naive = found.estimates
    assert ate.estimate == pytest.approx(naive.estimate, abs=0.1)
    assert "Nothing is adjusted for" in found.cautions[0].text
    assert estimated(panel).covariates == 4
    known = estimated(panel, covariates=(), propensity={"1": "0.5"})
    assert known.covariates == 0 and not known.cautions


@pytest.mark.parametrize("spelling", ["nan", "None", "NULL", "<NA>"])
def test_clusters_that_are_called_nothing_are_said(panel, spelling):
    names = [spelling if i < 50 else name for i, name in enumerate(panel["user_key"].to_pylist())]
    table = with_column(panel, "user_key", names)
    place = (hash_keys(table["user_key"]) % 10).astype(np.int32)
    (caution,) = estimated(with_column(table, "bucket", place)).cautions
    assert "50 rows have a cluster called 'nan', 'None'" in caution.text
