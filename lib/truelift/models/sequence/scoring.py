"""Scores of a trained model for users' next steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from truelift.models.sequence.batches import pack
from truelift.models.sequence.histories import Histories
from truelift.models.sequence.windows import query_window

# Positions scored at once when predicting; bounds memory at this number times the vocabulary.
QUERY_POSITIONS = 4096


@dataclass
class SequenceRanker:
    """Scores of a model (:class:`~truelift.models.sequence.protocol.SequenceModel`) for what comes next."""

    model: Any
    items: int
    max_length: int
    step: str

    def __post_init__(self) -> None:
        self._score: Callable[..., Any] = tf.function(
            self.model.next_scores, input_signature=list(self.model.query_signature())
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
            batch = pack([windows[i] for i in chosen])
            result[chosen] = self._score(*self.model.query_inputs(batch, lengths[chosen])).numpy()
            start = stop
        return result
