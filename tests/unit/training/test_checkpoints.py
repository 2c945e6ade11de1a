"""Checkpoints: the best weights, whole on disk or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.errors import ConfigError, DataError, StorageError
from truelift.models.package import ModelPackage
from truelift.models.registry import entry
from truelift.training import checkpoints
from truelift.training.checkpoints import BestWeights, Checkpoint, CheckpointFolder
from truelift.training.processes import error_from


def weights(value: float) -> dict[str, np.ndarray]:
    return {"gru/kernel": np.full((2, 2), value)}


def test_the_best_epoch_is_kept_not_the_last():
    best = BestWeights()
    assert [best.offer(v, e, weights(e)) for e, v in enumerate((0.1, 0.3, 0.2), start=1)] == [
        True,
        True,
        False,
    ]
    assert best.epoch == 2
    assert best.weights["gru/kernel"][0, 0] == 2
    again = BestWeights.restored(best.value, best.epoch, best.weights)
    assert not again.offer(0.25, 4, weights(4.0))
    np.testing.assert_array_equal(again.weights["gru/kernel"], best.weights["gru/kernel"])


def written(folder: CheckpointFolder, *numbers: int, run: str = "a") -> None:
    for number in numbers:
        arrays = {"weight:gru/kernel": np.full(3, float(number))}
        folder.write(Checkpoint(run, 1, number, number, arrays=arrays))


def test_the_two_newest_checkpoints_are_kept_and_come_back_whole(tmp_path):
    folder = CheckpointFolder(str(tmp_path / "run"))
    assert folder.newest("a") == (None, [])
    written(folder, 1, 2, 3)
    assert len(list((tmp_path / "run").iterdir())) == 2
    found, passed = folder.newest("a")
    assert (found.number, found.step, passed) == (3, 3, [])
    np.testing.assert_array_equal(found.arrays["weight:gru/kernel"], np.full(3, 3.0))


@pytest.mark.parametrize("damage", [b"", b"cut short", b"\0" * 400])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path, damage):
    folder = CheckpointFolder(str(tmp_path))
    written(folder, 7, 8)
    newest = max(tmp_path.iterdir())
    newest.write_bytes(newest.read_bytes()[: len(damage)] + damage)
    found, (why,) = folder.newest("a")
    assert found.number == 7
    assert newest.name in why and "passed over" in why


def test_a_checkpoint_of_another_training_is_not_gone_on_from(tmp_path):
    folder = CheckpointFolder(str(tmp_path))
    written(folder, 5, run="b")
    found, (why,) = folder.newest("a")
    assert found is None and "another training" in why


def test_a_full_disk_leaves_the_older_checkpoints(tmp_path, monkeypatch):
    folder = CheckpointFolder(str(tmp_path))
    written(folder, 1)

    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "write_atomically", full)
    with pytest.raises(StorageError, match=r"No space left.*Those before it remain"):
        written(folder, 2)
    assert folder.newest("a")[0].number == 1


def test_kept_weights_do_not_follow_later_training():
    live = weights(1.0)
    best = BestWeights()
    best.offer(0.5, 1, live)
    live["gru/kernel"][:] = 9.0
    assert best.weights["gru/kernel"][0, 0] == 1.0


def test_a_diverged_run_is_an_error_that_names_the_learning_rate():
    best = BestWeights()
    best.offer(float("nan"), 1, weights(1.0))
    with pytest.raises(DataError, match=r"sequence\.learning_rate"):
        _ = best.weights


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "best.npz"
    checkpoints.write_atomically(path, b"old")
    with pytest.raises(TypeError):
        checkpoints.write_atomically(path, None)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["best.npz"]


def test_a_package_survives_the_journey_as_bytes():
    package = ModelPackage(
        "basket_gru", {"items": 2, "half_lives": [3.0, float("inf")]}, 7, "session", ("milk", "brød"),
        weights(0.5),
    )  # fmt: skip
    back = ModelPackage.from_bytes(package.to_bytes())
    assert back.options == package.options
    assert (back.model, back.max_length, back.step) == ("basket_gru", 7, "session")
    assert back.item_keys == ("milk", "brød")
    np.testing.assert_array_equal(back.weights["gru/kernel"], package.weights["gru/kernel"])


def test_an_unknown_model_is_named_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"found 'gpt', expected one of .*basket_gru"):
        entry("gpt")


def failed(rank: int, error: str, message: str, trace: str = "") -> dict:
    return {"rank": rank, "error": error, "message": message, "trace": trace}


def test_our_own_error_in_a_rank_comes_back_as_itself():
    error = error_from([failed(1, "DataError", "gold.sequences: found nothing")], "", "")
    assert type(error) is DataError
    assert str(error) == "gold.sequences: found nothing"


def test_the_cause_is_reported_and_not_the_neighbour_that_lost_its_connection():
    lost = failed(0, "HorovodInternalError", "closed", "HorovodInternalError: closed by peer")
    cause = failed(1, "FileNotFoundError", "part-0.parquet")
    assert "rank 1 failed with FileNotFoundError: part-0.parquet" in str(
        error_from([lost, cause], "", "")
    )


def test_a_death_without_a_word_says_so():
    assert "no rank said why" in str(error_from([], "the launcher ended with code 9", ""))
