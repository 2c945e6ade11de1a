"""Strategies of the loop by a sequence model: they learn what comes next, keep weights, and go on after a stop."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.loop.job import run_loop
from truelift.loop.options import LoopOptions
from truelift.loop.rounds import run_strategy
from truelift.simulate.shop_world.parameters import ShopWorld
from truelift.simulate.shop_world.shop import Shop

WORLD = ShopWorld(users=500, items=24, categories=3, list_length=3)


@pytest.fixture(scope="module")
def found():
    return run_loop(WORLD, LoopOptions(rounds=3), ("random", "sasrec"), (1,))


def test_a_sequence_model_predicts_purchases_better_than_lots(found):
    last = {r["strategy"]: r for r in found.rounds.to_pylist() if r["round"] == 2}
    assert last["sasrec"]["recall"] > 1.3 * last["random"]["recall"]
    # Its lists differ by user, so nothing is said about them before they are played.
    assert last["sasrec"]["forecast"] is None


class _Stopped(Exception):
    pass


def _stop(text: str) -> None:
    if "round 2 of 3" in text:
        raise _Stopped


def test_a_loop_that_stops_goes_on_from_weights_and_histories_to_the_same_lists(found, tmp_path):
    shop, file = Shop(WORLD, 1), tmp_path / "sasrec-1.npz"
    with pytest.raises(_Stopped):
        run_strategy(shop, "sasrec", LoopOptions(rounds=3), file, _stop)
    with np.load(file) as kept:
        assert len(kept["kept.history"]) > 0
    rows = run_strategy(shop, "sasrec", LoopOptions(rounds=3), file)
    own = [r for r in found.rounds.to_pylist() if r["strategy"] == "sasrec"]
    assert [r["purchases"] for r in rows] == [r["purchases"] for r in own]
