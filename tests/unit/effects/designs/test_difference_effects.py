"""``design: did`` from a panel to its sentences, against loops over units."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import truelift as tl
from tests.unit.effects.panels import with_column
from truelift.effects.designs.differences.timeline import Cell, Timeline
from truelift.errors import ConfigError, DataError, TableError
from truelift.inference.parallel_trends import pre_trend
from truelift.simulate.worlds.staggered import staggered_table

ASKED = {
    "design": "did",
    "treatment": "begins",
    "outcomes": "y",
    "unit": "shop",
    "cluster": "region",
    "differences": {"time": "week"},
    "buckets": 8,
}


def estimated(table: pa.Table, **more):
    return tl.estimate_effects(table, **(ASKED | more))


def cells_of(result) -> dict[str, float]:
    return {e.population: e.estimate for e in result.estimates if e.estimand == "ATT(g,t)"}


def by_loops(table: pa.Table, never: bool) -> dict[str, float]:
    """ATT(g, t) as differences of means of differences, by dictionaries of units."""
    frame = table.to_pandas()
    y = {(r.shop, r.week): r.y for r in frame.itertuples()}
    begins = frame.groupby("shop").begins.first().to_dict()
    weeks = sorted(frame.week.unique())
    last = weeks[-1]
    found = {}
    for g in sorted({b for b in begins.values() if weeks[0] < b <= last}):
        for t in weeks[1:]:
            base = g - 1 if t >= g else t - 1

            def mean(members, t=t, base=base):
                moves = [y[s, t] - y[s, base] for s in members if (s, t) in y and (s, base) in y]
                return np.mean(moves) if moves else np.nan

            def late(s, g=g, t=t, base=base):
                untreated = begins[s] == 0 or begins[s] > last
                return (
                    untreated
                    if never
                    else untreated or (begins[s] > max(t, base) and begins[s] != g)
                )

            effect = mean([s for s in begins if begins[s] == g]) - mean(
                [s for s in begins if late(s)]
            )
            if np.isfinite(effect):
                found[f"units treated from {g} on, in {t}"] = effect
    return found


@pytest.mark.parametrize("never", [False, True])
@pytest.mark.parametrize("holes", [0.0, 0.1])
def test_every_cohort_and_period_is_the_difference_of_differences_by_loops(never, holes):
    table = staggered_table(seed=2, holes=holes)
    whom = "never_treated" if never else "not_yet_treated"
    result = estimated(table, differences={"time": "week", "compared_with": whom})
    wanted = by_loops(table, never)
    found = cells_of(result)
    assert found.keys() == wanted.keys()
    for cell, effect in wanted.items():
        assert found[cell] == pytest.approx(effect, rel=1e-9, abs=1e-12)


def test_two_groups_and_two_periods_give_the_plain_difference_of_differences():
    table = staggered_table(seed=3, weeks=2, cohorts=(2,))
    result = estimated(table)
    frame = table.to_pandas()
    means = frame.assign(g=frame.begins > 0).groupby(["g", "week"]).y.mean()
    plain = means[True, 2] - means[True, 1] - means[False, 2] + means[False, 1]
    for e in result.estimates:
        assert e.estimate == pytest.approx(plain, rel=1e-9)
    assert "nothing tests them" in str(result)


def test_standard_errors_are_those_of_leaving_clusters_influences_as_they_are():
    """Of the cells: sums over clusters of centred differences, squared."""
    table = staggered_table(seed=4, weeks=2, cohorts=(2,), shared=1.0)
    frame = table.to_pandas().pivot(index="shop", columns="week", values="y")
    first = table.to_pandas().groupby("shop").first()
    move, treated = (frame[2] - frame[1]).to_numpy(), (first.begins > 0).to_numpy()
    influence = np.where(treated, (move - move[treated].mean()) / treated.sum(), 0.0)
    influence -= np.where(~treated, (move - move[~treated].mean()) / (~treated).sum(), 0.0)
    sums = np.bincount(first.region.to_numpy(), weights=influence)
    groups = np.count_nonzero(np.bincount(first.region.to_numpy()))
    wanted = np.sqrt(np.sum(sums**2) * groups / (groups - 1))
    assert estimated(table).estimates[0].standard_error == pytest.approx(wanted, rel=1e-9)


def test_averages_weigh_cells_by_the_sizes_of_their_cohorts():
    result = estimated(staggered_table(seed=5))
    frame = staggered_table(seed=5).to_pandas().groupby("shop").begins.first()
    cells = cells_of(result)
    last = max(int(name.split()[-1]) for name in cells)
    after = [
        (np.sum(frame == g), cells[f"units treated from {g} on, in {t}"], t - g)
        for g in (3, 5)
        for t in range(g, last + 1)
    ]
    by_name = {(e.estimand, e.population): e.estimate for e in result.estimates}
    overall = np.average([c[1] for c in after], weights=[c[0] for c in after])
    assert by_name["overall ATT", "all cohorts after their treatment"] == pytest.approx(overall)
    at_once = [c for c in after if c[2] == 0]
    event = np.average([c[1] for c in at_once], weights=[c[0] for c in at_once])
    assert by_name["event study", "the period in which the treatment began"] == pytest.approx(event)


def test_bands_hold_all_cells_together_and_are_wider_than_intervals():
    made = [e for e in estimated(staggered_table(seed=6)).estimates if e.estimand == "ATT(g,t)"]
    assert all(e.band_lower < e.ci_lower and e.ci_upper < e.band_upper for e in made)


def test_numbers_do_not_hang_on_buckets_or_the_order_of_rows():
    table = staggered_table(seed=7, holes=0.1)
    order = np.random.default_rng(0).permutation(table.num_rows)
    one, other = estimated(table), estimated(table.take(order), buckets=5)
    for a, b in zip(one.estimates, other.estimates, strict=True):
        assert (a.estimate, a.standard_error) == pytest.approx(
            (b.estimate, b.standard_error), rel=1e-9
        )


def test_the_summary_says_trends_power_and_what_is_assumed():
    text = str(estimated(staggered_table(seed=8, holes=0.1)))
    assert "would have been found four times out of five" in text
    assert "would have moved alike" in text
    assert "The panel is not balanced" in text
    assert "overall ATT: the treatment changes y by" in text


def test_trends_that_moved_apart_before_are_a_caution():
    table = staggered_table(seed=9, drift=1.0)
    result = estimated(table)
    assert any("moved apart before the treatment" in c.text for c in result.cautions)
    assert "with care" in result.verdict


def refused(table: pa.Table, kind=DataError, **more) -> str:
    with pytest.raises(kind) as error:
        estimated(table, **more)
    assert error.value.exit_code == 2
    return str(error.value)


def test_panels_that_cannot_answer_are_refused_with_what_is_missing():
    table = staggered_table(seed=1)
    week = table["week"].to_numpy()
    assert "has 1 period(s), expected at least 2" in refused(table.filter(pa.array(week == 4)))
    assert "no unit's treatment begins after the first period" in refused(
        table.filter(pa.array(week >= 5))
    )
    assert "rows repeat a unit ('shop') and period ('week')" in refused(
        pa.concat_tables([table, table.slice(0, 3)])
    )
    assert "'begins'), or the cluster ('week'), changes" in refused(table, cluster="week")
    everyone = table.filter(pa.array(table["begins"].to_numpy() == 3))
    assert "units to compare it with" in refused(everyone)


def test_a_mistaken_specification_is_refused_before_anything_is_read():
    table = staggered_table(seed=1)
    assert "effects.differences.time: found None" in refused(table, ConfigError, differences={})
    assert "Did you mean 'week'" in refused(table, TableError, differences={"time": "weak"})
    assert "expected 'did'" in refused(table, ConfigError, design="dod")
    assert "'not_yet_treated' or 'never_treated'" in refused(
        table, ConfigError, differences={"time": "week", "compared_with": "never"}
    )
    assert "'linear' beside effects.design: did" in refused(
        table, ConfigError, nuisances={"learner": "boosting"}
    )


def shifted(table: pa.Table, by: int) -> pa.Table:
    """Weeks and beginnings moved; null where a treatment never begins."""
    week, begins = table["week"].to_numpy(), table["begins"].to_numpy()
    moved = with_column(table, "week", week + by)
    return with_column(moved, "begins", pa.array(begins + by, mask=begins == 0))


def test_a_beginning_at_zero_or_before_is_not_taken_for_never_where_it_is_a_period():
    table = staggered_table(seed=2, weeks=5, cohorts=(2, 4))
    told = refused(shifted(table, -3))
    assert "'begins' (effects.treatment) has -1" in told and "add the same number" in told
    at_zero = shifted(staggered_table(seed=2, weeks=5, cohorts=(1, 3)), -1)
    assert "has 0, which may say" in refused(at_zero)


def test_weeks_before_zero_are_periods_as_any_others():
    table = staggered_table(seed=2, weeks=6, cohorts=(4, 6))
    found, wanted = estimated(shifted(table, -2)), estimated(table)
    assert found.estimates[0].estimate == pytest.approx(wanted.estimates[0].estimate, rel=1e-9)


def of_clusters(table: pa.Table, treated: int) -> pa.Table:
    """All treated shops in so many regions, the others in 40."""
    shop = table["shop"].to_numpy()
    return with_column(
        table, "region", np.where(table["begins"].to_numpy() > 0, shop % treated, 100 + shop % 40)
    )


def test_few_treated_clusters_are_not_supported_unless_the_options_say_so():
    table = of_clusters(staggered_table(seed=3, weeks=5, cohorts=(3,)), 5)
    result = estimated(table)
    assert not result.supported
    assert "Units that are treated lie in 5 clusters ('region'), expected at least 20" in (
        result.verdict
    )
    assert estimated(table, min_clusters_per_arm=5).supported
    assert any(
        "Fewer than 20 clusters ('region') are treated or to compare with in the cohort of 3 in 2"
        in c.text
        for c in result.cautions
    )


def test_few_clusters_to_compare_with_are_not_supported():
    table = staggered_table(seed=3, weeks=5, cohorts=(3,))
    shop = table["shop"].to_numpy()
    begins = np.where(shop % 40 < 5, 0, 3)
    result = estimated(with_column(with_column(table, "begins", begins), "region", shop % 40))
    assert "Units to compare them with lie in 5 clusters" in result.verdict
    assert not result.supported


def test_an_effect_of_one_treated_cluster_has_no_error_and_is_not_made():
    alone = of_clusters(staggered_table(seed=3, weeks=5, cohorts=(3,)), 1)
    assert "of 2 clusters or more each" in refused(alone)
    two = staggered_table(seed=3, weeks=6, cohorts=(3, 5))
    region = np.where(two["begins"].to_numpy() == 5, 0, two["region"].to_numpy())
    result = estimated(with_column(two, "region", region))
    assert not [name for name in cells_of(result) if "from 5 on" in name]
    assert any("the cohort of 5 in 2" in c.text for c in result.cautions)


def test_cells_without_units_to_compare_with_are_named():
    everyone = staggered_table(seed=3, weeks=5, cohorts=(3, 5))
    late = everyone.filter(pa.array(everyone["begins"].to_numpy() > 0))
    result = estimated(late)
    assert any("the cohort of 3 in 5" in c.text for c in result.cautions)
    # Two cohorts that are compared with one another move apart by the same, with other signs.
    assert "no steady drift would have been found" in str(result)


@pytest.mark.parametrize("whom", ["not_yet_treated", "never_treated"])
def test_units_that_are_never_treated_are_compared_with_to_the_end_whatever_is_anticipated(whom):
    table = staggered_table(seed=4, weeks=6, cohorts=(3, 5))
    section = {"time": "week", "anticipation": 1, "compared_with": whom}
    found = cells_of(estimated(table, differences=section))
    frame = table.to_pandas().pivot(index="shop", columns="week", values="y")
    begins = table.to_pandas().groupby("shop").begins.first()
    moved = (frame[6] - frame[1]).groupby(begins).mean()
    assert found["units treated from 3 on, in 6"] == pytest.approx(moved[3] - moved[0])


def test_who_is_treated_soon_after_the_last_period_may_act_in_it_already():
    line = Timeline(np.array([1.0, 2.0, 3.0]), (1,), never=True, anticipation=1)
    cohort = line.codes(np.array([np.nan, 0.0, 4.0, 9.0]))
    assert line.controls(Cell(1, 2, 0), cohort).tolist() == [True, True, False, True]
    assert line.controls(Cell(1, 1, 0), cohort).tolist() == [True, True, True, True]


def test_effects_that_are_anticipated_are_no_trends_before_the_treatment():
    table = staggered_table(seed=5, weeks=7, cohorts=(5, 6))
    ahead = table["week"].to_numpy() == table["begins"].to_numpy() - 1
    acted = with_column(table, "y", table["y"].to_numpy() + 5.0 * ahead)
    trend = estimated(acted, differences={"time": "week", "anticipation": 1}).trends[0]
    assert trend.pre_trend.restrictions == 3  # from two periods before to four
    assert not trend.apart


def test_a_first_effect_over_two_moves_may_hold_a_drift_of_two():
    """The treated drift apart by 1 a week, and the treatment adds 5 from week 4 on."""
    table = staggered_table(seed=5, weeks=5, cohorts=(4,))
    week, treated = table["week"].to_numpy(), table["begins"].to_numpy() > 0
    noise = 1e-3 * np.random.default_rng(0).normal(size=len(week))
    y = treated * (week + 5.0 * (week >= 4)) + noise
    trend = estimated(
        with_column(table, "y", y), differences={"time": "week", "anticipation": 1}
    ).trends[0]
    assert trend.first_effect == pytest.approx(7.0, abs=0.01)
    assert (trend.first_lower, trend.first_upper) == pytest.approx((5.0, 9.0), abs=0.01)
    assert trend.breakdown == pytest.approx(3.5, abs=0.01)


def test_units_treated_from_the_first_period_on_count_nowhere_and_are_named():
    table = staggered_table(seed=6, cohorts=(1, 3, 5))
    begins = table["begins"].to_numpy()
    table = with_column(table, "region", table["region"].to_numpy() + 100 * (begins == 1))
    result = estimated(table)
    without = estimated(table.filter(pa.array(begins != 1)))
    assert (result.n, result.clusters) == (without.n, without.clusters)
    assert result.estimates[0].standard_error == without.estimates[0].standard_error
    assert any(
        "30 units are treated from the first period (1) on" in c.text for c in result.cautions
    )


def test_a_cluster_that_changes_within_a_unit_is_seen_over_buckets_too():
    table = staggered_table(seed=6)
    moves = (table["shop"].to_numpy() == 7) & (table["week"].to_numpy() > 3)
    region = np.where(moves, table["region"].to_numpy() + 1, table["region"].to_numpy())
    assert "within at least 1 unit(s) of 'shop'" in refused(with_column(table, "region", region))


def test_an_outcome_that_is_zero_before_the_treatment_tests_no_trends():
    table = staggered_table(seed=7, weeks=5, cohorts=(4,))
    launched = table["y"].to_numpy() * (table["week"].to_numpy() >= 4)
    result = estimated(with_column(table, "y", launched))
    assert result.trends[0].pre_trend is None
    assert "with care: Nothing varies before the treatment, so nothing in the data tests" in (
        result.verdict
    )


def test_two_clusters_test_no_trends():
    table = staggered_table(seed=7, weeks=5, cohorts=(4,))
    halves = with_column(table, "region", table["shop"].to_numpy() // 2 % 2)
    result = estimated(halves, min_clusters_per_arm=2)
    assert "There are two clusters, so nothing in the data tests" in result.verdict


def test_rounding_is_no_error_and_no_move():
    table = staggered_table(seed=7, weeks=5, cohorts=(4,))
    week, treated = table["week"].to_numpy(), table["begins"].to_numpy() > 0
    alike = estimated(with_column(table, "y", 0.1 * week + treated * (week >= 4)))
    assert alike.trends[0].untested == "nothing varies before the treatment"
    apart = estimated(with_column(table, "y", treated * (week + 5.0 * (week >= 4))))
    assert apart.trends[0].apart and "with care" in apart.verdict
    assert apart.estimates[0].standard_error == 0.0


def test_moves_without_an_error_are_rejected_where_they_are_not_zero():
    assert pre_trend(np.zeros(2), np.zeros((2, 2)), 9.0) is None
    assert pre_trend(np.ones(2), np.zeros((2, 2)), 9.0).p_value == 0.0


def test_rows_that_a_filter_leaves_are_counted_as_rows():
    result = estimated(staggered_table(seed=7), filter="week <= 5")
    assert result.selection.startswith("600 of 720 rows are looked at")


def test_arms_are_nothing_that_a_design_compares():
    table = staggered_table(seed=7, weeks=3)
    assert "effects.arms: found" in refused(table, ConfigError, arms=["0", "3"])
    assert "no such key beside effects.design" in refused(table, ConfigError, control="0")


def test_more_sums_than_a_task_can_square_are_refused():
    told = refused(staggered_table(seed=7, weeks=30, cohorts=tuple(range(3, 13))))
    assert "1,170 sums, at most 1,000" in told and "Use coarser periods" in told
