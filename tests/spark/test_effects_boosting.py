"""Boosting nuisances in barrier tasks: one task or two, any layout, both ways in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.effects.panels import simulate_panel, with_column
from truelift.distributed.barrier import run_barrier
from truelift.effects.boosting import BoostingOptions, PanelReader, fit_in_memory, fit_on_plan
from truelift.effects.panel.arms import Levels
from truelift.effects.panel.columns import Scale
from truelift.errors import DataError
from truelift.lake.scan import make_plan

OPTIONS = BoostingOptions(trees=8, depth=3, early_stopping_rounds=3, subsample=0.8)
COVARIATES = ("x_0", "x_1", "x_2", "x_3")
FOLDS = 2
READER = PanelReader(
    covariates=COVARIATES,
    outcomes=Scale(("y_spend", "y_visits"), np.array([20.0, 5.0]), np.array([2.0, 2.0])),
    treatment=Levels("treated", (0, 1)),
    cluster="user_key",
)


@pytest.fixture(scope="module")
def panel() -> pa.Table:
    table = simulate_panel(seed=5, units=3000, clusters=600, buckets=6)
    table = with_column(table, "y_visits", np.abs(table["x_0"].to_numpy() - 3))
    holes = np.where(np.arange(3000) % 11 == 0, np.nan, table["x_1"].to_numpy())
    return with_column(table, "x_1", pa.array(holes, from_pandas=True))


def planned(spark, table: pa.Table, path, files_per_bucket: int):
    from pyspark.sql import functions as F

    frame = spark.createDataFrame(table)
    salted = frame.repartition(files_per_bucket, F.rand(seed=files_per_bucket))
    salted.write.format("delta").partitionBy("bucket").save(str(path))
    return make_plan("panel", str(path))


def predictions(fitted, panel: pa.Table) -> np.ndarray:
    x = np.array([panel[name].to_numpy() for name in COVARIATES])
    parts = [fitted.predict(x, fold) for fold in range(FOLDS)]
    return np.array([np.concatenate([e, m.reshape(-1, m.shape[-1])]) for e, m in parts])


def test_one_task_two_tasks_and_spark_rows_give_equal_nuisances(spark, panel, tmp_path):
    plan = planned(spark, panel, tmp_path / "panel", 2)
    one = fit_on_plan(spark, plan, READER, FOLDS, OPTIONS, tasks=1)
    two = fit_on_plan(spark, plan, READER, FOLDS, OPTIONS)
    through_rows = replace(plan, direct=False, units=(), reason="a test asks for it")
    rows = fit_on_plan(spark, through_rows, READER, FOLDS, OPTIONS, tasks=2)
    expected = predictions(one, panel)
    assert one.outcome_rounds.max() > 0
    np.testing.assert_allclose(predictions(two, panel), expected, rtol=0, atol=1e-7)
    np.testing.assert_allclose(predictions(rows, panel), expected, rtol=0, atol=1e-7)
    np.testing.assert_allclose(two.outcome_loss, one.outcome_loss, rtol=1e-7)


def test_a_table_and_the_same_arrays_in_memory_give_equal_nuisances(spark, panel, tmp_path):
    plan = planned(spark, panel, tmp_path / "panel", 1)
    options = replace(OPTIONS, early_stopping_rounds=0, subsample=1.0)
    table = fit_on_plan(spark, plan, READER, FOLDS, options)
    x = np.array([panel[name].to_numpy() for name in COVARIATES])
    outcome = np.array([panel[name].to_numpy() for name in READER.outcomes.names])
    scaled = (outcome - READER.outcomes.centre[:, None]) / READER.outcomes.scale[:, None]
    fold = panel["bucket"].to_numpy() % FOLDS
    memory = fit_in_memory(x, panel["treated"].to_numpy(), scaled, fold, options)
    np.testing.assert_allclose(
        predictions(table, panel), predictions(memory, panel), rtol=0, atol=1e-7
    )


def test_a_treatment_outside_the_arms_is_one_message_from_all_tasks(spark, panel, tmp_path):
    odd = with_column(panel, "treated", pa.array(np.where(np.arange(3000) < 4, 2, 0), pa.int32()))
    plan = planned(spark, odd, tmp_path / "odd", 1)
    with pytest.raises(
        DataError, match=r"panel: 4 rows have a treatment that is none of the 2 arms"
    ):
        fit_on_plan(spark, plan, READER, FOLDS, OPTIONS)


def test_tasks_of_a_barrier_stage_join_what_each_has_in_their_order(spark):
    def work(tasks, batches):
        own = np.arange(1 + tasks.rank, dtype=np.int64)[:, None] + 10 * tasks.rank
        return tasks.size, tasks.join(own).tolist(), tasks.max(own[0]).tolist()

    found = run_barrier(spark.range(0, 2, 1, 2), work, "the tasks of a test")
    assert found == (2, [[0], [10], [11]], [10])
