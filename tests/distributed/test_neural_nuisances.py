"""TARNet and DragonNet: one network for all folds, blind to its own fold, equal in NumPy."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from truelift.effects.boosting.reading import Block
from truelift.effects.estimate import estimate_panel
from truelift.effects.neural.batches import RankRows, chooses
from truelift.effects.neural.memory import fit_in_memory
from truelift.effects.neural.nuisances import NeuralNuisances
from truelift.effects.panel.training_folds import training_folds
from truelift.errors import ConfigError
from truelift.models.causal.options import NeuralOptions
from truelift.models.runtime import start_tensorflow
from truelift.settings import EffectOptions

KINDS = ("tarnet", "dragonnet")
FOLDS, ARMS = 3, 3


def some_block(seed: int = 0, n: int = 240) -> Block:
    rng = np.random.default_rng(seed)
    return Block(
        rng.normal(size=(4, n)).astype(np.float32),
        rng.integers(0, ARMS, n),
        rng.normal(size=(2, n)),
        rng.integers(0, 2**63, n).astype(np.uint64),
        np.arange(n) % FOLDS,
        rng.uniform(0.5, 2, n),
    )


def random_networks(kind: str, targeted: float = 0.0):
    start_tensorflow()
    from truelift.models.causal.network import FoldNetworks

    options = NeuralOptions(kind=kind, shared=(5, 6), head=(7,), targeted=targeted)
    made = FoldNetworks(options, training_folds(FOLDS), 4, ARMS, 2)
    rng = np.random.default_rng(5)
    for variable in made.by_name.values():
        variable.assign(rng.normal(size=variable.shape) * 0.5)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_numpy_predicts_what_the_network_predicts(kind):
    made, block = random_networks(kind), some_block(n=50)
    odds, outcome = (np.array(t) for t in made(block.covariates.T))
    nuisances = NeuralNuisances(made.options, made.arrays())
    design = np.vstack([np.ones(50), block.covariates])
    for fold in range(FOLDS):
        found = nuisances.predict(design, fold)
        chance = np.exp(odds[fold]) / np.exp(odds[fold]).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found.propensity, chance.T, rtol=1e-5, atol=1e-6)
        expected = np.moveaxis(outcome[fold], -1, 1)
        np.testing.assert_allclose(found.outcome_regression, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("targeted", [0.0, 0.7])
def test_a_model_loses_by_the_rows_outside_its_fold(targeted):
    made, b = random_networks("dragonnet", targeted), some_block(n=60)
    weight = b.weights().astype(np.float32)
    found = made.losses_by_fold(
        b.covariates.T, b.arm.astype(np.int32), b.outcome.T.astype(np.float32),
        b.fold.astype(np.int32), weight, own=False,
    )  # fmt: skip
    nuisances = NeuralNuisances(made.options, made.arrays())
    design, unit = np.vstack([np.ones(60), b.covariates]), np.arange(60)
    for fold in range(FOLDS):
        p = nuisances.predict(design, fold)
        factual = p.outcome_regression[b.arm, :, unit].T
        chance = p.propensity[b.arm, unit]
        each = ((b.outcome - factual) ** 2).sum(axis=0) - np.log(chance)
        if targeted:
            epsilon = nuisances.weights["targeted.epsilon"][fold, b.arm, 0].T
            nudged = factual + epsilon / np.maximum(chance, 0.02)
            each += targeted * ((b.outcome - nudged) ** 2).sum(axis=0)
        outside = b.fold != fold
        expected = [(each * weight)[outside].sum(), weight[outside].sum()]
        np.testing.assert_allclose([found[0][fold], found[1][fold]], expected, rtol=2e-5)


def test_what_a_fold_holds_never_reaches_its_own_model():
    options = NeuralOptions(
        shared=(8,), head=(4,), epochs=3, patience=9, batch_size=32, least_steps=0
    )
    block = some_block()
    changed = some_block()
    changed.outcome[:, changed.fold == 1] += 100.0
    changed.arm[changed.fold == 1] = 2
    first, second = (fit_in_memory([b], options, FOLDS, ARMS) for b in (block, changed))
    assert first.propensity_factor[1] == second.propensity_factor[1]
    for name, values in first.nuisances.weights.items():
        np.testing.assert_array_equal(values[1], second.nuisances.weights[name][1])
    kernel = first.nuisances.weights["outcome.kernel"]
    assert not np.allclose(kernel[0], second.nuisances.weights["outcome.kernel"][0])


def test_sequential_models_see_the_folds_before_their_own_alone():
    options = NeuralOptions(
        shared=(8,), head=(4,), epochs=3, patience=9, batch_size=32, least_steps=0
    )
    block, changed = some_block(), some_block()
    block.arm[:], changed.arm[:] = 0, 0
    changed.outcome[:, changed.fold == 1] += 100.0
    first, second = (
        fit_in_memory([b], options, FOLDS, 1, sequential=True).nuisances for b in (block, changed)
    )
    for k, same in enumerate((True, True, False)):
        x = block.covariates[:, block.fold == k]
        found = [n.regression(x, k, 0, 1) for n in (first, second)]
        assert np.array_equal(*found) == same
        whole = first.predict(np.vstack([np.ones(x.shape[1]), x]), k)
        np.testing.assert_allclose(found[0], whole.outcome_regression[0, 1], rtol=1e-12)
        assert (whole.propensity == 1).all()


def test_short_epochs_are_more_of_them():
    start_tensorflow()
    from truelift.effects.neural.fitting import _schedule

    options = NeuralOptions(epochs=30, patience=5, least_steps=2000)
    assert _schedule(options, 10) == (200, 34)
    assert _schedule(options, 100) == (30, 5)


def test_an_epoch_takes_every_row_once_and_whole_clusters_choose():
    rng = np.random.default_rng(3)
    blocks = []
    for part in range(5):
        n = int(rng.integers(1, 90))
        block = some_block(part, n)
        block.covariates[0] = np.arange(n) + 1000 * part
        block.cluster[:] = rng.integers(0, 25, n).astype(np.uint64) * np.uint64(2**57 + 11)
        blocks.append(block)
    parts = [lambda b=b: iter([b]) for b in blocks]
    rows = RankRows(parts, 0.3, 16, (1, 0), buffer_rows=64)
    epochs = [list(rows.epoch(number)) for number in (1, 2)]
    seen = [np.concatenate([r.x[:, 0] for r in batches]) for batches in epochs]
    held = np.concatenate([r.x[:, 0] for r in rows.choosing()])
    everything = np.concatenate([b.covariates[0] for b in blocks])
    for order in seen:
        assert sorted([*order, *held]) == sorted(everything)
    assert list(seen[0]) != list(seen[1])
    train, choose, weight = rows.counts(FOLDS, ARMS)
    assert (train, choose) == (len(seen[0]), len(held))
    expected = np.zeros((FOLDS, ARMS))
    for block in blocks:
        trains = ~chooses(block.cluster, 0.3)
        np.add.at(expected, (block.fold[trains], block.arm[trains]), block.weights()[trains])
    np.testing.assert_allclose(weight, expected)
    clusters = np.concatenate([b.cluster for b in blocks])
    choosing = np.isin(everything, held)
    assert not set(clusters[choosing]) & set(clusters[~choosing])
    assert chooses(clusters, 0.3).tolist() == choosing.tolist()


def test_networks_find_what_a_linear_model_misses():
    rng = np.random.default_rng(2)
    table = simulate_panel(seed=9, units=4000, clusters=4000, cluster_effect=0)
    x = (table["x_1"].to_numpy() - 3) / 10
    treated = (rng.random(4000) < 1 / (1 + np.exp(-np.sin(2 * x)))).astype(np.int32)
    table = with_column(table, "treated", treated)
    table = with_column(table, "y_spend", 2 * np.sin(2 * x) + treated + rng.normal(size=4000))
    table = with_column(table, "user_key", [f"k{i}" for i in range(4000)])
    table = with_column(table, "bucket", pa.array((np.arange(4000) % 10).astype(np.int32)))
    found = {}
    for learner in ("linear", "neural"):
        options = EffectOptions(
            outcomes=("y_spend",), estimands=("ATE",), learner=learner, neural={"epochs": 15}
        )
        found[learner] = estimate_panel(in_buckets(table), options).result
    linear, neural = (found[name].estimates[0] for name in ("linear", "neural"))
    assert abs(linear.estimate - 1) > 5 * linear.standard_error
    assert abs(neural.estimate - 1) < 3 * neural.standard_error
    better = found["neural"].nuisance["r2_control.y_spend"]
    assert better > found["linear"].nuisance["r2_control.y_spend"] + 0.3
    assert found["neural"].learner == "dragonnet"


def test_networks_forecast_a_curved_effect_out_of_fold():
    from truelift.effects.heterogeneity.forecasts import fit_forecasts
    from truelift.effects.heterogeneity.scored_contrasts import Contrast, ScoredContrasts

    rng = np.random.default_rng(4)
    table = simulate_panel(seed=6, units=3000, clusters=3000, cluster_effect=0)
    z, treated = (table["x_1"].to_numpy() - 3) / 10, table["treated"].to_numpy()
    table = with_column(table, "y_spend", z + treated * z**2 + rng.normal(size=3000))
    source = in_buckets(table)
    options = EffectOptions(
        outcomes=("y_spend",), heterogeneity_learner="neural", neural={"least_steps": 0}
    )
    scoring = estimate_panel(source, options).scoring
    scored = ScoredContrasts(scoring, (Contrast(1, 0),))
    (forecast,) = fit_forecasts(source, scored, options, sequential=False)
    truth, found = [], []
    for bucket, rows in source.buckets.items():
        x = scoring.design.block(rows.combine_chunks().to_batches()[0], bucket)[1:]
        found.append(forecast.model.predict(x, bucket % 5))
        truth.append(((rows["x_1"].to_numpy() - 3) / 10) ** 2)
    assert np.corrcoef(np.concatenate(found), np.concatenate(truth))[0, 1] > 0.7


def test_an_unknown_kind_is_refused_with_those_there_are():
    with pytest.raises(
        ConfigError, match=r"effects\.nuisances\.learners\.neural\.kind.*tarnet, dragonnet"
    ):
        NeuralOptions(kind="causalnet")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A panel in a Delta table, and the reader of its features."""
    from deltalake import write_deltalake

    from truelift.effects.nuisances.learners.reading import DesignReader
    from truelift.effects.nuisances.moments import MomentsKernel, make_moments
    from truelift.effects.panel.columns import panel_columns
    from truelift.effects.panel.start import StartKernel, make_start, start_buckets
    from truelift.lake.scan import make_plan

    table = simulate_panel(seed=3, units=3000, clusters=500)
    uri = str(tmp_path_factory.mktemp("panel") / "panel")
    write_deltalake(uri, table, partition_by=["bucket"])
    panel, options = in_buckets(table), EffectOptions(outcomes=("y_spend",))
    columns = panel_columns(panel.schema, options, panel.name, panel.distinct)
    drawn = panel.start_rows(StartKernel(columns, start_buckets(panel.bucket_rows(), 1000)))
    start = make_start(drawn, columns, options)
    kernel = MomentsKernel(columns, start, options.folds)
    state = panel.sum(kernel, columns.of_moments(), 65536)
    moments = make_moments(state, columns, start, panel.name)
    reader = DesignReader(moments.design, moments.outcomes, moments.columns)
    return make_plan("panel", uri), reader, panel


