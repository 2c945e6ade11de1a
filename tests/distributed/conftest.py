"""A tiny world in a Delta table, and a way to start real ranks on it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from truelift.evaluation.splits import DAY, TemporalSplit, split_to_plain
from truelift.lake.scan import make_plan
from truelift.models.sequence.histories import COLUMNS
from truelift.settings import SequenceOptions
from truelift.training.launcher import launch
from truelift.training.rank import RankJob

ITEMS = 60
STEPS = 40
FAST = {
    "epochs": 8,
    "patience": 8,
    "batch_size": 4,
    "max_length": 16,
    "units": 24,
    "dropout": 0.0,
    "learning_rate": 0.02,
    "warmup_steps": 5,
    "validation_days": 4,
    "test_days": 4,
    "timeout_seconds": 400,
}


def cycle_world(users: int = 61) -> pa.Table:
    """Each day a user takes the next item of a cycle: certain to a model, random to a count.

    With 60 items and 40 days nobody repeats, so neither popularity nor frequency helps.
    """
    starts = np.random.default_rng(3).integers(ITEMS, size=users)
    rows = [[int((start + day) % ITEMS) + 1 for day in range(STEPS)] for start in starts]
    return pa.table(
        {
            "user_key": [f"u{u:03d}" for u in range(users)],
            "item_index": pa.array(rows, pa.list_(pa.int32())),
            "event_time": pa.array([[d * DAY for d in range(STEPS)]] * users, pa.list_(pa.int64())),
            "session_number": pa.array([list(range(STEPS))] * users, pa.list_(pa.int32())),
            "bucket": pa.array([u % 5 for u in range(users)], pa.int32()),
        }
    )


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """URI of the cycle world as ``gold.sequences``."""
    uri = str(tmp_path_factory.mktemp("world") / "sequences")
    write_deltalake(uri, cycle_world(), partition_by=["bucket"])
    return uri


def rank_job(uri: str, **options) -> RankJob:
    split = TemporalSplit.at_end(0, (STEPS - 1) * DAY, 4, 4)
    return RankJob(
        plan=make_plan("gold.sequences", uri, COLUMNS).to_json(),
        split=split_to_plain(split),
        items=ITEMS,
        seed=5,
        sequence=SequenceOptions(**{**FAST, **options}),
    )


@pytest.fixture(scope="session")
def train(tmp_path_factory, world):
    """``train(**options)``: real processes on the world; gives result, weights and events."""

    def run(uri: str = world, **options):
        events: list[dict] = []
        folder = tmp_path_factory.mktemp("ranks")
        result, weights = launch(rank_job(uri, **options), folder, events.append)
        return result, weights, events

    return run
