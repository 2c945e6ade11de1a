"""Forecasts of effects by trees on Delta: barrier tasks, Spark's rows and memory agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.effects.panels import in_buckets, simulate_panel
from truelift.effects.estimate import estimate_panel
from truelift.effects.heterogeneity.forecasts import fit_forecasts
from truelift.effects.heterogeneity.scored_contrasts import Contrast, ScoredContrasts
from truelift.effects.job import estimate_effects_from
from truelift.effects.panel.lake_panel import LakePanel
from truelift.lake.scan import make_plan
from truelift.settings import EffectOptions

OPTIONS = EffectOptions(
    start_rows=500,
    folds=3,
    band_draws=1000,
    learner="boosting",
    boosting={"trees": 8, "depth": 3, "learning_rate": 0.3},
    heterogeneity=True,
    heterogeneity_learner="boosting",
)


@pytest.fixture
def panel():
    return simulate_panel(seed=12, units=2400, clusters=400, buckets=6, heterogeneity=1.0)


@pytest.fixture
def uri(spark, panel, tmp_path) -> str:
    path = str(tmp_path / "panel")
    spark.createDataFrame(panel).write.format("delta").partitionBy("bucket").save(path)
    return path


def test_barrier_tasks_spark_rows_and_memory_forecast_alike(lake, panel, uri):
    """Tasks score with boosted nuisances while they take up their rows."""
    memory = in_buckets(panel)
    scoring = estimate_panel(memory, OPTIONS).scoring
    scored = ScoredContrasts(scoring, (Contrast(1, 0), Contrast(1, 1)))
    plan = make_plan("panel", uri)
    rows = replace(plan, direct=False, units=(), reason="a test asks for it")
    sources = (memory, LakePanel(lake, plan), LakePanel(lake, rows))
    fitted = [fit_forecasts(source, scored, OPTIONS) for source in sources]
    for bucket in (1, 2, 4):
        batch = memory.buckets[bucket].combine_chunks().to_batches()[0]
        x = scoring.design.block(batch, bucket)[1:]
        for place in (0, 1):
            expected, *found = (f[place].model.predict(x, bucket % 3) for f in fitted)
            assert expected.std() > 0.1
            for one in found:
                np.testing.assert_allclose(one, expected, rtol=0, atol=1e-4)


def test_a_job_ranks_by_the_learner_that_was_asked_for(lake, uri):
    trees, lines = (
        estimate_effects_from(lake, uri, replace(OPTIONS, heterogeneity_learner=learner))
        for learner in ("boosting", "linear")
    )
    assert [v.learner for v in trees.heterogeneity] == ["boosting", "boosting"]
    assert [v.learner for v in lines.heterogeneity] == ["linear", "linear"]
    assert trees.heterogeneity[0].varies and lines.heterogeneity[0].varies
    assert trees.heterogeneity[0].groups != lines.heterogeneity[0].groups
