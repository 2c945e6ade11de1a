"""``tl.fit_recommender`` with a sequence model: trained beside the rankers that count, in one process."""

from __future__ import annotations

import sys

import pyarrow as pa
import pytest

import truelift as tl
from tests.distributed.conftest import FAST, ITEMS, STEPS, cycle_world
from truelift.evaluation.splits import DAY
from truelift.settings import SequenceOptions

OPTIONS = SequenceOptions(**{**FAST, "model": "gru", "step": "event", "processes": 1})


@pytest.fixture(scope="module")
def walks() -> dict[str, list[int]]:
    """Users who go round the items, every second one backwards: one item alone does not tell how."""
    world = cycle_world()
    walked = zip(world["user_key"].to_pylist(), world["item_index"].to_pylist(), strict=True)
    return {user: items[:: 1 - 2 * (i % 2)] for i, (user, items) in enumerate(walked)}


@pytest.fixture(scope="module")
def interactions(walks) -> pa.Table:
    """A row an interaction."""
    rows = [
        (user, f"i{item:02d}", day * DAY)
        for user, items in walks.items()
        for day, item in enumerate(items)
    ]
    user, item, time = zip(*rows, strict=True)
    return pa.table({"user_key": user, "item_id": item, "event_time": time})


def test_a_model_that_knows_the_order_is_best_and_recommends_what_follows(interactions, walks):
    told: list[str] = []
    found = tl.fit_recommender(interactions, unit="us", model=OPTIONS, progress=told.append)
    by_name = {m.model: m for m in found.metrics}
    assert found.best == "GRU"
    assert by_name["GRU"].ndcg > 0.95 > by_name["item co-occurrence"].ndcg
    assert by_name["GRU"].users == by_name["item co-occurrence"].users
    first = found.recommend(count=1)
    right = 0
    for user, item in zip(first["user_key"].to_pylist(), first["item_id"].to_pylist(), strict=True):
        before, last = walks[user][-2:]
        step = 1 if (last - before) % ITEMS == 1 else -1
        right += item == f"i{(last - 1 + step) % ITEMS + 1:02d}"
    assert first.num_rows == len(walks) and right > 0.9 * len(walks)
    assert any("validation NDCG@10" in text for text in told)


def test_one_process_needs_no_horovod(interactions, monkeypatch, tmp_path):
    hidden = tmp_path / "horovod"
    hidden.mkdir()
    (hidden / "__init__.py").write_text("raise ImportError('hidden')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    short = SequenceOptions(
        **{**FAST, "model": "gru", "step": "event", "processes": 1, "epochs": 1}
    )
    found = tl.fit_recommender(interactions.slice(0, 10 * STEPS), unit="us", model=short)
    assert "GRU" in {m.model for m in found.metrics}
