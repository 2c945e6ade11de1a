"""What ``simulate_world`` writes goes through the log engine: lists, chances and visits as the world has them."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import pytest
from pyarrow import parquet

from tests.conftest import RecordingRun
from tests.spark.logs_source import held, run_steps
from truelift.config import load_settings
from truelift.errors import NotSupportedError
from truelift.features.build import build_features
from truelift.features.vocabulary import vocabulary
from truelift.job import Job
from truelift.lake import Lake
from truelift.logs.clean import clean
from truelift.logs.ingest import ingest
from truelift.logs.sessionize import sessionize
from truelift.pipeline import pin_inputs, step_named
from truelift.recommend.replay import replayed
from truelift.recommend.shown.lake import learnt
from truelift.simulate.shop_world.parameters import ShopWorld
from truelift.simulate.shop_world.policies import named_policy
from truelift.simulate.shop_world.shop import Shop
from truelift.simulate.shop_world.written import write_world

ROUNDS = 2


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    shop = Shop(ShopWorld(users=400, items=24, categories=3, list_length=3), 11)
    out = tmp_path_factory.mktemp("world") / "logs"
    return write_world(shop, named_policy(shop, "random", 0.1), ROUNDS, out)


@pytest.fixture(scope="module")
def lake(spark, written, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lists")
    settings = load_settings("local", str(written.dataset), ("buckets=8",), f"{folder}/lake")
    made = Lake.open(settings, spark)
    run_steps(made, settings, folder, ingest, clean, sessionize, build_features)
    return made, settings, folder


def recommend_job(lake) -> Job:
    made, settings, folder = lake
    inputs = pin_inputs(step_named("recommend"), made)
    return Job("recommend", settings, made, inputs, "one", RecordingRun(), folder)


def test_the_log_engine_keeps_every_slot_with_its_chance_and_every_visit(lake, written):
    made = lake[0]
    found, wrote = held(made, "gold.exposures"), parquet.read_table(written.folder / "exposures")
    assert found.num_rows == written.exposures == wrote.num_rows
    for ours, theirs in (
        ("propensity", "propensity"),
        ("list_propensity", "slate_propensity"),
        ("slot", "slot"),
    ):
        assert pc.sum(found[ours]).as_py() == pytest.approx(pc.sum(wrote[theirs]).as_py())
    by = [
        ("user_key", "visitor"),
        ("list_id", "visit"),
        ("item_key", "item"),
        ("context", "context"),
    ]
    for ours, theirs in by:
        assert sorted(found[ours].to_pylist()) == sorted(wrote[theirs].to_pylist())
    assert made.plan("silver.events").rows == written.events
    assert made.plan("silver.sessions").rows == written.visits


def test_effects_come_from_the_lake_with_support_and_intervals(lake):
    job = recommend_job(lake)
    found = learnt(job, vocabulary(job))
    assert found.effects.lists == pytest.approx(
        pc.count_distinct(held(lake[0], "gold.exposures")["list_id"]).as_py(), rel=0.05
    )
    assert found.effects.purchases > 200
    assert found.effects.context_share.sum() == pytest.approx(1.0)
    lower, upper = found.effects.interval(0.95)
    assert (lower[:, 1:] < upper[:, 1:]).all()
    assert np.isfinite(found.effects.estimate).all()
    assert found.effects.centre[0, 1:].min() > 0  # being shown sells in this shop


def test_a_replay_values_adjusted_lists_by_the_other_half_and_plans_an_experiment(lake):
    found = replayed(recommend_job(lake))
    told = found.what_if
    assert told.lower < told.gain < told.upper
    assert told.by_effect == pytest.approx(told.by_relevance + told.gain)
    assert found.plan.explore == 0.1
    assert (found.plan.lists is None) == (told.gain <= 0)
    assert "in 100 lists" in str(found)


def test_a_lake_without_lists_is_told_what_to_map(lake):
    job = recommend_job(lake)
    del job.inputs["gold.exposures"]
    with pytest.raises(NotSupportedError, match="no exposures"):
        learnt(job, vocabulary(job))
