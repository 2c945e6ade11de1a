"""One training step, shared by all ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from truelift.distributed.collective import Alone, TensorCollective
from truelift.models.sequence.batches import Batch
from truelift.training.sparse_rows import RowAdam, mean_rows


@dataclass
class Trainer:
    """A model (:class:`~truelift.models.sequence.protocol.SequenceModel`), its optimizer, and the step.

    Parameters
    ----------
    model, optimizer
    accumulate : int
        Batches whose gradients are added up before the ranks reduce them and update weights;
        an update is then that of the joined batch.
    rows : RowAdam, optional
        Updates the model's ``sparse_variables``, whose gradients are lists of rows; they are
        reduced as rows too, and never laid out. Not together with ``accumulate``.
    ranks : TensorCollective
    """

    model: Any
    optimizer: Any
    accumulate: int = 1
    rows: RowAdam | None = None
    ranks: TensorCollective = field(default_factory=Alone)

    def __post_init__(self) -> None:
        signature = list(self.model.training_signature())
        variables = self.model.trainable_variables
        tables = {id(v) for v in self.model.sparse_variables} if self.rows else set()
        self._is_table = [id(v) in tables for v in variables]
        self._sums: list[Any] = []
        self._pending = 0
        if self.accumulate > 1:
            self._sums = [tf.Variable(tf.zeros_like(v.value), trainable=False) for v in variables]
            self._sums.append(tf.Variable(0.0, trainable=False))
            self._collect = tf.function(self._traced_collect, input_signature=signature)
            self._update = tf.function(self._traced_update, input_signature=[])
        self._step = tf.function(self._traced_step, input_signature=signature)

    def step(self, batch: Batch) -> tuple[float, float]:
        """Learn from a batch, together with the other ranks.

        Returns
        -------
        loss, weight : float
            Weighted sum of the own batch's losses, and the sum of its weights.
        """
        inputs = self.model.training_inputs(batch)
        if self.accumulate == 1:
            loss, weight = self._step(*inputs)
        else:
            loss, weight = self._collect(*inputs)
            self._pending += 1
            if self._pending == self.accumulate:
                self.flush()
        return float(loss), float(weight)

    @property
    def rate(self) -> float:
        """The learning rate of the latest step."""
        return float(np.asarray(self.optimizer.learning_rate))

    @property
    def settled(self) -> bool:
        """Whether no gradient waits for more batches."""
        return self._pending == 0

    def flush(self) -> None:
        """Update the weights with the gradients that wait; all ranks wait for equally many."""
        if self._pending:
            self._update()
            self._pending = 0

    def _gradients(self, inputs: Sequence[tf.Tensor]) -> tuple[list[Any], Any, Any]:
        with tf.GradientTape() as tape:
            loss, weight = self.model.loss(*inputs)
        variables = self.model.trainable_variables
        found = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return found, loss, weight

    @property
    def state(self) -> list[Any]:
        """The optimizers' variables, for checkpoints and broadcasts."""
        return [*self.optimizer.variables, *(self.rows.variables if self.rows else ())]

    def _traced_step(self, *inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        gradients, loss, weight = self._gradients(inputs)
        self._apply(gradients, weight)
        return loss, weight

    def _traced_collect(self, *inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        gradients, loss, weight = self._gradients(inputs)
        for total, own in zip(self._sums, [*gradients, weight], strict=True):
            total.assign_add(tf.convert_to_tensor(own))
        return loss, weight

    def _traced_update(self) -> None:
        *gradients, weight = self._sums
        self._apply([tf.convert_to_tensor(g) for g in gradients], tf.convert_to_tensor(weight))
        for total in self._sums:
            total.assign(tf.zeros_like(total))

    def _apply(self, gradients: Sequence[Any], weight: Any) -> None:
        variables = self.model.trainable_variables
        sides: dict[bool, tuple[list[Any], list[Any]]] = {True: ([], []), False: ([], [])}
        for is_table, gradient, variable in zip(self._is_table, gradients, variables, strict=True):
            sides[is_table][0].append(gradient)
            sides[is_table][1].append(variable)
        means, total = mean_gradients(sides[False][0], weight, self.ranks)
        self.optimizer.apply(means, sides[False][1])
        if self.rows:
            self.rows.apply(mean_rows(sides[True][0], total, self.ranks))


def mean_gradients(
    gradients: Sequence[Any], weight: Any, ranks: TensorCollective
) -> tuple[list[Any], Any]:
    """Gradients of the mean over all ranks' targets, from each rank's gradient of the sum.

    The targets are counted too, so a rank with few or no targets in its batch weighs as much
    as it has: the step equals one on the joined batch.

    Parameters
    ----------
    gradients : sequence of tensor
        Gradients of the sum of the own losses; sparse ones are made dense, since summed sparse
        they would grow with every rank.
    weight : tensor
        Number (or sum of weights) of the own targets.
    ranks : TensorCollective

    Returns
    -------
    gradients, weight
        The mean gradients and the number of targets of all ranks.
    """
    dense = [tf.convert_to_tensor(g) for g in gradients]
    *summed, total = ranks.sum_tensors([*dense, weight])
    scale = 1.0 / tf.maximum(total, 1.0)
    return [g * scale for g in summed], total
