"""A learned policy is valued on units that did not choose it, applied, packed and told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import truelift as tl
from truelift.config import load_spec
from truelift.effects.support.supported import Support
from truelift.errors import ConfigError, DataError, NotSupportedError, TableError
from truelift.policy.allocation_options import AllocateOptions
from truelift.policy.learning import arms_of
from truelift.policy.options import LearnOptions, RewardOptions
from truelift.policy.package import PolicyPackage, explored
from truelift.policy.trees.bins import bins_of
from truelift.report.plots.policy import policy_tree
from truelift.report.sections.policy import policy as policy_section
from truelift.typed import from_plain, to_plain

ASKED = {
    "treatment": "arm", "outcome": "sales", "covariates": ["need", "age", "region"], "control": "none",
    "min_leaf": 40, "bins": 8, "start_rows": 500,
}  # fmt: skip


def orders(size: float = 1.0, seed: int = 2, n: int = 2400) -> pd.DataFrame:
    """Arms by lot; mail helps in the south, a call those in need."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"need": rng.normal(size=n), "age": rng.uniform(20, 80, n)})
    frame["region"] = rng.choice(["north", "south"], n)
    frame["customer"] = np.arange(n) // 2
    arm = rng.integers(0, 3, n)
    frame["arm"] = np.array(["none", "mail", "call"])[arm]
    effects = np.stack([np.zeros(n), (frame.region == "south") * 1.0, 2.0 * (frame.need > 0.5)])
    frame["sales"] = size * effects[arm, np.arange(n)] + frame.need + rng.normal(0, 0.7, n)
    return frame


@pytest.fixture(scope="module")
def learned():
    return tl.learn_policy(orders(), **ASKED, cluster="customer", costs={"mail": 0.3, "call": 0.5},
                           groups="region", exploration=0.1)  # fmt: skip


def test_the_tree_finds_whom_each_arm_helps(learned):
    frame = pd.DataFrame({"need": [-1.0, 2.0, -1.0], "age": 40.0, "region": ["south", "south", "north"]})  # fmt: skip
    assert learned.choose(frame).tolist() == ["mail", "call", "none"]


def test_its_value_holds_the_truth_and_beats_every_single_arm(learned):
    result = learned.result
    # P(need > .5) = .3085: 2 - .5 there, else half of them 1 - .3.
    truth = 0.3085 * 1.5 + 0.6915 * 0.5 * 0.7
    assert result.value.ci_lower < truth < result.value.ci_upper
    assert min(gain.ci_lower for gain in result.gains) > 0
    assert result.share.estimate == pytest.approx(0.3085 + 0.6915 / 2, abs=0.05)


def test_columns_may_have_any_name_and_arms_and_costs_be_written_as_people_do():
    frame = orders(n=1200).rename(columns={"need": "row", "age": "__row__"})
    frame["arm"] = frame.arm != "none"
    frame["postage"] = 0.3
    asked = {**ASKED, "covariates": ["row", "__row__", "region"], "control": False}
    plain = tl.learn_policy(frame, **asked, cluster="customer", costs={"1": 0.3}).result
    for costs in ({True: 0.3}, {1: 0.3}, {"yes": 0.3}, {"true": "postage"}):
        found = tl.learn_policy(frame, **asked, cluster="customer", costs=costs).result
        assert found.value.estimate == pytest.approx(plain.value.estimate)
    alone = tl.learn_policy(frame, **asked, costs={1: "postage"}).result
    assert alone.cost.estimate == pytest.approx(0.3 * alone.share.estimate)


def test_a_cost_that_is_no_number_is_named():
    with pytest.raises(
        TableError, match=r"'region': found type .*string.*expected a number \(costs\)"
    ):
        tl.learn_policy(orders(n=1200), **ASKED, cluster="customer", costs={"mail": "region"})


def test_groups_are_told_with_bands_wider_than_intervals(learned):
    north, south = learned.result.groups
    assert (north.level, south.level) == ("north", "south")
    assert south.gain.estimate > north.gain.estimate
    assert north.gain.band_upper > north.gain.ci_upper


def test_a_group_of_one_cluster_is_named_and_units_without_a_group_are_counted():
    frame = orders(n=1200)
    frame["kind"] = np.where(frame.customer == 3, "lone", np.where(frame.index < 600, "a", "b"))
    frame.loc[frame.customer >= 540, "kind"] = None
    result = tl.learn_policy(frame, **ASKED, cluster="customer", groups="kind").result
    assert [group.level for group in result.groups] == ["a", "b"]
    assert "one cluster: kind lone" in result.notes[-2]
    assert result.notes[-1].startswith("10.0% of the units have no value of 'kind'")


def test_without_effects_the_value_out_of_fold_is_below_that_in_sample():
    result = tl.learn_policy(orders(0.0, n=1200), **ASKED, unit="customer").result
    assert result.optimism > 0
    assert result.gains[0].ci_lower < 0


