"""One training step, shared by all ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from truelift.models.batches import Batch
from truelift.models.scoring import one_where_taken
from truelift.training.optimizer import mean_gradients


@dataclass
class Trainer:
    """A model, its optimizer, and the compiled step.

    The loss of a position is the cross-entropy between the softmax over all items and the
    next session's items with equal shares, weighted by the square root of their number. Weight
    one wastes what large sessions tell; weight by number lets them drown the others. On the
    validation window of Complete Journey the root was the best of the three.
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
            Weighted sum of the own batch's losses, and the sum of its weights.
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
        sessions = one_where_taken(rows, slots, items, shape)
        sessions = tf.ensure_shape(sessions, [None, None, self.items + 1])
        targets = sessions[:, 1:]
        size = tf.reduce_sum(targets, axis=-1)
        weight = tf.sqrt(size)
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
