"""One training step and the epochs around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from truelift.recommend.histories import Histories
from truelift.training.batches import Batch, pack
from truelift.training.optimizer import mean_gradients
from truelift.training.windows import query_window

# Positions scored at once when predicting; bounds memory at this number times the vocabulary.
QUERY_POSITIONS = 4096


def dense_sessions(batch: Batch, items: int) -> tf.Tensor:
    """A batch as a tensor (windows, width + 1, items + 1) with 1 where the slot has the item."""
    return _scatter(
        tf.constant(batch.rows),
        tf.constant(batch.slots),
        tf.constant(batch.items),
        tf.constant([batch.windows, batch.width + 1, items + 1], dtype=tf.int32),
    )


def _scatter(rows: tf.Tensor, slots: tf.Tensor, items: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    index = tf.stack([rows, slots, items], axis=1)
    # An item that comes twice in a session is in the session once.
    return tf.minimum(tf.scatter_nd(index, tf.ones_like(items, dtype=tf.float32), shape), 1.0)


@dataclass
class Trainer:
    """A model, its optimizer, and the compiled step.

    The loss of a position is the cross-entropy between the softmax over all items and the
    next session's items with equal weight, so that each session counts once whatever its size.
    """

    model: Any
    optimizer: Any
    items: int

    def __post_init__(self) -> None:
        vector = tf.TensorSpec([None], tf.int32)
        shape = tf.TensorSpec([3], tf.int32)
        self._step = tf.function(self._traced_step, input_signature=[vector, vector, vector, shape])

    def step(self, batch: Batch) -> tuple[float, float]:
        """Learn from a batch, together with the other ranks.

        Returns
        -------
        loss, weight : float
            Sum of the own batch's losses and number of its targets.
        """
        loss, weight = self._step(
            tf.constant(batch.rows),
            tf.constant(batch.slots),
            tf.constant(batch.items),
            tf.constant([batch.windows, batch.width + 1, self.items + 1], dtype=tf.int32),
        )
        return float(loss), float(weight)

    def _traced_step(
        self, rows: tf.Tensor, slots: tf.Tensor, items: tf.Tensor, shape: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        sessions = _scatter(rows, slots, items, shape)
        sessions = tf.ensure_shape(sessions, [None, None, self.items + 1])
        targets = sessions[:, 1:]
        size = tf.reduce_sum(targets, axis=-1)
        weight = tf.cast(size > 0, tf.float32)
        labels = targets / tf.maximum(size, 1.0)[..., None]
        with tf.GradientTape() as tape:
            scores = self.model(sessions[:, :-1], training=True)
            each = tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=scores)
            loss = tf.reduce_sum(each * weight)
        variables = self.model.trainable_variables
        total = tf.reduce_sum(weight)
        gradients, _ = mean_gradients(tape.gradient(loss, variables), total)
        self.optimizer.apply(gradients, variables)
        return loss, total


@dataclass
class SequenceRanker:
    """Scores of a model for the session after each user's latest."""

    model: Any
    items: int
    max_length: int
    step: str

    def __post_init__(self) -> None:
        self._score: Callable[..., Any] = tf.function(
            self.model.score_next,
            input_signature=[
                tf.TensorSpec([None, None, self.items + 1], tf.float32),
                tf.TensorSpec([None], tf.int32),
            ],
        )

    def scores(self, histories: Histories) -> np.ndarray:
        """Scores of all items for each user, shape (n, items + 1)."""
        if len(histories) == 0:
            return np.zeros((0, self.items + 1), dtype=np.float32)
        windows = query_window(histories, self.max_length, self.step)
        lengths = np.array([w.length for w in windows], dtype=np.int32)
        # By length, so that little of a chunk is padding; the result goes back in order.
        order = np.argsort(lengths, kind="stable")
        result = np.empty((len(windows), self.items + 1), dtype=np.float32)
        start = 0
        while start < len(order):
            stop = start + 1
            while (
                stop < len(order) and lengths[order[stop]] * (stop + 1 - start) <= QUERY_POSITIONS
            ):
                stop += 1
            chosen = order[start:stop]
            dense = dense_sessions(pack([windows[i] for i in chosen]), self.items)[:, :-1]
            result[chosen] = self._score(dense, tf.constant(lengths[chosen])).numpy()
            start = stop
        return result
