"""A rank is killed and later another one is stopped: the training ends as if neither had been."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tests.distributed.conftest import rank_job
from truelift.errors import JobFailure
from truelift.training.launcher import launch

# Dropout is on: its random state has to survive too.
OPTIONS = {
    "processes": 2,
    "epochs": 3,
    "batch_size": 1,
    "dropout": 0.3,
    "learning_rate": 0.005,
    "checkpoint_steps": 5,
    "hang_seconds": 15,
    "timeout_seconds": 400,
}
STEPS = 61 * 2


def newest(folder: Path) -> int:
    names = [p.stem for p in (folder / "checkpoints").glob("*.checkpoint")]
    return max(map(int, names), default=0)


def send(folder: Path, start: int, rank: int, number: signal.Signals, after: int) -> None:
    """Signal a rank of a start as soon as a checkpoint beyond ``after`` steps is there."""
    beat = folder / f"start-{start}" / f"heartbeat-{rank}.json"
    while newest(folder) <= after or not beat.exists():
        time.sleep(0.005)
    os.kill(json.loads(beat.read_text())["pid"], number)


@pytest.fixture(scope="module")
def undisturbed(train):
    return train(**OPTIONS)


@pytest.fixture(scope="module")
def disturbed(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("disturbed")

    def disturb() -> None:
        send(folder, 1, 1, signal.SIGKILL, STEPS + 10)
        send(folder, 2, 0, signal.SIGSTOP, 2 * STEPS + 10)

    threading.Thread(target=disturb, daemon=True).start()
    events: list[dict] = []
    result, weights = launch(rank_job(world, **OPTIONS), folder, events.append)
    return result, weights, [e["text"] for e in events]


def test_the_killed_rank_and_the_hung_one_are_named(disturbed):
    killed, hung = disturbed[0].restarts
    assert "rank 1 was killed by signal 9 (often out of memory), last seen in: " in killed
    assert "rank 0 (process" in hung and "no sign of life" in hung
    assert "rank 1" not in hung
    assert "sequence.recovery.hang_seconds = 15" in hung


def test_it_went_on_inside_the_epoch(disturbed):
    resumed = [text for text in disturbed[2] if text.startswith("resumed at")]
    assert len(resumed) == 2
    for text, epoch in zip(resumed, (2, 3), strict=True):
        assert text.startswith(f"resumed at epoch {epoch}, step ")
        assert 10 < int(text.rpartition(" ")[2]) < STEPS


def test_the_curve_is_that_of_an_undisturbed_run(undisturbed, disturbed):
    for one, other in zip(undisturbed[0].epochs, disturbed[0].epochs, strict=True):
        assert other.train_loss == pytest.approx(one.train_loss, rel=1e-12)
        assert other.validation_loss == one.validation_loss
        assert other.validation_ndcg == one.validation_ndcg


def test_weights_and_test_metrics_are_those_of_an_undisturbed_run(undisturbed, disturbed):
    assert disturbed[0].test == undisturbed[0].test
    assert disturbed[0].best_epoch == undisturbed[0].best_epoch
    for name, value in undisturbed[1].items():
        np.testing.assert_array_equal(disturbed[1][name], value)


def test_without_a_restart_left_the_loss_is_an_error(world, tmp_path):
    job = rank_job(world, **{**OPTIONS, "processes": 1, "restarts": 0})
    threading.Thread(target=send, args=(tmp_path, 1, 0, signal.SIGKILL, 5), daemon=True).start()
    with pytest.raises(
        JobFailure, match=r"(?s)rank 0 was killed.*restarts = 0: no restart is left"
    ):
        launch(job, tmp_path)
