"""``bounds:`` from a table to its estimates, against formulas by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import norm

import truelift as tl
from truelift.errors import ConfigError
from truelift.inference.bounds import bounded_interval
from truelift.simulate.worlds.designed import skewed_outcomes

TABLE = skewed_outcomes(3, 600, 150)[0]
ASKED = {
    "treatment": "treated", "outcomes": "y", "cluster": "user", "buckets": 6, "estimands": ["ATE"],
}  # fmt: skip


def ends(result) -> dict[tuple[str, str], float]:
    return {(e.estimand, e.population): e.estimate for e in result.estimates[1:]}


def test_bounds_without_assumptions_put_the_unseen_at_the_ends_of_the_range():
    found = ends(tl.estimate_effects(TABLE, bounds={"range": {"y": [0.0, 50.0]}}, **ASKED))
    y, d = TABLE["y"].to_numpy(), TABLE["treated"].to_numpy()
    lowest = np.where(d == 1, y, 0.0).mean() - np.where(d == 0, y, 50.0).mean()
    highest = np.where(d == 1, y, 50.0).mean() - np.where(d == 0, y, 0.0).mean()
    assert found["lower bound", "no assumption"] == pytest.approx(lowest)
    assert found["upper bound", "no assumption"] == pytest.approx(highest)
    assert highest - lowest == pytest.approx(50.0)


def test_both_assumptions_leave_nothing_below_zero_and_nothing_above_the_naive_difference():
    both = ["monotone_response", "monotone_selection"]
    result = tl.estimate_effects(
        TABLE, bounds={"assume": both}, **(ASKED | {"estimands": ["naive difference"]})
    )
    naive = result.estimates[0]
    lower, upper = result.estimates[-2:]
    assert (lower.estimate, lower.standard_error) == (0.0, 0.0)
    assert upper.estimate == pytest.approx(naive.estimate)
    assert upper.standard_error == pytest.approx(naive.standard_error, rel=0.05)
    assert len(ends(result)) == 8
    assert "If the treatment lowers nobody's outcome and the treated" in str(result)


def test_an_outcome_outside_of_its_range_is_not_bounded_and_says_so():
    result = tl.estimate_effects(TABLE, bounds={"range": {"y": [0.0, 1.0]}}, **ASKED)
    assert "says 0 to 1, and some rows have" in result.not_made["bounds on y"]


def test_the_ends_that_were_seen_are_those_of_all_rows_however_few_are_drawn():
    few = {"nuisances": {"start_rows": 40}}
    text = str(tl.estimate_effects(TABLE, bounds={"enabled": True}, **few, **ASKED))
    y = TABLE["y"].to_numpy()
    assert f"for an outcome between {y.min():.6g} and {y.max():.6g}, the least" in text
    almost = {"range": {"y": [float(y.min()), float(np.sort(y)[-2])]}}
    refused = tl.estimate_effects(TABLE, bounds=almost, **few, **ASKED)
    assert f"or {y.max():.6g}" in refused.not_made["bounds on y"]


def test_a_range_of_something_that_is_no_outcome_is_refused():
    with pytest.raises(ConfigError, match=r"effects\.bounds\.range: .*'sales'"):
        tl.estimate_effects(TABLE, bounds={"range": {"sales": [0.0, 50.0]}}, **ASKED)


def test_an_outcome_with_gaps_takes_its_range_with_it():
    gaps = np.where(np.arange(TABLE.num_rows) % 50 == 0, np.nan, 1.0)
    table = TABLE.append_column("z", pa.array(gaps * TABLE["y"].to_numpy()))
    asked = ASKED | {"outcomes": ["y", "z"]}
    ranges = {"range": {"y": [0.0, 50.0], "z": [0.0, 50.0]}}
    found = tl.estimate_effects(table, bounds=ranges, **asked)
    assert {e.outcome for e in found.estimates} == {"y"}


def test_an_assumption_that_nobody_knows_is_refused():
    with pytest.raises(ConfigError, match=r"effects\.bounds\.assume"):
        tl.estimate_effects(TABLE, bounds={"assume": ["luck"]}, **ASKED)


def test_of_bounds_far_apart_the_interval_is_one_sided_and_of_a_point_two_sided():
    far = bounded_interval(0.0, 100.0, (1.0, 2.0), 0.95)
    assert far == pytest.approx((-norm.ppf(0.95), 100.0 + 2.0 * norm.ppf(0.95)), abs=1e-6)
    assert bounded_interval(1.0, 1.0, (1.0, 1.0), 0.95) == pytest.approx(
        (1.0 - norm.ppf(0.975), 1.0 + norm.ppf(0.975))
    )


@pytest.mark.parametrize("place", [0.0, 0.5])
def test_the_interval_holds_a_number_anywhere_between_its_bounds_at_its_level(place):
    rng = np.random.default_rng(5)
    width, held = 0.7, 0
    for lower, upper in rng.normal(size=(250, 2)) * 0.5 + [0.0, width]:
        low, high = bounded_interval(lower, max(upper, lower), (0.5, 0.5), 0.95)
        held += low <= place * width <= high
    # Bounds that cross are a point, which makes it wider; 3.5 binomial standard deviations.
    assert held / 250 >= 0.95 - 3.5 * np.sqrt(0.95 * 0.05 / 250)
