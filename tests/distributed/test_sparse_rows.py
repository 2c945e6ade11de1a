"""Updates of the rows that a step touches: Adam on them, and nothing elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.distributed.collective import Alone
from truelift.models.runtime import start_tensorflow

RATE = 0.1


@pytest.fixture(scope="module")
def tf():
    start_tensorflow()
    import tensorflow

    return tensorflow


def adam_by_hand(values: list[float], start: float) -> float:
    first = second = 0.0
    for t, g in enumerate(values, start=1):
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g * g
        start -= RATE * (first / (1 - 0.9**t)) / (np.sqrt(second / (1 - 0.999**t)) + 1e-9)
    return start


def test_rows_with_one_id_are_added_up(tf):
    from truelift.training.sparse_rows import sum_rows

    given = tf.IndexedSlices([[1.0], [2.0], [4.0]], [7, 3, 7], [9, 1])
    summed = sum_rows(given)
    assert summed.indices.numpy().tolist() == [3, 7]
    assert summed.values.numpy().tolist() == [[2.0], [5.0]]


def test_on_rows_in_use_at_every_step_it_is_adam(tf):
    import keras

    from truelift.training.sparse_rows import RowAdam

    draw = np.random.default_rng(0)
    start = draw.normal(size=(4, 3)).astype(np.float32)
    own, plain = keras.Variable(start), keras.Variable(start)
    rows, adam = RowAdam([own], lambda _: RATE), keras.optimizers.Adam(RATE)
    for _ in range(5):
        gradient = draw.normal(size=(4, 3)).astype(np.float32)
        rows.apply([tf.IndexedSlices(gradient, np.arange(4), [4, 3])])
        adam.apply([tf.constant(gradient)], [plain])
    np.testing.assert_allclose(own, plain, rtol=1e-5)
    assert int(rows.iterations) == 5


def test_a_row_counts_its_own_updates_and_others_stay(tf):
    import keras

    from truelift.training.sparse_rows import RowAdam

    table, bias = keras.Variable(np.zeros((3, 1), "f4")), keras.Variable(np.zeros(3, "f4"))
    adam = RowAdam([table, bias], lambda _: RATE)
    for i, value in ((0, 1.0), (0, -3.0), (2, 5.0), (0, 2.0)):
        rows = tf.constant([value])
        adam.apply([tf.IndexedSlices(rows[:, None], [i]), tf.IndexedSlices(rows, [i])])
    expected = [adam_by_hand([1.0, -3.0, 2.0], 0.0), 0.0, adam_by_hand([5.0], 0.0)]
    np.testing.assert_allclose(np.ravel(table), expected, rtol=1e-4)
    np.testing.assert_allclose(np.ravel(bias), expected, rtol=1e-4)


def test_no_rows_no_change(tf):
    import keras

    from truelift.training.sparse_rows import RowAdam, sum_rows_over_ranks

    table = keras.Variable(np.ones((3, 2), "f4"))
    nothing = tf.IndexedSlices(tf.zeros([0, 2]), tf.zeros([0], tf.int32), [3, 2])
    RowAdam([table], lambda _: RATE).apply([sum_rows_over_ranks(nothing, "none", Alone())])
    assert np.array_equal(table, np.ones((3, 2)))
