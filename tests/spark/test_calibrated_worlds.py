"""A lake's marginals are those of the world that wrote it, and real lists find a world of their own."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from tests.conftest import RecordingRun
from tests.spark.logs_source import run_steps
from truelift.config import load_settings, load_spec
from truelift.errors import NotSupportedError
from truelift.features.build import build_features
from truelift.job import Job
from truelift.lake import Lake
from truelift.logs.clean import clean
from truelift.logs.ingest import ingest
from truelift.logs.sessionize import sessionize
from truelift.simulate.calibration.fit import added, played
from truelift.simulate.calibration.job import calibrate_world
from truelift.simulate.calibration.lake import READS, lake_marginals
from truelift.simulate.shop_world.parameters import ShopWorld
from truelift.simulate.shop_world.policies import named_policy
from truelift.simulate.shop_world.shop import Shop
from truelift.simulate.shop_world.written import write_world

ROUNDS = 6
WORLD = ShopWorld(users=400, items=24, categories=3, list_length=3)


def job_on(spark, dataset: Path | str, folder: Path, *overrides: str) -> Job:
    """A job on the lake of a raw log."""
    settings = load_settings("local", str(dataset), ("buckets=8", *overrides), f"{folder}/lake")
    lake = Lake.open(settings, spark)
    run_steps(lake, settings, folder, ingest, clean, sessionize, build_features)
    inputs = {table: lake.version(table) for table in READS}
    return Job("calibrate_world", settings, lake, inputs, "one", RecordingRun(), folder)


def test_a_simulated_lake_has_the_marginals_of_its_world_and_its_own_distance_is_the_resample(
    spark, tmp_path
):
    shop = Shop(WORLD, 11)
    written = write_world(shop, named_policy(shop, "random", 0.1), ROUNDS, tmp_path / "world")
    job = job_on(spark, written.dataset, tmp_path)
    groups, span = lake_marginals(job, 1.0)
    assert (span.rounds, len(groups)) == (ROUNDS, 8)
    found, truth = added(groups), played(WORLD, ROUNDS, span.cap, 11, lists=True)
    for name in ("baskets", "gaps", "buyers_gaps", "shown", "clicked"):
        assert getattr(found, name).tolist() == getattr(truth, name).tolist(), name
    assert sorted(found.sold[found.sold > 0]) == sorted(truth.sold[truth.sold > 0])

    out = tmp_path / "own.yaml"
    told = calibrate_world(job, ShopWorld(), 200, 1.0, out)
    assert [m.marginal for m in told.marginals] == ["gaps", "baskets", "popularity", "clicks"]
    assert all(m.floor > 0 for m in told.marginals)
    assert sum(m.after / m.before for m in told.marginals) < 4
    assert load_spec(ShopWorld, "worlds", "world", str(out), "--world") == told.world
    assert job.run.metrics["clicks.after"] == told.marginals[-1].after


def test_the_open_bandit_samples_find_their_rate_of_clicks(spark, tmp_path):
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    place = Path(os.environ.get("TRUELIFT_SHARED_DATA") or default) / "bandit" / "open_bandit"
    raw = place / "random" / "all" / "all.csv"
    if not raw.exists():
        pytest.skip("needs bandit/open_bandit in $TRUELIFT_SHARED_DATA")
    job = job_on(
        spark, "open_bandit_lists", tmp_path, f"source.path={raw}",
        f"source.exposures.path={raw}", "recommend.effects.click=1",
    )  # fmt: skip
    table = csv.read_csv(raw).select(["position", "click"])
    truth = table.group_by("position").aggregate([("click", "sum"), ("click", "count")])
    truth = truth.sort_by("position")
    lake = added(lake_marginals(job, 1.0)[0])
    assert lake.clicked.tolist() == truth["click_sum"].to_pylist()
    assert lake.shown.tolist() == truth["click_count"].to_pylist()
    told = calibrate_world(job, ShopWorld(), 1_000, 1.0, tmp_path / "zozo.yaml")
    (clicks,) = told.marginals
    assert clicks.marginal == "clicks"
    assert clicks.after < 0.002 < 0.1 < clicks.before


def test_a_lake_without_purchases_returns_or_clicks_has_nothing_to_fit(spark, tmp_path):
    rows = pa.table(
        {"u": [f"u{i}" for i in range(30)], "i": ["a"] * 30, "t": ["2024-01-01T10:00:00"] * 30}
    )
    csv.write_csv(rows, tmp_path / "log.csv")
    (tmp_path / "own.yaml").write_text(
        f"source: {{format: csv, path: {tmp_path}/log.csv, mapping: {{user: u, item: i, time: t}}}}\n"
    )
    settings = load_settings(
        "local", str(tmp_path / "own.yaml"), ("buckets=5",), f"{tmp_path}/lake"
    )
    lake = Lake.open(settings, spark)
    run_steps(lake, settings, tmp_path, ingest, clean)
    job = Job(
        "calibrate_world", settings, lake, {"silver.events": lake.version("silver.events")}, "one",
        RecordingRun(), tmp_path,
    )  # fmt: skip
    with pytest.raises(NotSupportedError, match="nothing to fit"):
        calibrate_world(job, ShopWorld(), 100, 1.0, tmp_path / "none.yaml")
    assert not (tmp_path / "none.yaml").exists()
    assert np.all(added(lake_marginals(job, 1.0)[0]).baskets[:1] == 30)
