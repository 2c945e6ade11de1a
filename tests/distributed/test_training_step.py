"""A training step by itself: accumulated batches, the rate's schedule."""

from __future__ import annotations

import math

import numpy as np
import pytest

from truelift.models.runtime import start_tensorflow
from truelift.models.sequence.batches import Batch


@pytest.fixture(scope="module", autouse=True)
def tensorflow():
    start_tensorflow()


class Line:
    """``y = w x`` with squared error; a batch's items are x and its slots y."""

    def __init__(self):
        import keras
        import tensorflow as tf

        self.tf = tf
        self.weight = keras.Variable(np.zeros(1, np.float32))
        self.trainable_variables = [self.weight]

    def training_inputs(self, batch):
        return self.tf.constant(batch.items, self.tf.float32), self.tf.constant(
            batch.slots, self.tf.float32
        )

    def training_signature(self):
        return (self.tf.TensorSpec([None], self.tf.float32),) * 2

    def loss(self, x, y):
        each = (self.weight * x - y) ** 2
        return self.tf.reduce_sum(each), self.tf.cast(self.tf.size(each), self.tf.float32)


def batch(x, y) -> Batch:
    nothing = np.zeros(len(x), np.int64)
    return Batch(nothing, np.array(y), np.array(x), len(x), 1, len(x), nothing)


FIRST, SECOND = batch([1, 2], [3, 1]), batch([5], [2])
JOINED = batch([1, 2, 5], [3, 1, 2])


def trainer(rate: float = 0.1, **options):
    import keras

    from truelift.training.loop import Trainer

    model = Line()
    optimizer = keras.optimizers.SGD(rate)
    optimizer.build(model.trainable_variables)
    return Trainer(model, optimizer, **options), model


def test_a_step_goes_down_the_gradient_of_the_mean():
    ours, model = trainer()
    loss, weight = ours.step(JOINED)
    assert (loss, weight) == (14.0, 3.0)
    assert float(model.weight[0]) == pytest.approx(0.1 * 2 * (3 + 2 + 10) / 3)


def test_accumulated_batches_make_the_update_of_the_joined_batch():
    alone, expected = trainer()
    alone.step(JOINED)
    ours, model = trainer(accumulate=2)
    ours.step(FIRST)
    assert float(model.weight[0]) == 0.0
    assert not ours.settled
    ours.step(SECOND)
    assert ours.settled
    assert float(model.weight[0]) == pytest.approx(float(expected.weight[0]))


def test_what_waits_at_the_end_of_an_epoch_is_an_update_of_its_own():
    alone, expected = trainer()
    alone.step(FIRST)
    ours, model = trainer(accumulate=5)
    ours.step(FIRST)
    ours.flush()
    ours.flush()
    assert ours.settled
    assert float(model.weight[0]) == pytest.approx(float(expected.weight[0]))


def test_the_rate_warms_up_in_a_line_and_falls_in_a_cosine_to_its_last_share():
    from truelift.models.schedules import WarmupCosine

    rate = WarmupCosine(0.5, 4, 24, 0.1)
    assert [float(rate(s)) for s in (0, 1, 3, 4)] == pytest.approx([0.125, 0.25, 0.5, 0.5])
    for step in (9, 14, 24, 99):
        done = min((step - 4) / 20, 1.0)
        expected = 0.5 * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done)))
        assert float(rate(step)) == pytest.approx(expected, rel=1e-5)
