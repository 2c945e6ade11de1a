"""Checkpoints: the best weights, whole on disk or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.distributed.processes import error_from
from truelift.distributed.rank import write_atomically
from truelift.errors import ConfigError, DataError, JobFailure, StorageError
from truelift.models.sequence.package import ModelPackage
from truelift.models.sequence.registry import entry
from truelift.training import checkpoints
from truelift.training.checkpoints import BestWeights, Checkpoint, CheckpointFolder


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


def owned(tmp_path, token: str) -> CheckpointFolder:
    CheckpointFolder(str(tmp_path)).claim(token)
    return CheckpointFolder(str(tmp_path), token)


def test_a_folder_that_another_has_claimed_is_not_written_any_more(tmp_path):
    orphan = owned(tmp_path, "one.1")
    written(orphan, 5)
    successor = owned(tmp_path, "two.1")
    assert successor.newest("a")[0].number == 5
    written(successor, 6)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(
        JobFailure, match=r"found another owner \(process \d+ on .*taken the folder"
    ):
        written(orphan, 99)
    with pytest.raises(JobFailure, match="another owner"):
        orphan.newest("a")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    written(successor, 7)


def test_ranks_of_an_earlier_start_of_the_same_training_are_no_owners(tmp_path):
    lost = owned(tmp_path, "one.1")
    written(owned(tmp_path, "one.2"), 3)
    with pytest.raises(JobFailure, match="another owner"):
        written(lost, 4)


def test_a_checkpoint_on_its_way_while_the_folder_is_claimed_deletes_nothing(tmp_path, monkeypatch):
    orphan = owned(tmp_path, "one.1")
    written(orphan, 1, 2)
    real = write_atomically

    def slow(path, data):
        monkeypatch.undo()
        written(owned(tmp_path, "two.1"), 3)
        real(path, data)

    monkeypatch.setattr(checkpoints, "write_atomically", slow)
    with pytest.raises(JobFailure, match="another owner"):
        written(orphan, 9)
    names = sorted(p.stem for p in tmp_path.glob("*.checkpoint"))
    assert [int(name) for name in names] == [2, 3, 9]


def test_later_checkpoints_of_others_are_kept_and_useless_ones_go(tmp_path):
    folder = CheckpointFolder(str(tmp_path))
    written(folder, 5, 6)
    written(folder, 8, run="b")
    assert folder.newest("a")[0].number == 6
    written(CheckpointFolder(str(tmp_path)), 7)
    assert len(list(tmp_path.glob("*8.checkpoint"))) == 1
    written(folder, 7)
    assert sorted(int(p.stem) for p in tmp_path.iterdir()) == [6, 7]


def test_a_folder_removed_meanwhile_is_not_made_again(tmp_path):
    folder = owned(tmp_path / "run", "one.1")
    folder.remove("one")
    with pytest.raises(StorageError, match="removed meanwhile"):
        written(folder, 1)
    assert not (tmp_path / "run").exists()


def test_a_training_that_is_over_removes_its_own_folder_and_not_its_successors(tmp_path):
    over = owned(tmp_path / "run", "one.2")
    written(owned(tmp_path / "run", "two.1"), 4)
    over.remove("one")
    assert (tmp_path / "run").exists()
    over.remove("two")
    assert not (tmp_path / "run").exists()


def test_an_owner_file_that_cannot_be_read_is_somebody_elses(tmp_path):
    folder = owned(tmp_path, "one.1")
    (tmp_path / "owner.json").write_bytes(b"{")
    with pytest.raises(JobFailure, match="unknown machine"):
        written(folder, 1)
    assert CheckpointFolder(str(tmp_path)).claim("one.2") is not None


def test_kept_weights_do_not_follow_later_training():
    live = weights(1.0)
    best = BestWeights()
    best.offer(0.5, 1, live)
    live["gru/kernel"][:] = 9.0
    assert best.weights["gru/kernel"][0, 0] == 1.0


def test_a_diverged_run_is_an_error_that_names_the_learning_rate():
    best = BestWeights()
    best.offer(float("nan"), 1, weights(1.0))
    with pytest.raises(DataError, match=r"sequence\.training\.learning_rate"):
        _ = best.weights


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "best.npz"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, None)
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
