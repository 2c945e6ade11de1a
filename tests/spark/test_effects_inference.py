"""Options of inference through Spark: clusters in two ways, and the columns of gold.effects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from truelift.effects.estimate import estimate_panel
from truelift.effects.job import estimate_effects
from truelift.effects.panel.lake_panel import LakePanel
from truelift.effects.results import EffectsResult
from truelift.lake.scan import make_plan
from truelift.settings import EffectOptions
from truelift.typed import from_plain

TWO_WAYS = EffectOptions(start_rows=500, second_cluster="week")


@pytest.fixture(scope="module")
def panel() -> pa.Table:
    table = simulate_panel(seed=12, units=1200, clusters=120, buckets=6)
    week = np.random.default_rng(1).integers(0, 150, 1200)
    return with_column(table, "week", [f"w{w}" for w in week])


def test_clusters_that_lie_in_many_buckets_are_summed_as_in_memory(spark, lake, panel, tmp_path):
    uri = str(tmp_path / "panel")
    frame = spark.createDataFrame(panel)
    frame.repartition(5).write.format("delta").partitionBy("bucket").save(uri)
    files = LakePanel(lake, make_plan("panel", uri))
    rows = LakePanel(lake, replace(files.plan, direct=False, units=(), reason="a test asks for it"))
    expected = estimate_panel(in_buckets(panel), TWO_WAYS).result.estimates
    for source in (files, rows):
        for found, wanted in zip(
            estimate_panel(source, TWO_WAYS).result.estimates, expected, strict=True
        ):
            assert found.estimate == pytest.approx(wanted.estimate, rel=1e-11)
            assert found.standard_error == pytest.approx(wanted.standard_error, rel=1e-11)
            assert "120 x 150 clusters" in found.method


def test_the_table_of_effects_says_how_they_were_tested(
    spark, lake, panel, make_settings, make_job
):
    lake.replace("gold.panel", spark.createDataFrame(panel), "panel")
    asked = ("alternative=greater", "anytime=true", "anytime_tightest_at=500", "start_rows=500")
    job = make_job("estimate_effects", make_settings(*(f"effects.{key}" for key in asked)), lake)
    estimate_effects(job)
    result = from_plain(EffectsResult, job.results["EffectsResult"])
    rows = {(r.estimand, r.outcome): r for r in lake.read("gold.effects").collect()}
    assert len(rows) == len(result.estimates) == 8
    for e in result.estimates:
        row = rows[e.estimand, e.outcome]
        assert (row.alternative, row.anytime) == ("greater", True)
        assert (row.bound, row.p_value) == (e.bound, e.p_value)
        assert row.degrees_of_freedom == e.degrees_of_freedom
        assert row.ci_lower < row.bound < row.estimate
    assert result.to_pandas()["bound"].notna().all()
