"""One training step, shared by all ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from truelift.models.batches import Batch
from truelift.training.optimizer import mean_gradients


@dataclass
class Trainer:
    """A model (:class:`~truelift.models.protocol.SequenceModel`), its optimizer, and the step."""

    model: Any
    optimizer: Any

    def __post_init__(self) -> None:
        self._step = tf.function(
            self._traced_step, input_signature=list(self.model.training_signature())
        )

    def step(self, batch: Batch) -> tuple[float, float]:
        """Learn from a batch, together with the other ranks.

        Returns
        -------
        loss, weight : float
            Weighted sum of the own batch's losses, and the sum of its weights.
        """
        loss, weight = self._step(*self.model.training_inputs(batch))
        return float(loss), float(weight)

    def _traced_step(self, *inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            loss, total = self.model.loss(*inputs)
        variables = self.model.trainable_variables
        gradients, _ = mean_gradients(tape.gradient(loss, variables), total)
        self.optimizer.apply(gradients, variables)
        return loss, total
