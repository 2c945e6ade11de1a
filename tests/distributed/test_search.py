"""A search with real trainings: survivors go on from where they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.distributed.conftest import rank_job
from truelift.training.search import search, with_checkpoints


class Log:
    def __init__(self, values):
        self.values, self.metrics, self.tags = dict(values), [], None

    def log_metrics(self, metrics, step=None):
        self.metrics.append((step, dict(metrics)))

    def finish(self, tags):
        assert self.tags is None, "finished twice"
        self.tags = dict(tags)


@pytest.fixture(scope="module")
def searched(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    job = rank_job(world, processes=1, epochs=2, tune=2)
    logs: dict[str, Log] = {}
    texts: list[str] = []

    def open_log(name, values):
        logs[name] = Log(values)
        return logs[name]

    best, used = search(
        job, str(folder / "kept"), folder / "ranks", open_log, lambda e: texts.append(e["text"])
    )
    return (
        best,
        logs,
        texts,
        with_checkpoints(replace(job, sequence=best.options), str(folder / "kept")),
        used,
    )


def test_every_trial_has_a_record_with_its_settings_and_its_end(searched):
    best, logs, *_ = searched
    assert sorted(logs) == ["trial 1", "trial 2"]
    other = f"trial {3 - best.number}"
    assert logs[f"trial {best.number}"].tags == {"truelift.tuning": "best"}
    assert logs[other].tags == {"truelift.tuning": "left after epoch 1"}
    assert logs[f"trial {best.number}"].values == best.values


def test_each_epoch_is_logged_once(searched):
    best, logs, *_ = searched
    epochs = [step for step, m in logs[f"trial {best.number}"].metrics if "train_loss" in m]
    assert epochs == [1, 2]


def test_the_survivor_goes_on_from_its_checkpoint(searched):
    best, _, texts, *_ = searched
    title = f"trial {best.number} of 2 up to epoch 2: "
    assert any(t.startswith(f"{title}resumed at epoch 2, step 0") for t in texts)
    assert not any("epoch 1/2, step" in t for t in texts if t.startswith(title))


def test_the_training_that_follows_finds_the_checkpoint_of_the_best(searched):
    *_, final, used = searched
    assert final.checkpoints in used
    assert all(list(Path(uri).glob("*.checkpoint")) for uri in used)