def test_a_result_and_a_policy_come_back_from_plain_values(learned):
    result = learned.result
    assert from_plain(type(result), to_plain(result)) == result
    package = PolicyPackage(learned.rule, result.arms, 0.1, "salt")
    assert PolicyPackage.from_text(package.to_text()) == package


@pytest.mark.parametrize("method", ["linear", "threshold"])
def test_linear_rules_look_at_numbers_alone(method):
    with pytest.raises(ConfigError, match="looks at numbers alone"):
        tl.learn_policy(orders(n=600), **ASKED, method=method)


def test_a_threshold_above_every_forecast_treats_nobody_where_treating_costs_more_than_it_gains():
    asked = ASKED | {"covariates": ["need", "age"]}
    result = tl.learn_policy(orders(0.0, n=900), **asked, method="threshold",
                             costs={"mail": 5, "call": 5}).result  # fmt: skip
    assert result.share.estimate == 0.0


def test_the_tree_is_told_in_sentences_and_drawn(learned):
    assert len(learned.result.rule) == 3
    assert learned.result.rule[0].startswith("Where ")
    assert sum(line.strip().endswith("?") for line in learned.result.drawing) == 2
    assert policy_tree(learned.result, "narrow").axes


def test_lots_fall_on_their_share_and_chances_add_up():
    best = np.zeros(20_000, np.int64)
    allowed = np.ones((20_000, 3), bool)
    allowed[:5000, 2] = False
    keys = pa.array([f"u{i}" for i in range(20_000)])
    made = explored(best, allowed, keys, 0.3, "a")
    assert (made.taken[:5000] != 2).all()
    assert (made.taken[5000:] > 0).mean() == pytest.approx(0.2, abs=0.01)
    # Each unit's inverse chance counts the arms that it may have.
    assert (1 / made.propensity[5000:]).mean() == pytest.approx(3, abs=0.15)
    again = explored(best[::-1], allowed[::-1], keys[::-1], 0.3, "a")
    np.testing.assert_array_equal(again.taken[::-1], made.taken)


def test_a_missing_value_is_the_lowest_code_and_a_cut_is_read_out():
    bins = bins_of({"x": np.array([np.nan, 1.0, 2.0, 3.0])}, {"who": ["a", "b", None, "a"]}, 8)
    codes = bins.codes({"x": np.array([np.nan, 1.0, 9.0]), "who": pa.array(["a", "b", None])})
    assert codes.tolist() == [[0, 1, 3], [0, 1, 0]]
    assert bins.covariates[0].said(0, False) == "x is missing"
    assert bins.covariates[0].said(1, True) == "x is above 1"
    assert bins.covariates[1].said(0, True) == "who is b"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"costs": {"fax": 1}}, ConfigError, "no arm 'fax'"),
        ({"costs": {"mail": "price"}}, TableError, "no column 'price'"),
        ({"min_leaf": 5000}, DataError, "leaves' worth"),
        ({"depth": 9}, ConfigError, "depth"),
        ({"method": "forest"}, ConfigError, "one of tree, linear, threshold"),
        ({"worth": 0}, ConfigError, "other than zero"),
    ],
)
def test_what_cannot_be_learned_by_is_said_in_one_message(change, error, message):
    with pytest.raises(error, match=message) as told:
        tl.learn_policy(orders(n=600), **(ASKED | change))
    assert told.value.exit_code == 2


def test_an_arm_that_the_data_do_not_support_is_not_chosen():
    support = (Support("ATE", "mail", True), Support("ATE", "call", False, ("No overlap.",)))
    found = arms_of(("none", "mail", "call"), support, RewardOptions("sales"))
    assert found.labels == ("none", "mail")
    assert "No overlap." in found.notes[0]


def test_without_a_supported_arm_the_exit_code_is_three():
    support = (Support("ATE", "", False, ("No overlap.",)),)
    with pytest.raises(NotSupportedError, match="No overlap") as told:
        arms_of(("0", "1"), support, RewardOptions("sales"))
    assert told.value.exit_code == 3


def test_the_examples_of_conf_can_be_read():
    assert load_spec(LearnOptions, "policies", "policy", "campaigns").depth == 2
    assert load_spec(AllocateOptions, "policies", "allocation", "campaign_budget").budget == 500


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "one of the two"),
        ({"budget": 5, "capacity": 5}, "one of the two"),
        ({"budget": -1}, "above zero"),
        ({"budget": 5, "floors": {"a": 0.2}}, "limit_by"),
        ({"budget": 5, "limit_by": "g", "floors": {"a": 0.9}, "caps": {"a": 0.1}}, "no floor above"),
    ],
)  # fmt: skip
def test_a_budget_that_is_no_budget_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        from_plain(AllocateOptions, options)


def test_a_report_without_policies_has_no_part_of_them():
    class Nothing:
        def result(self, kind: type) -> None:
            return None

    assert policy_section(Nothing()) is None  # type: ignore[arg-type]
