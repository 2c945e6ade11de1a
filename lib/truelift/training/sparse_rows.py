"""Gradients and updates of tables of which a step touches few rows.

With a million items and sampled negatives, a step's gradient reaches some thousand rows. A dense
gradient would be as large as the table, and so would every reduction between ranks. Here a
gradient stays a list of rows (``tf.IndexedSlices`` with unique ids) from tape to update:

- between ranks, ids and rows are gathered (two ``allgather``) and rows with one id are added up,
  so what travels grows with the rows in use and not with the table; all ranks get the same rows
  in the same order and stay equal to the bit;
- the update is Adam (Kingma & Ba 2015) on these rows alone: a row's moments do not fade, and its
  correction for their start at zero counts the row's own updates, since a rare item's second
  update may be the table's thousandth. On a table whose rows are in use at every step this is
  Adam itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from truelift.distributed.collective import TensorCollective


def sum_rows(gradient: tf.IndexedSlices) -> tf.IndexedSlices:
    """Rows with one id added up; ids are unique and ascending."""
    ids = tf.unique(tf.sort(gradient.indices))[0]
    place = tf.searchsorted(ids, gradient.indices)
    rows = tf.math.unsorted_segment_sum(gradient.values, place, tf.size(ids))
    return tf.IndexedSlices(rows, ids, gradient.dense_shape)


def sum_rows_over_ranks(
    gradient: tf.IndexedSlices, name: str, ranks: TensorCollective
) -> tf.IndexedSlices:
    """The sum of all ranks' rows, equal on all ranks.

    Parameters
    ----------
    gradient : tf.IndexedSlices
        The own rows; none is allowed.
    name : str
        Names the collectives; unique within a step.
    ranks : TensorCollective
    """
    if ranks.size > 1:
        ids = ranks.join_tensors(gradient.indices, f"{name} ids")
        values = ranks.join_tensors(gradient.values, f"{name} rows")
        gradient = tf.IndexedSlices(values, ids, gradient.dense_shape)
    return sum_rows(gradient)


def mean_rows(
    gradients: Sequence[tf.IndexedSlices], total: Any, ranks: TensorCollective
) -> list[tf.IndexedSlices]:
    """Rows of the mean over all ranks' targets, of which there are ``total``."""
    scale = 1.0 / tf.maximum(total, 1.0)
    summed = [sum_rows_over_ranks(g, f"table {i}", ranks) for i, g in enumerate(gradients)]
    return [tf.IndexedSlices(g.values * scale, g.indices, g.dense_shape) for g in summed]


class RowAdam:
    """Adam on the rows that a gradient names.

    Parameters
    ----------
    variables : sequence of Keras variables
        Tables, shape (rows, ...).
    rate : callable
        Learning rate by number of updates so far (a Keras schedule).
    beta_1, beta_2, epsilon : float
    """

    def __init__(
        self,
        variables: Sequence[Any],
        rate: Callable[[Any], Any],
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
    ) -> None:
        self._tables = [v.value if hasattr(v, "value") else v for v in variables]
        self._rate, self._betas, self._epsilon = rate, (beta_1, beta_2), epsilon
        self.iterations = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._first = [tf.Variable(tf.zeros_like(t), trainable=False) for t in self._tables]
        self._second = [tf.Variable(tf.zeros_like(t), trainable=False) for t in self._tables]
        self._updates = [tf.Variable(tf.zeros([t.shape[0]]), trainable=False) for t in self._tables]

    @property
    def variables(self) -> list[Any]:
        """All state, for checkpoints and broadcasts."""
        return [self.iterations, *self._first, *self._second, *self._updates]

    def apply(self, gradients: Sequence[tf.IndexedSlices]) -> None:
        """Update each table with its gradient, whose ids are unique (:func:`sum_rows`)."""
        rate = tf.cast(self._rate(self.iterations), tf.float32)
        for i, gradient in enumerate(gradients):
            self._update(i, gradient.indices, gradient.values, rate)
        self.iterations.assign_add(1)

    def _update(self, i: int, ids: Any, rows: Any, rate: Any) -> None:
        beta_1, beta_2 = self._betas
        updates = tf.gather(self._updates[i], ids) + 1.0
        first = beta_1 * tf.gather(self._first[i], ids) + (1.0 - beta_1) * rows
        second = beta_2 * tf.gather(self._second[i], ids) + (1.0 - beta_2) * rows * rows
        correction = tf.sqrt(1.0 - beta_2**updates) / (1.0 - beta_1**updates)
        scale = tf.reshape(rate * correction, [-1] + [1] * (len(rows.shape) - 1))
        for variable, values in (
            (self._updates[i], updates),
            (self._first[i], first),
            (self._second[i], second),
        ):
            variable.scatter_update(tf.IndexedSlices(values, ids))
        change = scale * first / (tf.sqrt(second) + self._epsilon)
        self._tables[i].scatter_sub(tf.IndexedSlices(change, ids))
