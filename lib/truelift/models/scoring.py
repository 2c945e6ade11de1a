"""Scores of a trained model for users' next sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from truelift.models.batches import Batch, pack
from truelift.models.histories import Histories
from truelift.models.windows import query_window

# Positions scored at once when predicting; bounds memory at this number times the vocabulary.
QUERY_POSITIONS = 4096


def dense_sessions(batch: Batch, items: int) -> tf.Tensor:
    """A batch as a tensor (windows, width + 1, items + 1) with 1 where the slot has the item."""
    return one_where_taken(
        tf.constant(batch.rows),
        tf.constant(batch.slots),
        tf.constant(batch.items),
        tf.constant([batch.windows, batch.width + 1, items + 1], dtype=tf.int32),
    )


def one_where_taken(
    rows: tf.Tensor, slots: tf.Tensor, items: tf.Tensor, shape: tf.Tensor
) -> tf.Tensor:
    """Entries as a tensor of zeros and ones."""
    index = tf.stack([rows, slots, items], axis=1)
    # An item that comes twice in a session is in the session once.
    return tf.minimum(tf.scatter_nd(index, tf.ones_like(items, dtype=tf.float32), shape), 1.0)


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
