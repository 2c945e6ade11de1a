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
def interactions() -> pa.Table:
    """The cycle world, a row an interaction: what follows is certain to a model that knows the order."""
    world = cycle_world()
    rows = [
        (user, f"i{item:02d}", day * DAY)
        for user, items in zip(
            world["user_key"].to_pylist(), world["item_index"].to_pylist(), strict=True
        )
        for day, item in enumerate(items)
    ]
    user, item, time = zip(*rows, strict=True)
    return pa.table({"user_key": user, "item_id": item, "event_time": time})


def test_a_model_that_knows_the_order_is_best_and_recommends_what_follows(interactions):
    told: list[str] = []
    found = tl.fit_recommender(interactions, unit="us", model=OPTIONS, progress=told.append)
    by_name = {m.model: m for m in found.metrics}
    assert found.best == "GRU"
    assert by_name["GRU"].ndcg > 0.95 > by_name["item co-occurrence"].ndcg
    assert by_name["GRU"].users == by_name["item co-occurrence"].users
    last = {
        u: items[-1]
        for u, items in zip(
            *(cycle_world()[c].to_pylist() for c in ("user_key", "item_index")), strict=True
        )
    }
    first = found.recommend(count=1)
    right = [
        item == f"i{last[user] % ITEMS + 1:02d}"
        for user, item in zip(
            first["user_key"].to_pylist(), first["item_id"].to_pylist(), strict=True
        )
    ]
    assert len(right) == len(last) and sum(right) > 0.9 * len(right)
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
