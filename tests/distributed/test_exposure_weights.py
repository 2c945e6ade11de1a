"""Losses corrected for what people are shown: which way they move a fit, and that processes agree on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.distributed.conftest import rank_job
from truelift.models.runtime import start_tensorflow
from truelift.models.sequence.batches import LengthBuckets, batched
from truelift.models.sequence.exposure import ExposureWeights, exposure_weights, inverse_chances
from truelift.models.sequence.histories import Histories
from truelift.models.sequence.windows import training_windows
from truelift.settings.sequence_sections import TrainingSection
from truelift.training.launcher import launch

ITEMS, PEOPLE, STEPS = 12, 300, 8


@pytest.fixture(scope="module", autouse=True)
def tensorflow():
    start_tensorflow()


def test_weights_are_inverse_popularity_clipped_with_a_mean_of_one():
    taken = np.array([0.0, 400, 100, 25, 0])
    plain = inverse_chances(taken, 0.5, 1e9)
    assert plain[1:4] / plain[1] == pytest.approx([1, 2, 4])
    clipped = inverse_chances(taken, 0.5, 2.0)
    for weights in (plain, clipped):
        assert (weights[1:] * taken[1:]).sum() == pytest.approx(taken.sum())
        assert weights[0] == 0
    assert clipped.max() < plain.max()
    assert exposure_weights(taken, TrainingSection(correction="snips")).self_normalised


def world(seed: int = 3) -> tuple[Histories, np.ndarray, np.ndarray]:
    """People who take one of four items that a shop shows, half of which it shows far more often.

    Returns their histories, how likely each item is liked, and how likely it is shown.
    """
    rng = np.random.default_rng(seed)
    liked = np.r_[0, np.tile([1.0, 3.0], ITEMS // 2)]
    shown = np.r_[0, np.repeat([9.0, 1.0], ITEMS // 2)]
    count = PEOPLE * STEPS
    pull = np.log(shown[1:]) + rng.gumbel(size=(count, ITEMS))
    lists = np.argsort(-pull, axis=1)[:, :4] + 1
    want = np.log(liked[lists]) + rng.gumbel(size=lists.shape)
    taken = lists[np.arange(count), want.argmax(axis=1)]
    steps = np.tile(np.arange(STEPS), PEOPLE)
    own = Histories(
        np.arange(PEOPLE).astype(object), np.arange(PEOPLE + 1) * STEPS, taken.astype(np.int32),
        steps.astype(np.int64), steps.astype(np.int32),
    )  # fmt: skip
    return own, liked / liked.sum(), np.bincount(lists.ravel(), minlength=ITEMS + 1) / count


@pytest.mark.parametrize("name", ["gru", "basket_gru"])
def test_weights_by_the_chance_of_being_shown_bring_back_what_is_liked(name):
    import keras

    from truelift.models.sequence import registry
    from truelift.models.sequence.scoring import SequenceRanker
    from truelift.settings import SequenceOptions
    from truelift.training.loop import Trainer

    histories, liked, shown = world()
    step = "session" if name == "basket_gru" else "event"
    options = SequenceOptions(model=name, units=8, dropout=0.0, max_length=STEPS, step=step)
    entry = registry.entry(name)
    inverse = np.r_[0.0, 1 / shown[1:]].astype(np.float32)

    def learned(exposure: ExposureWeights | None) -> np.ndarray:
        keras.utils.set_random_seed(7)
        model = entry.build(entry.options(ITEMS, options, {}))
        model.start_from_popularity(np.bincount(histories.items, minlength=ITEMS + 1))
        model.exposure = exposure
        optimizer = keras.optimizers.Adam(0.05)
        optimizer.build(model.trainable_variables)
        trainer = Trainer(model, optimizer)
        for _ in range(12):
            windows = training_windows(histories, STEPS, step)
            for batch in batched(windows, LengthBuckets(STEPS, PEOPLE)):
                trainer.step(batch)
        scores = np.array(SequenceRanker(model, ITEMS, STEPS, step).scores(histories), float)
        scores[:, 0] = -np.inf
        chances = np.exp(scores - scores.max(axis=1, keepdims=True))
        return (chances / chances.sum(axis=1, keepdims=True)).mean(axis=0)

    def wrong(found: np.ndarray) -> float:
        return float(np.abs(found - liked).sum())

    plain = wrong(learned(None))
    for normalised in (False, True):
        assert wrong(learned(ExposureWeights(inverse, normalised))) < 0.5 * plain


@pytest.mark.parametrize("model", ["basket_gru", "gru"])
def test_two_processes_learn_what_one_does_with_weights(world_uri, tmp_path, model):
    def trained(processes: int, correction: str = "snips"):
        step = "session" if model == "basket_gru" else "event"
        job = rank_job(world_uri, processes=processes, model=model, step=step, epochs=2)
        training = replace(job.sequence.training, correction=correction, correction_power=1.0)
        job = replace(job, sequence=replace(job.sequence, training=training))
        return launch(job, tmp_path / f"{processes}-{correction}")[0].epochs

    one, two, plain = trained(1), trained(2), trained(1, "none")
    for alone, together in zip(one, two, strict=True):
        assert alone.train_loss == pytest.approx(together.train_loss, abs=1e-5)
        assert alone.validation_loss == pytest.approx(together.validation_loss, abs=1e-5)
    assert one[0].train_loss != plain[0].train_loss


@pytest.fixture(scope="module")
def world_uri(tmp_path_factory):
    """The cycle world, thinned so that items come in different numbers."""
    import pyarrow as pa
    from deltalake import write_deltalake

    from tests.distributed.conftest import cycle_world

    rows = cycle_world().to_pylist()
    for row in rows:
        kept = [n for n, item in enumerate(row["item_index"]) if item % 3 or n % 2 or n > 30]
        for name in ("item_index", "event_time", "session_number"):
            row[name] = [row[name][n] for n in kept]
    uri = str(tmp_path_factory.mktemp("thinned") / "sequences")
    write_deltalake(uri, pa.Table.from_pylist(rows, cycle_world().schema), partition_by=["bucket"])
    return uri