def test_two_processes_train_together_on_the_files_of_a_table(written):
    from truelift.effects.neural.launching import fit_on_plan
    from truelift.effects.nuisances.learners.neural import train

    plan, reader, panel = written
    told: list[str] = []
    options = NeuralOptions(epochs=8, processes=2, shared=(16,), head=(8,))
    fit = fit_on_plan(plan, reader, 5, options, told.append)
    assert fit.processes == 2
    assert fit.rows + fit.validation_rows == 3000
    assert any("step" in line for line in told)
    alone = train(panel, reader, 5, options, lambda text: None)
    # Other batches, the same rows: both learn, and the same function but for noise.
    assert (fit.validation_loss < fit.curve[0, 1]).all()
    np.testing.assert_allclose(fit.validation_loss, alone.validation_loss, rtol=0.1)
    np.testing.assert_allclose(fit.propensity_factor, alone.propensity_factor, atol=0.3)


def test_more_processes_than_parts_of_a_table_are_refused(written):
    from truelift.effects.neural.launching import fit_on_plan
    from truelift.errors import DataError

    plan, reader, _ = written
    with pytest.raises(DataError, match="found 10 row groups for 11 processes"):
        fit_on_plan(plan, reader, 5, NeuralOptions(processes=11))


def test_a_package_predicts_alike_after_its_bytes_and_refuses_other_rows(written):
    from dataclasses import replace

    from truelift.effects.neural.package import CausalPackage
    from truelift.effects.neural.pyfunc import CausalModel
    from truelift.effects.nuisances.first_pass import first_moments
    from truelift.effects.nuisances.learners.neural import train
    from truelift.effects.panel.columns import panel_columns
    from truelift.errors import DataError

    _, reader, panel = written
    options = EffectOptions(outcomes=("y_spend",))
    columns = panel_columns(panel.schema, options, panel.name, panel.distinct)
    moments = first_moments(panel, columns, options, lambda text: None)
    fit = train(panel, reader, 5, NeuralOptions(epochs=2, shared=(8,)), lambda text: None)
    package = CausalPackage(
        fit.nuisances, 5, moments.design, moments.outcomes, "treated", ("0", "1"), "panel", 0
    )
    again = CausalPackage.from_bytes(package.to_bytes())
    again.check(moments, 5, "panel", 0, "models:/networks/1")
    for other in (("panel", 1), ("another", 0)):
        with pytest.raises(DataError, match="would not be out of fold"):
            again.check(moments, 5, *other, "models:/networks/1")
    with pytest.raises(DataError, match="features"):
        replace(again, design=again.design.keeping(again.design.names[1:])).check(
            moments, 5, "panel", 0, "models:/networks/1"
        )
    rows = panel.buckets[0].slice(0, 7)
    served = CausalModel()
    served._package = again
    frame = served.predict(None, rows.to_pandas())
    block = moments.design.block(rows.combine_chunks().to_batches()[0], None)
    found = [fit.nuisances.predict(block, fold) for fold in range(5)]
    _, centre, scale = next(iter(moments.outcomes))
    outcome = np.mean([f.outcome_regression for f in found], axis=0)[:, 0] * scale + centre
    np.testing.assert_allclose(frame["y_spend_effect_1"], outcome[1] - outcome[0], rtol=1e-6)
    chance = np.mean([f.propensity for f in found], axis=0)
    np.testing.assert_allclose(frame[["propensity_0", "propensity_1"]].T, chance, rtol=1e-6)
