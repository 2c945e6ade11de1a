"""Two real processes train one model on a world whose next item is certain."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.distributed.conftest import rank_job
from truelift.errors import DataError, JobFailure
from truelift.training.launcher import launch


@pytest.fixture(scope="module")
def two(train):
    return train(processes=2)


def of(result, name):
    return next(m for m in result.test if m.model.startswith(name))


def test_two_processes_took_part(two):
    assert two[0].processes == 2


def test_the_loss_falls(two):
    losses = [e.train_loss for e in two[0].epochs]
    assert losses[-1] < 0.5 * losses[0]


def test_the_model_learns_what_counting_cannot(two):
    result = two[0]
    assert result.test[0].model == "BASKET_GRU"
    assert result.test[0].ndcg > 0.6
    for name in ("recent popularity", "popularity", "personal frequency"):
        assert of(result, name).ndcg < 0.3


def test_the_gain_over_each_baseline_comes_with_an_interval(two):
    result = two[0]
    assert list(result.gains) == [m.model for m in result.test[1:]]
    for baseline in result.test[1:]:
        mean, lower, upper = result.gains[baseline.model]
        assert mean == pytest.approx(result.test[0].ndcg - baseline.ndcg)
        assert 0 < lower <= mean <= upper


def test_every_user_is_evaluated_once(two):
    assert {m.users for m in two[0].test} == {61}


def test_the_best_epoch_on_validation_is_the_one_tested(two):
    result = two[0]
    values = [e.validation_ndcg for e in result.epochs]
    assert result.best_epoch == int(np.argmax(values)) + 1


def test_progress_tells_epoch_step_loss_and_share(two):
    texts = [e["text"] for e in two[2]]
    assert any("epoch 1/8" in t and "sequences/s" in t and "loss" in t for t in texts)
    assert any("validation NDCG@10" in t for t in texts)
    assert all(e["done"] <= e["total"] for e in two[2] if e.get("total"))


def test_waiting_for_input_is_a_share(two):
    assert all(0 <= e.input_wait_share < 1 for e in two[0].epochs)


def test_the_same_seed_gives_the_same_numbers(two, train):
    again, weights, _ = train(processes=2)
    assert again.test == two[0].test
    for name, value in two[1].items():
        np.testing.assert_array_equal(weights[name], value)


def test_one_process_gives_the_curve_and_metrics_of_two(two, train):
    one, _, _ = train(processes=1)
    assert one.processes == 1
    assert (one.train_windows, one.steps_per_epoch) == (
        two[0].train_windows,
        two[0].steps_per_epoch,
    )
    for alone, together in zip(one.epochs, two[0].epochs, strict=True):
        assert alone.train_loss == pytest.approx(together.train_loss, abs=1e-5)
        assert alone.validation_loss == pytest.approx(together.validation_loss, abs=1e-5)
        assert alone.validation_ndcg == pytest.approx(together.validation_ndcg, abs=1e-9)
    for alone, together in zip(one.test, two[0].test, strict=True):
        assert alone.model == together.model
        assert alone.ndcg == pytest.approx(together.ndcg, abs=1e-9)
        assert alone.hit_rate == pytest.approx(together.hit_rate, abs=1e-9)


def no_ranks_left() -> bool:
    for child in psutil.Process().children(recursive=True):
        if child.status() != psutil.STATUS_ZOMBIE and "truelift.training.rank" in child.cmdline():
            return False
    return True


def test_a_rank_that_fails_is_named_and_nothing_hangs(world, tmp_path):
    uri = str(tmp_path / "sequences")
    shutil.copytree(world, uri)
    # Each rank reads its own part, and none is started again.
    job = rank_job(uri, processes=2, reading="own", restarts=0)
    # The last bucket belongs to rank 1 alone; rank 0 will wait for it in a collective.
    for file in Path(uri, "bucket=4").glob("*.parquet"):
        file.unlink()
    folder = tmp_path / "ranks"
    folder.mkdir()
    with pytest.raises(JobFailure, match="rank 1 failed with FileNotFoundError"):
        launch(job, folder)
    assert no_ranks_left()


def test_too_long_a_run_is_stopped_with_all_its_processes(world, tmp_path):
    job = rank_job(world, processes=2, timeout_seconds=3)
    with pytest.raises(JobFailure, match=r"sequence\.recovery\.timeout_seconds = 3"):
        launch(job, tmp_path)
    assert no_ranks_left()


def test_a_users_mistake_in_a_rank_comes_back_as_such(world, tmp_path):
    from dataclasses import replace

    job = rank_job(world, processes=1)
    job = replace(job, split={**job.split, "validation_start": 0})
    with pytest.raises(DataError, match="no session before the validation window"):
        launch(job, tmp_path)


def test_a_training_that_diverges_stops_at_once_and_says_where(world, tmp_path):
    events: list[dict] = []
    job = rank_job(world, processes=1, learning_rate=1e30, warmup_steps=0)
    with pytest.raises(DataError, match=r"diverged.* in epoch 1, step \d+, at the learning rate"):
        launch(job, tmp_path, events.append)
    assert not any("validation" in event["text"] for event in events)
