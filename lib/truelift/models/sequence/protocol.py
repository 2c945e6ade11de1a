"""What training and scoring ask of a sequence model, whatever it is made of.

A model turns a :class:`~truelift.models.sequence.batches.Batch` into tensors of its own choice. The
training step compiles :meth:`SequenceModel.loss` over them, the ranker compiles
:meth:`SequenceModel.next_scores`; neither knows what the tensors mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from truelift.models.sequence.batches import Batch


class SequenceModel(Protocol):
    """A Keras model of what comes next.

    Attributes
    ----------
    side_features : tuple of str
        Side features that it reads from a batch.
    trainable_variables : list
    """

    side_features: tuple[str, ...]
    trainable_variables: list[Any]

    def training_inputs(self, batch: Batch) -> tuple[Any, ...]:
        """A batch as the arguments of :meth:`loss`; slot ``i + 1`` is the target of slot ``i``."""

    def training_signature(self) -> Sequence[Any]:
        """The ``tf.TensorSpec`` of each argument of :meth:`loss`."""

    def loss(self, *inputs: Any) -> tuple[Any, Any]:
        """Sum of the weighted losses of the batch's targets, and the sum of their weights.

        Called in training mode. A batch without targets gives two zeros.
        """

    def query_inputs(self, batch: Batch, lengths: np.ndarray) -> tuple[Any, ...]:
        """Query windows (the last slot is the latest step) as arguments of :meth:`next_scores`.

        ``lengths`` is each window's number of positions, shape (windows,).
        """

    def query_signature(self) -> Sequence[Any]:
        """The ``tf.TensorSpec`` of each argument of :meth:`next_scores`."""

    def next_scores(self, *inputs: Any) -> Any:
        """Scores of what follows each window, shape (windows, items + 1); column 0 is padding."""

    def start_from_popularity(self, counts: np.ndarray) -> None:
        """Set output biases from item counts, shape (items + 1,), where the model has any."""
