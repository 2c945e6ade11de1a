"""Target encoding: what a level's numbers are made of, and what they must not be made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from truelift.effects.columns import panel_columns
from truelift.effects.estimate import estimate_panel, first_moments
from truelift.effects.target_encoding import TargetEncoded
from truelift.settings import EffectOptions

OPTIONS = EffectOptions(
    folds=5, categorical={"shop": "target"}, target_size=1 << 16, target_prior=10.0
)


def shops(table: pa.Table, levels: int, strength: float, seed: int = 5) -> pa.Table:
    """The panel with a shop that moves treatment and outcomes; it is nowhere else."""
    rng = np.random.default_rng(seed)
    shop = rng.integers(0, levels, len(table))
    quality = rng.normal(size=levels)[shop]
    treated = (rng.random(len(table)) < 1 / (1 + np.exp(-strength * quality))).astype(np.int32)
    before = table["treated"].to_numpy()
    spend = table["y_spend"].to_numpy() + strength * quality + 1.5 * (treated - before)
    named = [None if s == 0 else f"shop {s}" for s in shop]
    table = with_column(with_column(table, "shop", named), "treated", treated)
    return with_column(table, "y_spend", spend)


def moments_of(table: pa.Table, options: EffectOptions = OPTIONS):
    source = in_buckets(table)
    columns = panel_columns(source.schema, options, "panel", source.distinct)
    return first_moments(source, columns, options, lambda text: None)


def encoded(table: pa.Table, options: EffectOptions = OPTIONS) -> np.ndarray:
    """The encoding of every row, in the table's order: rows x (mean, mean, log odds)."""
    encoding = moments_of(table, options).design.categories[0]
    assert isinstance(encoding, TargetEncoded)
    found = np.empty((len(encoding.names), len(table)))
    fold = table["bucket"].to_numpy() % options.folds
    encoding.fill(table.combine_chunks().to_batches()[0], found, fold)
    return found.T


@pytest.fixture(scope="module")
def panel():
    return shops(simulate_panel(seed=4, units=1500, clusters=300, heterogeneity=0.0), 40, 1.0)


def test_a_unit_is_encoded_by_the_smoothed_means_of_the_other_folds(panel):
    found, moments = encoded(panel), moments_of(panel)
    assert moments.design.categories[0].names == (
        "shop: mean y_spend", "shop: mean y_visits", "shop: log odds 1",
    )  # fmt: skip
    frame = panel.to_pandas()
    fold, shop = frame["bucket"] % 5, frame["shop"].fillna("none")
    for i in range(0, len(frame), 37):
        others = frame[fold != fold[i]]
        level = others[shop[fold != fold[i]] == shop[i]]
        weight = len(level) + OPTIONS.target_prior
        for j, (name, centre, scale) in enumerate(moments.outcomes):
            mean = (level[name].sum() + OPTIONS.target_prior * others[name].mean()) / weight
            assert found[i, j] == pytest.approx((mean - centre) / scale, rel=1e-10, abs=1e-12)
        share = (level["treated"].sum() + OPTIONS.target_prior * others["treated"].mean()) / weight
        assert found[i, 2] == pytest.approx(np.log(share / (1 - share)), rel=1e-10)


def test_a_units_own_outcome_and_arm_never_change_its_encoding(panel):
    before = encoded(panel)
    fold = panel["bucket"].to_numpy() % 5
    own = fold == 2
    spend = np.where(own, 1000.0 * np.arange(len(own)), panel["y_spend"].to_numpy())
    treated = np.where(own, 1 - panel["treated"].to_numpy(), panel["treated"].to_numpy())
    changed = with_column(with_column(panel, "y_spend", spend), "treated", treated.astype(np.int32))
    # Centre and scale of the outcome are taken from all rows: they move, the level's mean may not.
    first, second = moments_of(panel).outcomes, moments_of(changed).outcomes
    after = encoded(changed)
    mean_before = before[own, 0] * first.scale[0] + first.centre[0]
    mean_after = after[own, 0] * second.scale[0] + second.centre[0]
    np.testing.assert_allclose(mean_after, mean_before, rtol=1e-9)
    np.testing.assert_allclose(after[own, 2], before[own, 2], rtol=1e-12)
    assert np.abs(after[~own, 2] - before[~own, 2]).max() > 0.01


def test_a_level_that_the_other_folds_lack_is_the_mean_of_all(panel):
    shop = panel["shop"].to_pylist()
    shop[7] = "opened yesterday"
    table = with_column(panel, "shop", shop)
    found, outcomes = encoded(table), moments_of(table).outcomes
    frame = table.to_pandas()
    others = frame[frame["bucket"] % 5 != frame["bucket"][7] % 5]
    assert found[7, 0] * outcomes.scale[0] + outcomes.centre[0] == pytest.approx(
        others["y_spend"].mean()
    )


def test_confounding_by_hundreds_of_levels_is_taken_out():
    table = shops(simulate_panel(seed=6, units=20_000, clusters=4000, heterogeneity=0.0), 400, 1.0)
    source = in_buckets(table)
    asked = replace(OPTIONS, outcomes=("y_spend",), estimands=("ATE", "naive difference"))
    (ate, naive) = estimate_panel(source, asked).result.estimates
    assert abs(ate.estimate - 1.5) < 3 * ate.standard_error < 0.2
    assert naive.estimate - 1.5 > 8 * naive.standard_error


def test_levels_in_one_slot_share_their_numbers(panel):
    found = encoded(panel, replace(OPTIONS, target_size=2))
    fold = panel["bucket"].to_numpy() % 5
    assert {len(np.unique(found[fold == k, 0])) for k in range(5)} == {2}
