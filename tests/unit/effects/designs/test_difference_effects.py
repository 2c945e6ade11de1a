"""``design: did`` from a panel to its sentences, against loops over units."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import truelift as tl
from tests.unit.effects.panels import with_column
from truelift.errors import ConfigError, DataError, TableError
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
    assert "does not adjust yet" in refused(table, ConfigError, covariates="region")


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
