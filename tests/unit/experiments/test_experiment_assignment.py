"""Assignments: the same for everybody who asks, balanced, and independent between layers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from truelift.errors import ConfigError, DataError
from truelift.experiments.assignment import assign, check_layer, in_both
from truelift.experiments.spec import ExperimentSpec
from truelift.typed import from_plain


def spec_of(name="trial", arms=None, **assignment):
    plain = {"name": name, "unit": "user", "metrics": {"spend": {}}, "assignment": assignment}
    return from_plain(ExperimentSpec, {**plain, **({"arms": arms} if arms else {})})


def users(count, start=0):
    return pa.table({
        "user": [f"u{i}" for i in range(start, start + count)],
        "country": [("ch", "de", "fr")[i * i % 3] for i in range(start, start + count)],
    })  # fmt: skip


def arm_of(made):
    return dict(zip(made.table["unit_id"].to_pylist(), made.table["arm"].to_pylist(), strict=True))


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 6), st.booleans())
def test_rows_in_any_order_and_more_than_once_are_assigned_alike(random, block, strata):
    options = {"block": 4, "strata": ["country"]} if strata else {"block": 2 * block}
    rows, spec = users(60), spec_of(**options)
    places = [*range(60), *(random.randrange(60) for _ in range(20))]
    random.shuffle(places)
    assert assign(rows.take(places), spec).table.equals(assign(rows, spec).table)


def test_arms_have_the_promised_shares():
    arms = {"control": 0.5, "a": 0.2, "b": 0.3}
    sizes = assign(users(30_000), spec_of(arms=arms)).sizes
    expected = [15_000, 6_000, 9_000]
    assert stats.chisquare([sizes[arm] for arm in arms], expected).pvalue > 0.001


@settings(max_examples=20, deadline=None)
@given(st.text("abcdef", min_size=1, max_size=6), st.text("ghijkl", min_size=1, max_size=6))
def test_two_experiments_and_two_layers_are_independent(one, other):
    rows = users(4000)
    first, second = (
        arm_of(assign(rows, spec_of(name, layer=f"layer {name}", layer_to=0.5))).values()
        for name in (one, other)
    )
    crossed = np.zeros((3, 3))
    places = {"control": 0, "treated": 1, None: 2}
    for a, b in zip(first, second, strict=True):
        crossed[places[a], places[b]] += 1
    assert stats.chi2_contingency(crossed).pvalue > 1e-5


def test_blocks_balance_every_stratum_to_within_a_block():
    made = assign(users(1000), spec_of(strata=["country"], block=4)).table.to_pandas()
    counts = made.groupby(["stratum", "arm"]).size().unstack()
    assert (abs(counts["control"] - counts["treated"]) <= 2).all()


def test_a_block_is_as_small_as_the_shares_allow():
    arms = {"control": 0.5, "a": 0.3, "b": 0.2}
    sizes = assign(users(1000), spec_of(arms=arms, block=10)).sizes
    assert list(sizes.values()) == [500, 300, 200]
    with pytest.raises(ConfigError, match="whole number"):
        assign(users(10), spec_of(arms=arms, block=4))


def test_places_in_a_block_are_permuted_and_not_alternating():
    made = assign(users(4000), spec_of(block=4))
    control = np.array([arm == "control" for arm in arm_of(made).values()])
    assert stats.binomtest(int(control[::2].sum()), 2000).pvalue > 0.001


def test_who_takes_part_stays_when_traffic_grows_and_shares_change():
    rows = users(3000)
    before = assign(rows, spec_of(traffic=0.2))
    after = assign(rows, spec_of(traffic=0.8, arms={"control": 0.1, "treated": 0.9}), before.table)
    stayed = {unit: arm for unit, arm in arm_of(before).items() if arm}
    assert stayed.items() <= arm_of(after).items()
    assert after.kept == len(stayed) and sum(after.sizes.values()) > 3 * len(stayed)


def test_the_same_again_changes_nothing():
    rows = users(500)
    for spec in (spec_of(), spec_of(block=4, strata=["country"])):
        made = assign(rows, spec)
        assert assign(rows, spec, made.table).table.equals(made.table)


def test_later_units_join_in_blocks_of_their_own():
    spec = spec_of(block=4)
    made = assign(users(1000), spec)
    later = assign(pa.concat_tables([users(1000), users(1000, 1000)]), spec, made.table)
    assert arm_of(made).items() <= arm_of(later).items()
    assert abs(later.sizes["control"] - later.sizes["treated"]) <= 4


def test_a_holdout_is_the_same_in_all_experiments():
    rows = users(5000)
    held = [
        assign(rows, spec_of(name, holdout="q3", holdout_share=0.1)).table.filter(
            pc.field("reason") == "holdout"
        )
        for name in ("one", "two")
    ]
    assert held[0]["unit_id"].equals(held[1]["unit_id"])
    assert held[0].num_rows == pytest.approx(500, abs=80)
    assert held[0]["arm"].null_count == held[0].num_rows


def test_experiments_of_one_layer_exclude_each_other():
    rows = users(5000)
    one = assign(rows, spec_of("one", layer="checkout", layer_to=0.4))
    two = assign(rows, spec_of("two", layer="checkout", layer_from=0.4))
    assert in_both(one.table, two.table) == 0
    assert sum(one.sizes.values()) + sum(two.sizes.values()) == 5000
    check_layer(spec_of("two", layer="checkout"), two, {"one": one.table})


def test_units_in_two_experiments_of_a_layer_are_found():
    rows = users(1000)
    one = assign(rows, spec_of("one", layer="checkout", layer_to=0.6))
    spec = spec_of("two", layer="checkout", layer_from=0.4)
    with pytest.raises(DataError, match=r"units of two take part in one too.*'checkout'"):
        check_layer(spec, assign(rows, spec), {"one": one.table})


def test_a_unit_of_several_columns_is_all_of_them():
    plain = {"name": "switch", "unit": ["region", "hour"], "metrics": {"late": {}}}
    rows = pa.table({"region": ["a", "a", "b"], "hour": [1, 2, 1]})
    made = assign(rows, from_plain(ExperimentSpec, plain))
    assert made.table["unit_id"].to_pylist() == ["a|1", "a|2", "b|1"]


def test_units_without_a_name_or_in_two_strata_are_refused():
    with pytest.raises(DataError, match="1 rows name no unit"):
        assign(pa.table({"user": ["a", None]}), spec_of())
    rows = pa.table({"user": ["a", "a"], "country": ["ch", "de"]})
    with pytest.raises(DataError, match=r"1 units are in several strata.*'a'"):
        assign(rows, spec_of(strata=["country"]))


def test_what_was_done_is_read_out():
    made = assign(users(1000), spec_of(traffic=0.5, holdout="q3", holdout_share=0.1))
    said = repr(made)
    assert "of 1,000 units take part" in said and "take no part: holdout" in said
