"""Target encoding: what a level's numbers are made of, and what they must not be made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from truelift.effects.estimate import estimate_panel
from truelift.effects.neural.nuisances import NeuralNuisances
from truelift.effects.neural.package import CausalPackage
from truelift.effects.nuisances.first_pass import first_moments
from truelift.effects.panel.columns import Scale, panel_columns
from truelift.effects.panel.level_table import LevelKernel, level_hashes, level_sums
from truelift.effects.panel.target_encoding import TargetEncoded, variance_components
from truelift.models.causal.options import NeuralOptions
from truelift.settings import EffectOptions

OPTIONS = EffectOptions(folds=5, categorical={"shop": "target"}, target_prior=10.0)


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


def encoded(table: pa.Table, options: EffectOptions = OPTIONS) -> dict[str, np.ndarray]:
    """The encoding of every row, in the table's order, by what it is of."""
    encoding = moments_of(table, options).design.categories[0]
    assert isinstance(encoding, TargetEncoded)
    found = np.empty((len(encoding.names), len(table)))
    fold = table["bucket"].to_numpy() % options.folds
    encoding.fill(table.combine_chunks().to_batches()[0], found, fold)
    return dict(zip(encoding.targets, found, strict=True))


@pytest.fixture(scope="module")
def panel():
    return shops(simulate_panel(seed=4, units=1500, clusters=300, heterogeneity=0.0), 40, 1.0)


def test_a_unit_is_encoded_by_its_levels_shrunken_effect_in_the_other_folds(panel):
    found, moments = encoded(panel), moments_of(panel)
    assert list(found) == ["mean y_spend", "mean y_visits", "log odds 1"]
    frame = panel.to_pandas()
    frame["shop"] = frame["shop"].fillna("none")
    fold, prior = frame["bucket"] % 5, OPTIONS.target_prior
    for k in range(5):
        others = frame[fold != k]
        shares = others.groupby("shop")["treated"].agg(["mean", "sum", "size"])
        apart = others["treated"] - others["shop"].map(shares["mean"])
        mine = frame[fold == k].index[:7]
        for name, centre, scale in moments.outcomes:
            # Arms are compared within levels, and the difference is taken from the treated.
            effect = (apart * others[name]).sum() / (apart**2).sum()
            net = others[name] - effect * others["treated"]
            levels = (net - net.mean()).groupby(others["shop"]).agg(["sum", "size"])
            expected = net.mean() + levels["sum"] / (levels["size"] + prior)
            wanted = (frame["shop"][mine].map(expected) - centre) / scale
            np.testing.assert_allclose(found[f"mean {name}"][mine], wanted, rtol=1e-8, atol=1e-9)
        share = (shares["sum"] + prior * others["treated"].mean()) / (shares["size"] + prior)
        wanted = np.log(share / (1 - share))[frame["shop"][mine]]
        np.testing.assert_allclose(found["log odds 1"][mine], wanted, rtol=1e-9)


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
    mean_before = before["mean y_spend"][own] * first.scale[0] + first.centre[0]
    mean_after = after["mean y_spend"][own] * second.scale[0] + second.centre[0]
    np.testing.assert_allclose(mean_after, mean_before, rtol=1e-9)
    np.testing.assert_allclose(after["log odds 1"][own], before["log odds 1"][own], rtol=1e-12)
    assert np.abs(after["log odds 1"][~own] - before["log odds 1"][~own]).max() > 0.01


def test_a_level_that_the_other_folds_lack_is_the_mean_of_all(panel):
    shop = panel["shop"].to_pylist()
    shop[7] = "opened yesterday"
    table = with_column(panel, "shop", shop)
    found = encoded(table)
    frame = table.to_pandas()
    others = frame[frame["bucket"] % 5 != frame["bucket"][7] % 5]
    share = others["treated"].mean()
    assert found["log odds 1"][7] == pytest.approx(np.log(share / (1 - share)))
    encoding = moments_of(table, OPTIONS).design.categories[0]
    batch = table.combine_chunks().to_batches()[0]
    assert not encoding.known[table["bucket"][7].as_py() % 5, encoding.places(batch)[7]]


