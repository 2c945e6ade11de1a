"""The effect step on Delta: layouts, both ways in, the tables it writes, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import truelift as tl
from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from truelift.effects.estimate import estimate_panel
from truelift.effects.job import estimate_effects, estimate_effects_from
from truelift.effects.look import look_further
from truelift.effects.panel.lake_panel import LakePanel
from truelift.effects.results import EffectsResult
from truelift.errors import DataError, TableError
from truelift.lake import Lake, bucket_column
from truelift.lake.buckets import buckets_of
from truelift.settings import EffectOptions
from truelift.typed import from_plain

OPTIONS = EffectOptions(start_rows=500)


@pytest.fixture(scope="module")
def panel() -> pa.Table:
    """Its buckets are those of our hash: what another hash put there would be cut anew."""
    panel = simulate_panel(seed=11, units=1500, clusters=150)
    shops = np.random.default_rng(11).integers(0, 40, 1500)
    return in_our_buckets(with_column(panel, "shop", [f"shop {s}" for s in shops]), 6)


def in_our_buckets(table: pa.Table, buckets: int) -> pa.Table:
    place = buckets_of(table["user_key"].combine_chunks(), buckets)
    return with_column(table, "bucket", pa.array(place, pa.int32()))


@pytest.fixture
def frame(spark, panel):
    return spark.createDataFrame(panel)


def numbers(result: EffectsResult) -> np.ndarray:
    return np.array([(e.estimate, e.standard_error, e.p_value) for e in result.estimates])


def write(frame, path, files_per_bucket: int) -> str:
    from pyspark.sql import functions as F

    salted = frame.repartition(files_per_bucket, F.rand(seed=files_per_bucket))
    salted.write.format("delta").partitionBy("bucket").save(str(path))
    return str(path)


def test_three_layouts_and_memory_give_equal_estimates_and_errors(lake, frame, panel, tmp_path):
    coded = replace(OPTIONS, categorical={"shop": "one_hot", "campaign": "hash"})
    in_memory = estimate_panel(in_buckets(panel), coded).result
    for files in (1, 3, 8):
        uri = write(frame, tmp_path / f"layout-{files}", files)
        found = estimate_effects_from(lake, uri, coded)
        np.testing.assert_allclose(numbers(found), numbers(in_memory), rtol=1e-10, atol=1e-300)
        assert found.cautions == in_memory.cautions


def test_files_and_spark_rows_give_equal_estimates_and_errors(lake, frame, tmp_path):
    uri = write(frame, tmp_path / "panel", 2)
    plan = LakePanel(lake, lake_plan(uri))
    rows = LakePanel(lake, replace(plan.plan, direct=False, units=(), reason="a test asks for it"))
    assert plan.bucket_rows() == rows.bucket_rows()
    one = estimate_panel(plan, OPTIONS).result
    two = estimate_panel(rows, OPTIONS).result
    np.testing.assert_allclose(numbers(one), numbers(two), rtol=1e-12, atol=1e-300)
    assert one.overlap.treated_counts == two.overlap.treated_counts


def lake_plan(uri: str):
    from truelift.lake.scan import make_plan

    return make_plan("panel", uri)


def test_the_step_writes_scores_and_effects_that_agree(lake, frame, panel, make_settings, make_job):
    lake.replace("gold.panel", frame, "panel")
    job = make_job("estimate_effects", make_settings("effects.nuisances.start_rows=500"), lake)
    report = estimate_effects(job)
    assert (report.rows_in, report.rows_out) == (1500, 6000)
    result = from_plain(EffectsResult, job.results["EffectsResult"])
    assert result.table_version == job.inputs["gold.panel"]
    effects = {(r.estimand, r.outcome): r for r in lake.read("gold.effects").collect()}
    assert len(effects) == 8
    scores = lake.read("gold.scores").groupBy("outcome").pivot("arm").avg("score").collect()
    for row in scores:
        ate = effects["ATE", row.outcome].estimate
        assert row["1"] - row["0"] == pytest.approx(ate, rel=1e-9)
    folds = lake.read("gold.scores").selectExpr("fold = bucket % 5 AS same").distinct().collect()
    assert [row.same for row in folds] == [True]
    panels = lake.read("gold.scores").select("panel", "panel_version").distinct().collect()
    assert [tuple(row) for row in panels] == [("gold.panel", job.inputs["gold.panel"])]
    assert job.run.metrics["ate.y_spend"] == effects["ATE", "y_spend"].estimate
    assert effects["ATE", "y_spend"].ci_lower < 1.5 < effects["ATE", "y_spend"].ci_upper


def test_further_looks_through_spark_say_what_they_say_in_memory(
    lake, frame, panel, make_settings, make_job
):
    lake.replace("gold.panel", frame, "panel")
    asked = ("heterogeneity=true", "credibility=true", "placebos=20", "start_rows=500",
             "leave_out=campaign")  # fmt: skip
    job = make_job("estimate_effects", make_settings(*(f"effects.{key}" for key in asked)), lake)
    estimate_effects(job)
    result = from_plain(EffectsResult, job.results["EffectsResult"])
    options = replace(
        OPTIONS, heterogeneity=True, credibility=True, placebos=20, leave_out="campaign"
    )
    source = in_buckets(panel)
    expected = look_further(source, estimate_panel(source, options), options).result
    for found, wanted in zip(result.heterogeneity, expected.heterogeneity, strict=True):
        assert [g.estimate for g in found.groups] == pytest.approx(
            [g.estimate for g in wanted.groups], rel=1e-9
        )
        assert found.autoc.standard_error == pytest.approx(wanted.autoc.standard_error, rel=1e-9)
    for found, wanted in zip(
        result.credibility.placebos, expected.credibility.placebos, strict=True
    ):
        assert found.estimates == pytest.approx(wanted.estimates, rel=1e-8, abs=1e-10)
    assert {g.group for g in result.credibility.groups} == {"campaign"}
    first = result.credibility.omitted_variables[0]
    assert job.run.metrics["robustness_value"] == first.robustness_value
    assert job.run.metrics["autoc"] == result.heterogeneity[0].autoc.estimate
    assert job.run.metrics["seconds.credibility"] > 0


def test_a_second_execution_writes_nothing(lake, frame, make_settings, make_job):
    lake.replace("gold.panel", frame, "panel")
    settings = make_settings("effects.nuisances.start_rows=500")
    for _ in range(2):
        report = estimate_effects(make_job("estimate_effects", settings, lake, "same"))
    assert lake.version("gold.scores") == 0
    assert lake.version("gold.effects") == 0
    assert report.rows_out == 6000


def test_one_arm_only_leaves_the_tables_untouched(spark, lake, panel, make_settings, make_job):
    table = with_column(panel, "treated", np.zeros(panel.num_rows, np.int32))
    lake.replace("gold.panel", spark.createDataFrame(table), "one arm")
    job = make_job("estimate_effects", make_settings(), lake)
    with pytest.raises(DataError, match="every row has 'treated' = '0'"):
        estimate_effects(job)
    assert not lake.exists("gold.scores")
    assert not lake.exists("gold.effects")


def test_a_panel_without_rows_is_refused(lake, frame, make_settings, make_job):
    lake.replace("gold.panel", frame.limit(0), "empty")
    with pytest.raises(DataError, match=r"gold\.panel has no rows"):
        estimate_effects(make_job("estimate_effects", make_settings(), lake))


def test_without_a_panel_the_step_says_why_it_skipped(lake, make_settings, make_job):
    report = estimate_effects(make_job("estimate_effects", make_settings(), lake))
    assert (report.rows_in, report.rows_out) == (0, 0)
    assert "there is no panel" in report.headline["skipped"]
    assert not lake.exists("gold.effects")


@pytest.mark.parametrize("kind", ["delta", "parquet"])
def test_any_table_is_brought_into_buckets_once(lake: Lake, frame, tmp_path, kind):
    uri = str(tmp_path / f"flat-{kind}")
    flat = frame.drop("bucket")
    flat.write.format(kind).save(uri)
    found = estimate_effects_from(lake, uri, OPTIONS)
    copies = sorted((Path(lake.root) / "work").iterdir())
    again = estimate_effects_from(lake, f"{uri}@0" if kind == "delta" else uri, OPTIONS)
    np.testing.assert_array_equal(numbers(found), numbers(again))
    assert sorted((Path(lake.root) / "work").iterdir()) == copies and len(copies) == 1
    if (
        kind == "delta"
    ):  # another version of it: the copy of the old one goes, its rows do not change
        flat.write.format(kind).mode("overwrite").save(uri)
        newer = estimate_effects_from(lake, uri, OPTIONS)
        assert not set(copies) & set((Path(lake.root) / "work").iterdir())
        np.testing.assert_allclose(numbers(newer), numbers(found), rtol=1e-12, atol=1e-300)
        copies = sorted((Path(lake.root) / "work").iterdir())
    by_hand = flat.withColumn("bucket", bucket_column("user_key", lake.buckets)).toArrow()
    expected = numbers(estimate_panel(in_buckets(by_hand), OPTIONS).result)
    np.testing.assert_allclose(numbers(found), expected, rtol=1e-12, atol=1e-300)
    # The same call without a lake, without Spark, and on Spark's rows, of which no copy stays.
    asked = {"treatment": "treated", "outcomes": OPTIONS.outcomes, "cluster": "user_key"}
    asked |= {"start_rows": OPTIONS.start_rows, "buckets": lake.buckets}
    for here in (tl.estimate_effects(uri, **asked), tl.estimate_effects(flat, lake=lake, **asked)):
        np.testing.assert_allclose(numbers(here), expected, rtol=1e-12, atol=1e-300)
    assert sorted((Path(lake.root) / "work").iterdir()) == copies
    there = tl.estimate_effects(uri, lake=lake, **asked)
    np.testing.assert_array_equal(numbers(there), numbers(found))


def test_a_single_parquet_file_is_a_table_too(lake, panel, tmp_path):
    file = tmp_path / "panel.parquet"
    pq.write_table(panel.drop_columns(["bucket"]), file)
    found = estimate_effects_from(lake, str(file), OPTIONS)
    assert found.n == panel.num_rows


def test_a_place_without_a_table_is_named(lake, tmp_path):
    with pytest.raises(TableError, match=r"There is no table at .*nothing: found nothing"):
        estimate_effects_from(lake, str(tmp_path / "nothing"), OPTIONS)


def test_a_table_with_deleted_rows_is_estimated_without_them(spark, lake, panel, tmp_path):
    uri = str(tmp_path / "deleted")
    frame = spark.createDataFrame(panel)
    writer = frame.write.format("delta").partitionBy("bucket")
    writer.option("delta.enableDeletionVectors", "true").save(uri)
    spark.sql(f"DELETE FROM delta.`{uri}` WHERE unit_id < 'u000100'")
    assert not lake_plan(uri).direct
    kept = in_our_buckets(panel.slice(100), lake.buckets)
    found = estimate_effects_from(lake, uri, OPTIONS)
    expected = estimate_panel(in_buckets(kept), OPTIONS).result
    np.testing.assert_allclose(numbers(found), numbers(expected), rtol=1e-12, atol=1e-300)
