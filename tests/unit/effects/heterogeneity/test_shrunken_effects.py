"""``shrink:`` from a table to its estimates, its sentence and its drawing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import truelift as tl
from tests.unit.report.test_report_any_table import page_of, words
from truelift.errors import ConfigError, TableError

ASKED = {
    "treatment": "d", "outcomes": "y", "covariates": "x", "cluster": "user", "buckets": 6, "estimands": ["ATE"],
    "inference": {"band_draws": 1000},
}  # fmt: skip


def campaigns(groups: int = 12, rows: int = 1200, seed: int = 1) -> pa.Table:
    rng = np.random.default_rng(seed)
    group, d, x = rng.integers(0, groups, rows), rng.integers(0, 2, rows), rng.normal(size=rows)
    effect = 0.6 * rng.exponential(size=groups)
    y = x + effect[group] * d + 2.0 * rng.normal(size=rows)
    names = [f"c{g:02d}" for g in group]
    return pa.table({"user": np.arange(rows), "campaign": names, "d": d, "x": x, "y": y})


def test_every_group_has_its_effect_before_and_after_and_the_page_draws_both():
    result = tl.estimate_effects(campaigns(), shrink="campaign", **ASKED)
    before = {e.population: e for e in result.estimates if e.estimand == "GATE"}
    after = {e.population: e for e in result.estimates if e.estimand == "shrunken effect"}
    assert list(before) == list(after) and len(after) == 12
    spread = [np.ptp([e.estimate for e in group.values()]) for group in (after, before)]
    assert spread[0] < spread[1]
    assert all(e.p_value is None and e.band_lower is None for e in after.values())
    assert "not each with that chance" in str(result)
    text = words(page_of(result))
    assert "Beyond the average" in text and "drawn towards each other" in text


def test_arms_are_drawn_towards_each_other_where_the_treatment_is_named():
    table = campaigns(groups=6)
    table = table.set_column(2, "d", pa.array([f"a{i % 6}" for i in range(table.num_rows)]))
    result = tl.estimate_effects(table, shrink="d", control="a0", **ASKED)
    assert [e.arm for e in result.estimates if e.estimand == "shrunken effect"] == [
        "a1", "a2", "a3", "a4", "a5",
    ]  # fmt: skip


def test_arms_are_compared_with_their_control_alone_and_its_error_stays_in_every_interval():
    table = campaigns(groups=6)
    table = table.set_column(2, "d", pa.array([f"a{i % 6}" for i in range(table.num_rows)]))
    found = [
        [e for e in tl.estimate_effects(
            table, shrink="d", control="a0", contrasts=contrasts, **ASKED
        ).estimates if e.estimand in ("ATE", "shrunken effect") and e.versus == "a0"]
        for contrasts in ("control", "all")
    ]  # fmt: skip
    assert [e.estimate for e in found[0]] == pytest.approx([e.estimate for e in found[1]])
    before, after = found[0][:5], found[0][5:]
    # Arms of one size: half of each variance is the control's, which no shrinking takes away.
    for one, other in zip(before, after, strict=True):
        assert other.standard_error > 0.6 * one.standard_error


def test_of_few_groups_no_spread_is_told():
    result = tl.estimate_effects(campaigns(groups=3, rows=300), shrink="campaign", **ASKED)
    assert "the spread of effects is told from 5" in next(iter(result.not_made.values()))


def test_a_column_that_is_not_there_and_a_design_beside_it_are_refused():
    with pytest.raises(TableError, match=r"effects\.shrink"):
        tl.estimate_effects(campaigns(rows=60), shrink="shop", **ASKED)
    with pytest.raises(ConfigError, match="shrink"):
        more = ASKED | {"estimands": ["TSLS"]}
        tl.estimate_effects(campaigns(rows=60), shrink="campaign", instrument="x", **more)
