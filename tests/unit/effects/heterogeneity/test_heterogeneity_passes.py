"""The passes as a cluster runs them: Arrow batches, kernels that travel, any model's forecasts."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.effects.heterogeneity_units import BUCKETS, as_is, simulate, summed
from truelift.effects.heterogeneity import (
    Forecast,
    HeterogeneityOptions,
    ScoredBlock,
    explore,
    fit_linear,
)
from truelift.effects.panel.columns import number_column
from truelift.effects.panel.source import MemoryPanel
from truelift.errors import DataError

FOLDS = 5
NAMES = ("age", "visits")


def scored(batch: pa.RecordBatch, fold: int) -> ScoredBlock:
    """Scores that lie in a table, with covariates and hashed clusters."""
    x = np.stack([number_column(batch, name) for name in NAMES])
    cluster = batch["cluster"].to_numpy().view(np.uint64)
    return ScoredBlock(number_column(batch, "score"), x, cluster)


def test_kernels_travel_to_tasks_and_read_arrow_batches():
    units = simulate(21, covariates=2, slopes=(0.5,))
    table = pa.table(
        {
            "score": units.score,
            "cluster": units.cluster.view(np.int64),
            **dict(zip(NAMES, units.x, strict=True)),
        }
    )
    panel = MemoryPanel({b: table.filter(units.bucket == b) for b in range(BUCKETS)})

    def sum_pass(kernel):
        travelled = pickle.loads(pickle.dumps(kernel))
        return panel.sum(travelled, table.column_names, 211)

    through_arrow = explore(sum_pass, scored, FOLDS, NAMES)
    in_memory = explore(summed(units), as_is, FOLDS, NAMES)
    autoc, expected = through_arrow.targeting.autoc, in_memory.targeting.autoc
    assert autoc.estimate == pytest.approx(expected.estimate, rel=1e-9)
    assert autoc.standard_error == pytest.approx(expected.standard_error, rel=1e-9)


def test_everything_takes_three_passes():
    for validation in ("sequential", "cross_fitted"):
        passes = []
        run = summed(simulate(22, covariates=2))

        def sum_pass(kernel, run=run, passes=passes):
            passes.append(kernel)
            return run(kernel)

        explore(sum_pass, as_is, FOLDS, NAMES, HeterogeneityOptions(validation=validation))
        assert len(passes) == 3


@pytest.mark.parametrize("validation", ["sequential", "cross_fitted"])
def test_a_linear_model_given_from_outside_finds_what_the_built_in_one_finds(validation):
    units = simulate(23, covariates=2, slopes=(0.5,))
    options = HeterogeneityOptions(validation=validation, cells=20_001)
    grams = []
    run = summed(units)

    def sum_pass(kernel):
        state = run(kernel)
        grams.extend(v for k, v in state.items() if k == "gram.gram")
        return state

    built_in = explore(sum_pass, as_is, FOLDS, NAMES, options)
    model = fit_linear(grams[0], sequential=validation == "sequential")
    given = Forecast(model, model.first_fold)
    plugged = explore(run, as_is, FOLDS, NAMES, options, given)
    for left, right in zip(built_in.calibration.terms, plugged.calibration.terms, strict=True):
        assert left.estimate == pytest.approx(right.estimate, rel=1e-8)
        assert left.standard_error == pytest.approx(right.standard_error, rel=1e-8)
    # Cells lie elsewhere, so that a few neighbours are ties in one and not in the other.
    autoc = plugged.targeting.autoc.estimate
    assert autoc == pytest.approx(built_in.targeting.autoc.estimate, rel=1e-3)


def test_sequential_validation_leaves_out_the_first_fold_alone():
    units = simulate(24, covariates=2)
    found = explore(summed(units), as_is, FOLDS, NAMES)
    later = units.fold(FOLDS) > 0
    assert found.targeting.clusters == len(np.unique(units.cluster[later]))
    assert found.calibration.average.estimate == pytest.approx(units.score[later].mean())
    assert found.best_linear.clusters == len(np.unique(units.cluster))


def test_a_fold_without_rows_is_passed_over():
    units = simulate(25, covariates=2, slopes=(0.5,))
    there = np.flatnonzero(units.fold(FOLDS) != 3)
    found = explore(summed(units, order=there), as_is, FOLDS, NAMES)
    alone = units.block(there)
    assert found.best_linear.clusters == len(np.unique(alone.cluster))
    assert np.isfinite(found.targeting.autoc.standard_error)
    assert found.targeting.sequential.degrees[0] == 3


def test_no_rows_at_all_are_refused():
    with pytest.raises(DataError, match="No bucket has any rows"):
        explore(lambda kernel: {}, as_is, FOLDS, NAMES)
