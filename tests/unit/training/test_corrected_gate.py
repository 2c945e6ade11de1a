"""The gate between a corrected model and the plain one, with trainings that come to rankers of known worth."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.evaluation.test_lot_table import ITEMS, KEYS, LIKED, USERS, Buckets, sequences
from truelift.errors import ConfigError
from truelift.evaluation.splits import LeaveOneOut
from truelift.models.sequence.histories import Histories
from truelift.progress import Progress
from truelift.settings import SequenceOptions
from truelift.training import corrected
from truelift.training.corrected import corrected_or_plain
from truelift.training.job import train_sequence
from truelift.training.rank import RankJob


@dataclass(frozen=True)
class Package:
    """A model that is told by how much noise it ranks with."""

    item_keys: tuple[str, ...] = KEYS
    weights: dict[str, np.ndarray] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        return self.weights["noise"].tobytes()


@dataclass(frozen=True)
class Noisy:
    """Scores by what users like, with noise of its own."""

    noise: float

    def scores(self, histories: Histories) -> np.ndarray:
        who = np.array([int(key[1:]) for key in histories.users])
        own = np.random.default_rng(round(100 * self.noise))
        return LIKED[who] + self.noise * own.random(LIKED.shape)[who]


@pytest.fixture
def chosen(monkeypatch, tmp_path):
    monkeypatch.setattr(
        corrected, "PackagedRanker", lambda data, index: Noisy(float(np.frombuffer(data)[0]))
    )

    def run(plain: float, other: float, table: pa.Table | None = None):
        told = []

        def launch(job, folder, on_progress):
            told.append((job.sequence.training.correction, job.checkpoints))
            noise = plain if job.sequence.training.correction == "none" else other
            return f"noise {noise}", {"noise": np.array([noise])}

        monkeypatch.setattr(corrected, "launch", launch)
        whole = sequences() if table is None else table
        job = SimpleNamespace(
            lake=Buckets([whole.slice(0, 30), whole.slice(30)]), workdir=tmp_path,
            settings=SimpleNamespace(seed=7), progress=Progress("x", enabled=False),
        )  # fmt: skip
        options = SequenceOptions(model="gru")
        options = replace(options, training=replace(options.training, correction="snips"))
        rank_job = RankJob("{}", {}, ITEMS, 7, options, checkpoints="file:///own")
        found = corrected_or_plain(
            job, rank_job, "file:///root", Package(), LeaveOneOut("event"), SimpleNamespace(rows=USERS), print,
        )  # fmt: skip
        assert [name for name, _ in told] == ["none", "snips"]
        assert len({place for _, place in told}) == 2  # one training cannot go on from the other's
        return found

    return run


def test_a_corrected_model_that_is_better_beyond_its_interval_goes_on(chosen):
    found = chosen(plain=9.0, other=0.5)
    assert (found.kept, found.trained, found.weights["noise"][0]) == ("snips", "noise 0.5", 0.5)
    assert found.gain > found.lower > 0
    assert found.metrics()["correction.kept"] == 1.0
    assert "correction snips goes on: AUC" in found.sentence


@pytest.mark.parametrize(("plain", "other"), [(0.5, 9.0), (1.0, 1.0), (5.0, 4.8)])
def test_the_plain_model_goes_on_where_the_corrected_one_is_worse_level_or_hardly_better(
    chosen, plain, other
):
    found = chosen(plain, other)
    assert (found.kept, found.weights["noise"][0]) == ("none", plain)
    assert found.lower <= 0
    assert np.sign(found.gain) == np.sign(plain - other)
    assert found.metrics()["correction.kept"] == 0.0
    assert "does not go on, and the plain model does: AUC" in found.sentence


def test_the_plain_model_goes_on_where_nobody_is_there_to_judge(chosen):
    short = sequences()
    for place, name in enumerate(short.column_names):
        if name != "user_key":
            first = pa.array([row[:1] for row in short[name].to_pylist()])
            short = short.set_column(place, name, first)
    found = chosen(9.0, 0.5, short)
    assert (found.kept, found.trained) == ("none", "noise 9.0")
    assert found.metrics() == {"correction.kept": 0.0}
    assert "cannot say which is better" in found.sentence


def test_a_model_of_next_actions_is_refused_before_anything_is_read_or_trained():
    options = SequenceOptions(model="next_action")
    options = replace(options, training=replace(options.training, correction="ips"))
    job = SimpleNamespace(settings=SimpleNamespace(sequence=options))
    with pytest.raises(
        ConfigError, match=r"correction: found 'ips' beside a model of next actions"
    ):
        train_sequence(job)