def test_confounding_by_hundreds_of_levels_is_taken_out():
    table = shops(simulate_panel(seed=6, units=20_000, clusters=4000, heterogeneity=0.0), 400, 1.0)
    source = in_buckets(table)
    asked = replace(OPTIONS, outcomes=("y_spend",), estimands=("ATE", "naive difference"))
    (ate, naive) = estimate_panel(source, asked).result.estimates
    assert abs(ate.estimate - 1.5) < 3 * ate.standard_error < 0.2
    assert naive.estimate - 1.5 > 8 * naive.standard_error


def test_levels_without_a_slot_of_their_own_share_the_mean_and_no_others(panel):
    found = encoded(panel, replace(OPTIONS, target_size=2))
    fold = panel["bucket"].to_numpy() % 5
    assert {len(np.unique(found["mean y_spend"][fold == k])) for k in range(5)} == {1}


def test_a_null_is_a_level_of_its_own_and_not_the_number_zero():
    hashes = level_hashes(pa.array([0, None, 0, 7]))
    assert hashes[0] == hashes[2]
    assert len(set(hashes.tolist())) == 3
    texts = level_hashes(pa.array(["", None, "a"]))
    assert len(set(texts.tolist())) == 3


def test_registered_networks_keep_what_is_known_of_the_levels(panel):
    moments = moments_of(panel)
    nuisances = NeuralNuisances(NeuralOptions(), {})
    package = CausalPackage(
        nuisances, 5, moments.design, moments.outcomes, "treated", ("0", "1"), "panel", 3
    )
    again = CausalPackage.from_bytes(package.to_bytes())
    batch = panel.combine_chunks().to_batches()[0]
    assert again.design.names == moments.design.names
    for fold in (None, 2):
        np.testing.assert_array_equal(
            again.design.block(batch, fold), moments.design.block(batch, fold)
        )


@given(
    st.integers(0, 2**31), st.integers(2, 60), st.integers(4, 400), st.sampled_from([1, 3, 17, 200])
)
@settings(max_examples=8, deadline=None)
def test_levels_are_summed_alike_whatever_the_layout(seed, levels, rows, batch_rows):
    rng = np.random.default_rng(seed)
    table = simulate_panel(seed=3, units=rows, clusters=max(rows // 3, 2), buckets=4)
    table = with_column(table, "shop", rng.integers(0, levels, rows))
    columns = panel_columns(
        table.schema, replace(OPTIONS, folds=2), "panel", in_buckets(table).distinct
    )
    outcomes, covariates = (
        Scale(names, np.zeros(len(names)), np.ones(len(names)))
        for names in (columns.outcomes, columns.covariates)
    )
    kernel = LevelKernel(columns, outcomes, covariates, ("shop",), 4096, 2)
    source = in_buckets(table)
    found = level_sums(source.sum(kernel, columns.of_moments(), batch_rows), kernel, 0)
    again = level_sums(source.sum(kernel, columns.of_moments(), 10_000), kernel, 0)
    np.testing.assert_array_equal(found.keys, again.keys)
    np.testing.assert_allclose(found.sums, again.sums, rtol=1e-12)
    # And they are the sums.
    frame = table.to_pandas()
    size = frame.groupby(["shop", frame["bucket"] % 2])["y_spend"].agg(["size", "sum"])
    keys = level_hashes(pa.array(range(levels)))
    for (shop, fold), (count, total) in size.iterrows():
        place = np.flatnonzero(found.keys == keys[shop])
        if len(place):
            own = found.sums[fold, :, :, place[0]].sum(axis=0)
            np.testing.assert_allclose(own[:2], [count, total], rtol=1e-12)
    assert found.lost <= 0.2


def test_variance_components_are_those_of_levels_and_of_units():
    rng = np.random.default_rng(11)
    n = rng.integers(1, 30, 4000)
    level = np.repeat(np.arange(4000), n)
    y = 0.5 * rng.normal(size=4000)[level] + 2.0 * rng.normal(size=len(level))
    within, between = variance_components(n.astype(float), np.bincount(level, y), float(y @ y))
    assert within == pytest.approx(4.0, rel=0.03)
    assert between == pytest.approx(0.25, rel=0.15)
