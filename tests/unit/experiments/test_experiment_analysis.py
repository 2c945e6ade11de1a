"""Analyses of experiments: against tests over units, brute force over rows, and simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from truelift.effects.panel.any_table import cut_table
from truelift.errors import ConfigError, DataError, TableError
from truelift.experiments.analysis.layout import layout_of
from truelift.experiments.analysis.order_statistics import Target, order_statistics
from truelift.experiments.analysis.results import Look
from truelift.experiments.analysis.run import analyze
from truelift.experiments.analysis.sources import rows_here
from truelift.experiments.spec import ExperimentSpec
from truelift.lake.foreign import frame_table
from truelift.typed import from_plain

METRICS = {
    "spend": {"before": "spend_before"},
    "bought": {"kind": "proportion", "column": "spend"},
    "rate": {"kind": "ratio", "column": "clicks", "per": "views"},
    "wait": {"kind": "quantile", "quantile": 0.9, "better": "lower"},
}


def spec_of(**keys):
    plain = {"name": "trial", "unit": "user", "metrics": METRICS, "primary": "spend", **keys}
    return from_plain(ExperimentSpec, plain)


def world(users=400, effect=0.5, seed=0, days=4):
    """Users with a row a day; what they are like is in all of their rows."""
    random = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), days)
    n = len(user)
    arm = np.where(random.random(users) < 0.5, "control", "treated")[user]
    like, treated = random.standard_normal(users), arm == "treated"
    views = random.integers(1, 9, n)
    spend = np.maximum(like[user] + random.standard_normal(n) + effect * treated, 0)
    return pa.table({
        "user": user, "arm": arm, "spend": spend, "spend_before": like[user] + 3.0,
        "clicks": random.binomial(views, np.where(like[user] > 0, 0.4, 0.2)), "views": views,
        "wait": np.exp(0.5 * like[user] + random.standard_normal(n)), "day": np.tile(np.arange(days), users),
        "device": np.array(["phone", "desk"])[random.integers(0, 2, n)],
    })  # fmt: skip


def analysed(rows, spec=None, earlier=()):
    spec = spec or spec_of()
    return analyze(rows_here(frame_table(rows, "the rows"), spec), spec, earlier)


def of(found, metric, method="difference"):
    return next(e for e in found.effects if (e.metric, e.method) == (metric, method))


@pytest.fixture(scope="module")
def rows():
    return world()


@pytest.fixture(scope="module")
def found(rows):
    return analysed(rows)


def test_buckets_in_which_an_arm_has_nobody_add_up_too():
    rows = world(users=60)
    table = frame_table(rows, "the rows")
    one, many = (analyze(cut_table(table, rows, "user", b), spec_of()) for b in (1, 40))
    for whole, parts in zip(one.effects, many.effects, strict=True):
        assert parts.estimate == pytest.approx(whole.estimate, rel=1e-9)
        assert parts.standard_error == pytest.approx(whole.standard_error, rel=1e-7)


def totals(rows, column):
    frame = rows.to_pandas().groupby(["user", "arm"], as_index=False)[column].sum()
    return (frame[column][frame.arm == a].to_numpy() for a in ("control", "treated"))


def test_a_mean_is_welchs_test_of_the_users_totals(rows, found):
    control, treated = totals(rows, "spend")
    expected = stats.ttest_ind(treated, control, equal_var=False)
    effect = of(found, "spend")
    assert effect.estimate == pytest.approx(treated.mean() - control.mean())
    assert effect.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    interval = expected.confidence_interval()
    assert (effect.lower, effect.upper) == pytest.approx((interval.low, interval.high))


def test_a_proportion_counts_users_with_a_total_above_zero(rows, found):
    control, treated = totals(rows, "spend")
    effect = of(found, "bought")
    assert effect.treated == pytest.approx((treated > 0).mean())
    assert effect.estimate == pytest.approx((treated > 0).mean() - (control > 0).mean())


def test_a_ratio_is_the_delta_method_over_users(rows, found):
    effect, variance, means = of(found, "rate"), 0.0, []
    for y, x in zip(totals(rows, "clicks"), totals(rows, "views"), strict=True):
        ratio = y.sum() / x.sum()
        means.append(ratio)
        variance += np.var(y - ratio * x, ddof=1) / len(x) / x.mean() ** 2
    assert (effect.control, effect.treated) == pytest.approx(tuple(means))
    assert effect.standard_error == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_cuped_is_the_regression_on_what_was_before(rows, found):
    plain, adjusted = of(found, "spend"), of(found, "spend", "CUPED")
    assert adjusted.standard_error < 0.75 * plain.standard_error
    control, treated = totals(rows, "spend")
    before = [b / 4 for b in totals(rows, "spend_before")]
    theta = (treated.mean() - control.mean() - adjusted.estimate) / (
        before[1].mean() - before[0].mean()
    )
    slopes = [np.polyfit(b, y, 1)[0] for b, y in zip(before, (control, treated), strict=True)]
    assert min(slopes) - 1e-9 <= theta <= max(slopes) + 1e-9


def test_a_ratio_with_its_own_past_is_narrower():
    random = np.random.default_rng(4)
    n = 2000
    views, before = random.integers(5, 50, n), random.integers(5, 50, n)
    taste = random.beta(2, 5, n)
    rows = pa.table({
        "user": np.arange(n), "arm": np.where(random.random(n) < 0.5, "control", "treated"),
        "clicks": random.binomial(views, taste), "views": views,
        "clicks_before": random.binomial(before, taste), "views_before": before,
    })  # fmt: skip
    metric = {"kind": "ratio", "column": "clicks", "per": "views",
              "before": "clicks_before", "before_per": "views_before"}  # fmt: skip
    found = analysed(rows, spec_of(metrics={"rate": metric}, primary="rate"))
    plain, adjusted = of(found, "rate"), of(found, "rate", "CUPED")
    assert adjusted.standard_error < 0.8 * plain.standard_error
    assert abs(adjusted.estimate) < 3 * adjusted.standard_error


def test_a_past_that_some_users_do_not_have_is_a_group_of_its_own(rows):
    some = np.arange(rows.num_rows) // 4 % 3 > 0
    before = pa.array(np.where(some, rows["spend_before"], 0.0), mask=~some)
    holed = rows.set_column(rows.schema.get_field_index("spend_before"), "spend_before", before)
    adjusted = of(analysed(holed), "spend", "CUPED")
    assert adjusted.standard_error < of(analysed(holed), "spend").standard_error
    # What stands for a missing value is of no consequence: it is 0 here, and 100 there.
    shifted = pa.array(np.asarray(before.fill_null(0)) + 100.0, mask=~some)
    other = rows.set_column(rows.schema.get_field_index("spend_before"), "spend_before", shifted)
    assert of(analysed(other), "spend", "CUPED").estimate == pytest.approx(adjusted.estimate)


def test_a_quantile_is_that_of_the_rows(rows, found):
    frame, effect = rows.to_pandas(), of(found, "wait")
    for arm, value in (("control", effect.control), ("treated", effect.treated)):
        values = frame["wait"][frame.arm == arm]
        assert value == np.quantile(values, 0.9, method="inverted_cdf")


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 1e-300]),
        min_size=1, max_size=60,
    ),
    st.floats(0.001, 0.999),
    st.integers(1, 4),
)  # fmt: skip
def test_order_statistics_are_exact_in_any_parts(values, quantile, parts):
    spec = spec_of(metrics={"wait": {"kind": "quantile"}}, primary="wait")
    rows = pa.table({
        "user": np.arange(len(values)), "arm": ["control"] * len(values), "wait": values,
    })  # fmt: skip
    size = -(-len(values) // parts)

    def read(kernel):
        batches = rows.to_batches(size)
        return {"counts": sum(kernel(0, iter([batch]))["counts"] for batch in batches)}

    found = order_statistics(read, spec, layout_of(spec), (Target("wait", -1, quantile),))
    rank = int(np.clip(np.ceil(quantile * len(values) - 1e-9 * len(values)), 1, len(values)))
    assert found[0] == np.sort(values)[rank - 1]


def test_a_winsorised_mean_is_capped_at_the_quantile_of_all_totals_and_says_so(rows):
    spec = spec_of(metrics={"spend": {"winsorise": 0.9}})
    control, treated = totals(rows, "spend")
    cap = np.quantile(np.concatenate([control, treated]), 0.9, method="inverted_cdf")
    effect = of(analysed(rows, spec), "spend")
    assert effect.treated == pytest.approx(np.minimum(treated, cap).mean())
    assert f"capped at {cap:.4g}" in effect.estimand


def test_the_order_of_rows_is_of_no_consequence(rows, found):
    shuffled = rows.take(np.random.default_rng(0).permutation(rows.num_rows))
    for one, other in zip(found.effects, analysed(shuffled).effects, strict=True):
        assert other.estimate == pytest.approx(one.estimate, rel=1e-10)
        assert other.standard_error == pytest.approx(one.standard_error, rel=1e-8)


def test_a_large_level_loses_no_digits(rows):
    column = rows.schema.get_field_index("spend")
    moved = pa.array(np.asarray(rows["spend"]) + 1e9)
    effect = of(analysed(rows.set_column(column, "spend", moved)), "spend")
    assert effect.standard_error == pytest.approx(of(analysed(rows), "spend").standard_error, rel=1e-4)  # fmt: skip


def with_user_in_two_arms(rows):
    extra = rows.slice(0, 1)
    other = "treated" if extra["arm"][0].as_py() == "control" else "control"
    extra = extra.set_column(rows.schema.get_field_index("arm"), "arm", pa.array([other]))
    return pa.concat_tables([rows, extra])


def test_units_in_two_arms_are_found(rows):
    with pytest.raises(DataError, match="1 of 400 units are in more than one arm of trial"):
        analysed(with_user_in_two_arms(rows))


def test_units_in_two_arms_are_dropped_where_that_is_asked_for(rows):
    dropped = analysed(with_user_in_two_arms(rows), spec_of(several_arms="drop"))
    without = analysed(rows.filter(pa.compute.not_equal(rows["user"], 0)))
    assert dropped.units == 399 and "left out" in " ".join(dropped.cautions)
    for one, other in zip(dropped.effects, without.effects, strict=True):
        assert one.estimate == pytest.approx(other.estimate)


def test_arms_that_are_missing_or_were_not_promised_are_refused(rows):
    arms = {"control": 0.4, "treated": 0.3, "other": 0.3}
    with pytest.raises(DataError, match="no rows of the arm 'other'"):
        analysed(rows, spec_of(arms=arms))
    renamed = pa.array(["late" if i < 8 else a for i, a in enumerate(rows["arm"].to_pylist())])
    place = rows.schema.get_field_index("arm")
    with pytest.raises(
        DataError, match="found 'late', which the experiment trial does not promise"
    ):
        analysed(rows.set_column(place, "arm", renamed))


def test_a_missing_column_is_named(rows):
    with pytest.raises(TableError, match="no column 'wait'"):
        analysed(rows.drop_columns("wait"))
    with pytest.raises(TableError, match="expected a number"):
        analysed(rows, spec_of(metrics={"spend": {"column": "device"}}))


def test_rows_without_an_arm_are_left_out_and_counted(rows):
    place = rows.schema.get_field_index("arm")
    holed = pa.array([None if i < 8 else a for i, a in enumerate(rows["arm"].to_pylist())])
    found = analysed(rows.set_column(place, "arm", holed))
    assert (found.units, found.without_arm) == (398, 8)


@pytest.mark.parametrize("nothing", [float("nan"), None, " "], ids=["nan", "null", "blank"])
def test_rows_without_a_unit_are_left_out_and_without_a_cluster_refused(rows, nothing):
    names = [None if i < 8 else f"u{u}" for i, u in enumerate(rows["user"].to_pylist())]
    kind = pa.float64() if isinstance(nothing, float) else pa.string()
    values = [float(n[1:]) if n and kind == pa.float64() else n for n in names]
    values = [nothing if value is None else value for value in values]
    place = rows.schema.get_field_index("user")
    holed = rows.set_column(place, "user", pa.array(values, kind))
    found = analysed(holed)
    assert (found.units, found.without_arm) == (398, 8)
    beside = rows.append_column("school", holed["user"])
    with pytest.raises(DataError, match=r"'school' \(cluster\): 8 rows are null, NaN or blank"):
        analysed(beside, spec_of(cluster="school"))


@pytest.mark.parametrize("arms", [("0", "1"), ("no", "yes"), ("False", "True")])
@pytest.mark.parametrize("kind", [pa.bool_(), pa.int8(), pa.float64()])
def test_arms_of_numbers_and_truth_values_are_those_that_are_written_like_them(rows, arms, kind):
    place = rows.schema.get_field_index("arm")
    coded = pa.compute.equal(rows["arm"], "treated").cast(pa.int8()).cast(kind)
    spec = spec_of(arms=dict.fromkeys(arms, 0.5), control=arms[0])
    found = analysed(rows.set_column(place, "arm", coded), spec)
    assert of(found, "spend").estimate == of(analysed(rows), "spend").estimate


def test_a_column_that_is_there_twice_is_refused(rows):
    twice = pa.table([*rows.columns, rows["spend"]], [*rows.schema.names, "spend"])
    with pytest.raises(TableError, match="2 columns named 'spend'"):
        analysed(twice)


def test_sizes_that_were_not_promised_stop_every_ship():
    found = analysed(world(2000, effect=2.0), spec_of(arms={"control": 0.6, "treated": 0.4}))
    assert found.decision == "hold" and not found.supported and found.exit_code == 3
    assert "promised" in found.reasons[0]


def test_clusters_hold_units_and_widen_the_interval():
    random = np.random.default_rng(1)
    school = np.repeat(np.arange(60), 20)
    shared = random.standard_normal(60)
    rows = pa.table({
        "user": np.arange(1200), "school": school,
        "arm": np.where(random.permutation(np.arange(60) % 2) == 0, "control", "treated")[school],
        "score": shared[school] + random.standard_normal(1200),
    })  # fmt: skip
    plain = spec_of(metrics={"score": {}}, primary="score")
    clustered = analysed(rows, replace(plain, cluster="school"))
    assert clustered.clusters == 60 and clustered.units == 1200
    means = rows.to_pandas().groupby(["school", "arm"], as_index=False)["score"].mean()
    expected = stats.ttest_ind(*(means.score[means.arm == a] for a in ("treated", "control")))
    assert of(clustered, "score").p_value == pytest.approx(expected.pvalue, rel=1e-2)
    assert of(clustered, "score").standard_error > 2 * of(analysed(rows, plain), "score").standard_error  # fmt: skip


def test_a_switchback_assigns_hours_of_regions():
    random = np.random.default_rng(2)
    region, hour = np.repeat(np.arange(12), 48), np.tile(np.arange(48), 12)
    arm = np.where(random.random(576) < 0.5, "control", "treated")
    rows = pa.table({
        "region": region.repeat(5), "hour": hour.repeat(5), "arm": arm.repeat(5),
        "late": (random.random(576 * 5) < np.where(arm == "treated", 0.2, 0.4).repeat(5)).astype(int),
    })  # fmt: skip
    metrics = {"late": {"kind": "ratio", "column": "late", "better": "lower"}}
    spec = spec_of(unit=["region", "hour"], cluster="region", metrics=metrics, primary="late")
    found = analysed(rows, spec)
    assert (found.units, found.clusters) == (576, 12)
    assert found.headline.estimate == pytest.approx(-0.2, abs=0.05) and found.decision == "ship"


def test_groups_have_effects_of_their_own(rows):
    found = analysed(rows, spec_of(dimensions=["device"])).breakdowns[0]
    frame = rows.to_pandas()
    for cell in found.cells:
        part = (
            frame[frame.device == cell.cell].groupby(["user", "arm"], as_index=False)["spend"].sum()
        )
        means = part.groupby("arm")["spend"].mean()
        assert cell.estimate == pytest.approx(means["treated"] - means["control"])


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.bool_(), pa.string()])
def test_groups_may_be_numbers_and_truth_values(rows, kind):
    phone = pa.compute.equal(rows["device"], "phone")
    values = (phone if kind == pa.bool_() else phone.cast(pa.int64())).cast(kind)
    found = analysed(rows.append_column("own", values), spec_of(dimensions=["own"])).breakdowns[0]
    expected = analysed(rows, spec_of(dimensions=["device"])).breakdowns[0]
    assert [c.estimate for c in found.cells] == pytest.approx([c.estimate for c in expected.cells])


def test_a_group_of_one_unit_an_arm_has_no_interval_of_width_zero_and_is_named(rows):
    arm = dict(zip(rows["user"].to_pylist(), rows["arm"].to_pylist(), strict=True))
    lone = [next(u for u in arm if arm[u] == label) for label in ("control", "treated")]
    kind = ["rare" if u in lone else "ab"[u % 2] for u in rows["user"].to_pylist()]
    found = analysed(rows.append_column("kind", pa.array(kind)), spec_of(dimensions=["kind"]))
    assert {cell.cell for cell in found.breakdowns[0].cells} == {"a", "b"}
    assert "by kind in 1 of 3 groups (rare)" in " ".join(found.cautions)


def test_a_group_has_no_more_degrees_of_freedom_than_its_units(rows):
    few = pa.array(["few" if u < 8 else "rest" for u in rows["user"].to_pylist()])
    found = analysed(rows.append_column("kind", few), spec_of(dimensions=["kind"])).breakdowns[0]
    cell = next(c for c in found.cells if c.cell == "few")
    frame = rows.to_pandas().query("user < 8").groupby(["user", "arm"], as_index=False).spend.sum()
    parts = [frame.spend[frame.arm == a].to_numpy() for a in ("control", "treated")]
    error = np.sqrt(sum(p.var(ddof=1) / len(p) for p in parts))
    assert cell.ci_upper - cell.estimate >= 0.99 * stats.t.isf(0.0125, 6) * error


def test_what_was_measured_after_the_assignment_makes_no_cuped_and_nothing_is_concluded():
    rows = world(2000, effect=1.0)
    treated = np.array(rows["arm"].to_pylist()) == "treated"
    noise = np.random.default_rng(3).normal(size=8000)
    late = (
        rows["spend"].to_numpy() + 0.1 * noise, treated.astype(float), np.where(treated, noise, np.nan)
    )  # fmt: skip
    place = rows.schema.get_field_index("spend_before")
    for values in late:
        column = pa.array(values, from_pandas=True)
        found = analysed(rows.set_column(place, "spend_before", column))
        assert not [e for e in found.effects if (e.metric, e.method) == ("spend", "CUPED")]
        assert found.decision == "hold" and found.exit_code == 3
        assert "'spend_before'" in found.reasons[0] and "measured after" in found.reasons[0]
    same = rows.set_column(place, "spend_before", pa.array(np.full(8000, 7.0)))
    assert analysed(same).exit_code == 0


def test_an_effect_that_fades_is_found_and_one_that_lasts_is_not():
    rows = world(1500, effect=0.0, days=8)
    day, treated = np.asarray(rows["day"]), np.asarray(rows["arm"]) == "treated"
    place = rows.schema.get_field_index("spend")
    fading = np.asarray(rows["spend"]) + 0.15 * treated * (8 - day)
    lasting = np.asarray(rows["spend"]) + 0.5 * treated
    changed = [
        analysed(rows.set_column(place, "spend", pa.array(v)), spec_of(time="day")).breakdowns[0]
        for v in (fading, lasting)
    ]
    assert changed[0].p_values[0] < 1e-6 and "-0.1" in changed[0].finding[0]
    assert changed[1].p_values[0] > 0.01
    assert [cell.cell for cell in changed[0].cells][:2] == ["day 0", "day 1"]


def test_novelty_counts_from_a_units_first_exposure():
    rows = world(1500, effect=0.0, days=8)
    random = np.random.default_rng(7)
    begun = random.integers(0, 4, 1500)[np.asarray(rows["user"])]
    day, treated = np.asarray(rows["day"]), np.asarray(rows["arm"]) == "treated"
    since = day - begun
    faded = np.asarray(rows["spend"]) + treated * np.where(
        since >= 0, 2.0 * 0.5 ** since.clip(0), 0.0
    )
    place = rows.schema.get_field_index("spend")
    rows = rows.set_column(place, "spend", pa.array(faded)).append_column("begun", pa.array(begun))
    found = analysed(rows, spec_of(time="day", exposed="begun")).breakdowns[1]
    effects = [cell.estimate for cell in found.cells]
    assert found.kind == "since" and found.p_values[0] < 1e-6
    assert effects[:3] == pytest.approx([2.0, 1.0, 0.5], abs=0.25)


def looked(units, statistic, rule=""):
    return Look(1, units, "2026-01-01", 0.0, statistic, 0.0, 0.0, "treated", "hold", "", rule)


def test_a_planned_look_has_the_critical_value_of_its_time(rows):
    looks = {"method": "obrien_fleming", "planned": 2, "units": 800}
    found = analysed(rows, spec_of(looks=looks))
    assert found.critical == pytest.approx(2.99, abs=0.02)  # 2.963 as Student's t
    assert found.fraction == 0.5 and not found.final
    effect = of(found, "spend")
    assert effect.upper - effect.estimate == pytest.approx(found.critical * effect.standard_error, rel=0.01)  # fmt: skip
    again = analysed(rows, spec_of(looks={**looks, "units": 400}), (looked(200, 1.0),))
    assert again.look == 2 and again.final and again.critical == pytest.approx(1.98, abs=0.02)


def test_the_same_units_again_are_the_same_look(rows):
    looks = {"method": "pocock", "planned": 2, "units": 800}
    once = analysed(rows, spec_of(looks=looks))
    again = analysed(rows, spec_of(looks=looks), once.looks)
    assert again.look == 1 and again.critical == once.critical


def test_a_rule_that_changed_after_a_look_is_said(rows):
    looks = {"method": "pocock", "planned": 2, "units": 800}
    found = analysed(rows, spec_of(looks=looks), (looked(100, 0.5, "another"),))
    assert any("has been changed" in caution for caution in found.cautions)


def test_planned_looks_take_a_plan(rows):
    with pytest.raises(ConfigError, match=r"looks\.units: found none"):
        analysed(rows, spec_of(looks={"method": "pocock", "planned": 2}))


def test_intervals_at_any_time_are_wider(rows, found):
    anytime = analysed(rows, spec_of(looks={"method": "anytime", "units": 400}))
    one, other = of(found, "spend"), of(anytime, "spend")
    assert other.upper - other.lower > 1.3 * (one.upper - one.lower)
    assert other.p_value_of_looks > one.p_value_of_looks


def test_an_experiment_for_gains_alone_bounds_them_from_below(rows):
    effect = of(analysed(rows, spec_of(alternative="greater")), "spend")
    quantile = stats.t.ppf(0.95, effect.degrees_of_freedom)
    assert effect.lower == pytest.approx(effect.estimate - quantile * effect.standard_error)
    assert effect.upper == np.inf
