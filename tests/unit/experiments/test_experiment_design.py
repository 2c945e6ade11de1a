"""Designs: against published sample sizes and tables, simulation, and drawn from a known past."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy import special

import truelift as tl
from truelift.errors import ConfigError, DataError
from truelift.experiments.design import design_experiment
from truelift.experiments.history import read_history, resampled, with_history
from truelift.experiments.spec import ExperimentSpec
from truelift.inference.many_to_one import dunnett_quantile
from truelift.typed import from_plain


def spec_of(**keys):
    plain = {"name": "trial", "unit": "user", "metrics": {"spend": {}}, **keys}
    return from_plain(ExperimentSpec, plain)


def designed(baseline=None, design=None, **keys):
    plain = {"baseline": {"mean": 10.0, "sd": 2.0} if baseline is None else baseline}
    return design_experiment(spec_of(design={**plain, **(design or {})}, **keys))


def test_a_mean_takes_as_many_units_as_rs_power_t_test():
    # power.t.test(delta = 1, sd = 2, power = .8): 63.77 in each arm.
    assert [arm.units for arm in designed(design={"effect": 1.0}).arms] == [64, 64]


def test_a_rate_takes_as_many_units_as_published():
    # Chow, Shao & Wang (2008), section 4.2: .65 against .85 with power .8: 70 in each arm, by the
    # normal quantile; Student's takes one more.
    found = designed({"mean": 0.65}, {"effect": 0.2}, metrics={"bought": {"kind": "proportion"}})
    assert [arm.units for arm in found.arms] == [71, 71]


# Dunnett (1955, 1964), 5%, equal arms, to two digits.
@pytest.mark.parametrize(
    ("arms", "degrees", "two_sided", "published"),
    [(2, np.inf, True, 2.21), (3, np.inf, True, 2.35), (4, np.inf, True, 2.44), (2, 10, True, 2.57),
     (3, 20, True, 2.54), (2, np.inf, False, 1.92), (3, np.inf, False, 2.06), (2, 10, False, 2.15)],
)  # fmt: skip
def test_several_arms_are_compared_as_dunnetts_tables_say(arms, degrees, two_sided, published):
    found = dunnett_quantile([1.0] * (arms + 1), degrees, 0.05, two_sided)
    assert found == pytest.approx(published, abs=0.006)


def test_dunnett_needs_fewer_units_than_bonferroni_and_more_than_none():
    arms = {"control": 0.4, "a": 0.3, "b": 0.3}
    units = [
        designed(design={"effect": 0.5}, arms=arms, correction=by).units
        for by in ("none", "dunnett", "bonferroni")
    ]
    assert units == sorted(set(units))


def test_the_smallest_arm_has_the_power():
    found = designed(design={"effect": 0.5}, arms={"control": 0.5, "a": 0.35, "b": 0.15})
    even = designed(design={"effect": 0.5}, arms={"control": 0.5, "a": 0.25, "b": 0.25})
    assert found.units > even.units and found.power == pytest.approx(0.8, abs=0.005)


def test_effect_units_and_power_follow_from_each_other():
    by_effect = designed(design={"effect": 0.3})
    by_units = designed(design={"units": int(by_effect.units)})
    assert by_units.detectable == pytest.approx(0.3, rel=0.01)
    both = designed(design={"units": int(by_effect.units), "effect": 0.3})
    assert both.power == pytest.approx(by_effect.power)


def test_clusters_of_unequal_sizes_have_the_power_that_simulation_finds():
    base = {"mean": 0.0, "sd": 1.0, "icc": 0.1, "cluster_size": 10.5, "cluster_size_cv": 0.494}
    found = designed(base, {"effect": 0.25})
    assert found.design_effect == pytest.approx(1 + ((1 + 0.494**2) * 10.5 - 1) * 0.1)
    random = np.random.default_rng(1)
    clusters, repetitions = round(found.clusters / 2), 4000
    sizes = random.integers(2, 20, (2, repetitions, clusters))  # mean 10.5, cv 0.494
    noise = np.sqrt(0.1) * sizes * random.standard_normal(sizes.shape)
    sums = noise + np.sqrt(0.9 * sizes) * random.standard_normal(sizes.shape)
    sums[1] += 0.25 * sizes[1]
    means = sums.sum(axis=2) / sizes.sum(axis=2)
    spread = ((sums - means[..., None] * sizes) ** 2).sum(axis=2) / sizes.sum(axis=2) ** 2
    t = (means[1] - means[0]) / np.sqrt(spread.sum(axis=0) * clusters / (clusters - 1))
    share = (np.abs(t) > special.stdtrit(2 * clusters - 2, 0.975)).mean()
    assert share == pytest.approx(found.power, abs=0.025)


def test_cuped_takes_away_what_it_explains_and_take_up_dilutes():
    plain = designed(design={"effect": 0.1}).units
    known = designed({"mean": 10, "sd": 2, "explained": 0.4}, {"effect": 0.1}).units
    assert known == pytest.approx(0.6 * plain, rel=0.001)
    half = designed(design={"effect": 0.1, "take_up": 0.5}).units
    assert half == pytest.approx(4 * plain, rel=0.001)


def test_a_ratio_varies_as_the_delta_method_says():
    # Clicks by views; one by a constant is a mean.
    metrics = {"rate": {"kind": "ratio", "column": "clicks", "per": "views"}}
    base = {"mean": 2.0, "sd": 3.0, "per_mean": 20.0, "per_sd": 10.0, "correlation": 0.5}
    found = designed(base, {"effect": 0.01}, metrics=metrics)
    sd = np.sqrt(9 - 2 * 0.1 * 0.5 * 30 + 0.01 * 100) / 20
    assert found.units == designed({"mean": 0.1, "sd": sd}, {"effect": 0.01}).units


def test_a_median_of_normal_values_takes_half_of_pi_times_the_units_of_a_mean():
    median = designed(design={"effect": 0.1}, metrics={"wait": {"kind": "quantile"}}).units
    mean = designed(design={"effect": 0.1}).units
    assert median / mean == pytest.approx(np.pi / 2, rel=0.002)


def test_looks_cost_what_is_published():
    once = designed(design={"effect": 0.05}).units
    often = {
        by: designed(design={"effect": 0.05}, looks={"method": by, "planned": 5})
        for by in ("obrien_fleming", "pocock", "anytime")
    }
    # Spending functions of these kinds cost a little less than the constants of 1.028 and 1.229.
    assert often["obrien_fleming"].units / once == pytest.approx(1.028, abs=0.01)
    assert often["pocock"].units / once == pytest.approx(1.229, abs=0.03)
    assert often["anytime"].units > often["pocock"].units
    assert often["pocock"].expected_units < once


def test_one_sided_designs_are_smaller_and_look_in_the_good_direction():
    one = designed(design={"effect": 0.1}, alternative="greater").units
    z = special.ndtri([0.95, 0.975, 0.8])
    wanted = ((z[0] + z[2]) / (z[1] + z[2])) ** 2
    assert one / designed(design={"effect": 0.1}).units == pytest.approx(wanted, rel=0.01)
    metrics = {"spend": {"better": "lower"}}
    assert designed(design={"units": 500}, metrics=metrics).detectable < 0
    with pytest.raises(ConfigError, match="gains alone"):
        designed(design={"effect": 0.1}, alternative="greater", metrics=metrics)


@pytest.mark.parametrize(
    ("design", "said"),
    [
        ({"effect": 0.05, "units": 100}, "less than they miss it"),
        ({}, "neither effect"),
        ({"units": 3}, "at least two in each"),
        ({"effect": 0.0}, "nothing finds no effect"),
        ({"effect": 0.05, "units_per_day": 10, "most_days": 30}, "more than most_days"),
        ({"effect": 0.05, "power": 1.0}, "between 0 and 1"),
        ({"effect": 1e-9}, "more than 1e\\+12 clusters"),
    ],
)
def test_a_design_without_power_is_refused(design, said):
    with pytest.raises((ConfigError, DataError), match=said):
        designed(design=design)


def test_a_rate_cannot_leave_zero_to_one():
    metrics = {"bought": {"kind": "proportion"}}
    with pytest.raises(ConfigError, match="below 1"):
        designed({"mean": 0.95}, {"effect": 0.1}, metrics=metrics)
    with pytest.raises(ConfigError, match="however large"):
        designed({"mean": 0.9}, {"units": 12}, metrics=metrics)


def past(clusters=400, icc=0.2, seed=0):
    random = np.random.default_rng(seed)
    sizes = random.integers(1, 10, clusters)
    school = np.repeat(np.arange(clusters), sizes)
    n = len(school)
    shared = np.sqrt(icc) * random.standard_normal(clusters)[school]
    before = random.standard_normal(n)
    spend = 5 + shared + np.sqrt(1 - icc) * (0.6 * before + 0.8 * random.standard_normal(n))
    return pa.table({"user": np.arange(n), "school": school, "spend": spend, "before": before})


def test_the_past_gives_its_moments():
    spec = spec_of(cluster="school")
    found = with_history(spec, read_history(past(4000), spec)).design.baseline
    assert (found.mean, found.sd) == pytest.approx((5, 1), abs=0.03)
    assert found.icc == pytest.approx(0.2, abs=0.02)
    assert (found.cluster_size, found.cluster_size_cv) == pytest.approx((5, 0.52), abs=0.05)


def test_what_is_stated_wins_over_the_past():
    spec = spec_of(cluster="school", design={"baseline": {"icc": 0.5}})
    found = with_history(spec, read_history(past(), spec)).design.baseline
    assert found.icc == 0.5 and found.sd == pytest.approx(1, abs=0.1)


def test_a_past_that_some_units_lack_explains_as_much_whatever_its_level():
    metrics = {"spend": {"before": "before"}}
    spec = spec_of(metrics=metrics)
    table = past(2000, icc=0.0)
    holed = np.where(np.arange(table.num_rows) % 5 < 2, np.nan, table["before"].to_numpy() - 50)
    holes = pa.array(holed, from_pandas=True)
    there = table.set_column(table.schema.get_field_index("before"), "before", holes)
    found = with_history(spec, read_history(there, spec)).design.baseline
    assert found.explained == pytest.approx(0.6 * 0.36, abs=0.02)


def test_a_past_without_units_or_clusters_is_refused():
    table = past()
    for name in ("user", "school"):
        holes = pa.array([None, *table[name].to_pylist()[1:]])
        holed = table.set_column(table.schema.get_field_index(name), name, holes)
        with pytest.raises(DataError, match=f"'{name}': 1 rows are null, NaN or blank"):
            read_history(holed, spec_of(cluster="school"))


@pytest.mark.parametrize("before", ["", "before"])
def test_drawn_experiments_keep_the_level_and_have_the_designs_power(before):
    spec = spec_of(cluster="school", metrics={"spend": {"before": before}}, design={"effect": 0.2})
    history = read_history(past(3000), spec)
    spec = with_history(spec, history)
    design = design_experiment(spec)
    found = resampled(spec, design, history, "past", repetitions=3000)
    assert found.false_positives == pytest.approx(0.05, abs=4 * found.error(0.05))
    assert found.power == pytest.approx(design.power, abs=0.04)


@pytest.mark.parametrize("kind", ["mean", "answer"])
def test_a_past_of_texts_is_one_message(kind):
    table = pa.table({"user": range(40), "spend": ["much"] * 40, "age": range(40)})
    metric = {"kind": kind, "column": "spend"} | (
        {"covariates": ["age"]} if kind == "answer" else {}
    )
    spec = {"name": "x", "unit": "user", "metrics": {"spend": metric}, "design": {"effect": 1.0}}
    with pytest.raises(
        tl.TrueliftError, match="column 'spend': found type string, expected a number"
    ):
        tl.design_experiment(spec, table)


def test_a_past_of_few_clusters_or_without_variation_is_refused():
    spec = spec_of()
    with pytest.raises(DataError, match="at least 10"):
        read_history(past(2).slice(0, 3), spec)
    still = pa.table({"user": np.arange(50), "spend": np.ones(50)})
    with pytest.raises(DataError, match="does not vary"):
        read_history(still, spec)


def test_a_quantile_over_many_rows_a_unit_counts_units():
    # Ten rows a user that are all alike are one row; ten independent ones are worth ten users.
    random = np.random.default_rng(1)
    user = np.repeat(np.arange(2000), 10)
    alike = np.repeat(random.standard_normal(2000), 10)
    units = []
    for wait in (alike, random.standard_normal(20_000)):
        spec = spec_of(metrics={"wait": {"kind": "quantile"}}, design={"effect": 0.1})
        history = read_history(pa.table({"user": user, "wait": wait}), spec)
        units.append(design_experiment(with_history(spec, history)).units)
    assert units[0] / units[1] == pytest.approx(10, rel=0.2)
    one_row = designed({"sd": 1.0}, {"effect": 0.1}, metrics={"wait": {"kind": "quantile"}}).units
    assert units[0] == pytest.approx(one_row, rel=0.15)
