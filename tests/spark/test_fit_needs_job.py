"""``fit_needs`` on Spark: the numbers of a table in memory, from passes of tasks; and a table of needs."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

import truelift as tl
from tests.conftest import RecordingRun
from tests.unit.graph.test_fit_needs import KEYS, WORLD
from tests.unit.graph.test_needs_that_are_numbers import KEYS as NUMBER_KEYS
from tests.unit.graph.test_needs_that_are_numbers import WORLD as NUMBER_WORLD
from truelift.graph.need.job import fit_needs
from truelift.graph.need.results import NeedsResult
from truelift.graph.need.spec import NeedSpec
from truelift.job import Job
from truelift.lake import Lake
from truelift.tool_records import newest_of_tools
from truelift.typed import from_plain


def test_passes_of_tasks_give_the_numbers_of_memory_and_leave_everyones_needs(
    spark, make_settings, tmp_path
):
    settings = make_settings("buckets=6")
    lake = Lake.open(settings, spark)
    table, _ = WORLD.draw(250, 5, seed=5)
    uri = str(tmp_path / "steps.parquet")
    pq.write_table(table, uri, row_group_size=300)
    plain = {
        k: [v] if isinstance(v, str) and k in ("inputs", "outcomes") else v for k, v in KEYS.items()
    }
    spec = from_plain(NeedSpec, {**plain, "needs": [2], "sample_users": 100, "draws": 3})
    run = RecordingRun()
    job = Job("fit_needs", settings, lake, {}, "one", run, tmp_path)  # type: ignore[arg-type]
    by_tasks = fit_needs(job, spec, uri, held_rows=0)
    here = tl.fit_needs(
        table, **{**KEYS, "needs": [2], "sample_users": 100, "draws": 3}, buckets=lake.buckets
    )
    for one, other in zip(by_tasks.result.effects, here.result.effects, strict=True):
        assert one.estimate == pytest.approx(other.estimate, abs=1e-7)
        assert one.standard_error == pytest.approx(other.standard_error, rel=1e-5)
    keys = ["user_key", "step", "need"]
    rows = lake.read("gold.needs").toPandas().sort_values(keys)
    there = here.posteriors().sort_values(keys)
    assert rows.user_key.tolist() == there.user_key.tolist() and set(rows.source) == {uri}
    assert rows.filtered.to_numpy() == pytest.approx(there.filtered.to_numpy(), abs=1e-6)
    assert rows.smoothed.to_numpy() == pytest.approx(there.smoothed.to_numpy(), abs=1e-6)
    assert run.metrics["needs"] == 2
    assert newest_of_tools(lake.root, "", NeedsResult) == by_tasks.result


def test_needs_that_are_numbers_go_the_same_way(spark, make_settings, tmp_path):
    settings = make_settings("buckets=6")
    lake = Lake.open(settings, spark)
    table, _ = NUMBER_WORLD.draw(120, 5, seed=5)
    uri = str(tmp_path / "steps.parquet")
    pq.write_table(table, uri)
    keys = {**NUMBER_KEYS, "needs": [1], "sample_users": 60, "draws": 3}
    plain = {
        k: [v] if isinstance(v, str) and k in ("inputs", "outcomes") else v for k, v in keys.items()
    }
    job = Job("fit_needs", settings, lake, {}, "one", RecordingRun(), tmp_path)  # type: ignore[arg-type]
    by_tasks = fit_needs(job, from_plain(NeedSpec, plain), uri, held_rows=0)
    here = tl.fit_needs(table, **keys, buckets=lake.buckets)
    for one, other in zip(by_tasks.result.effects, here.result.effects, strict=True):
        assert one.estimate == pytest.approx(other.estimate, rel=1e-6, abs=1e-7)
    order = ["user_key", "step", "need"]
    rows = lake.read("gold.needs").toPandas().sort_values(order)
    there = here.posteriors().sort_values(order)
    assert rows.filtered.to_numpy() == pytest.approx(there.filtered.to_numpy(), abs=1e-6)
    assert rows.filtered_upper.to_numpy() == pytest.approx(
        there.filtered_upper.to_numpy(), abs=1e-6
    )
    assert rows.likely.isna().all()
