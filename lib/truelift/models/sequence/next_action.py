"""A dense classifier of a user's next action from the session so far.

It ranks no items: its classes are kinds of events (``event_type`` codes), so where another model
speaks of ``items`` this one means actions, and ``task`` says so.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from truelift.models.sequence.batches import Batch
from truelift.models.sequence.chance import Draws
from truelift.models.sequence.layers import Affine, drop
from truelift.models.sequence.losses import NEVER
from truelift.models.sequence.session_features import feature_count, session_features
from truelift.models.sequence.small_options import NextActionOptions


class NextAction(keras.layers.Layer):
    """Two hidden layers over :func:`~truelift.models.sequence.session_features.session_features`."""

    task = "classification"

    def __init__(self, options: NextActionOptions) -> None:
        super().__init__(name="next_action")
        self.options = options
        self.side_features = ("event_type",)
        self.seeds = keras.random.SeedGenerator()

    def build(self, input_shape: Any = None) -> None:  # noqa: ARG002
        """Make all weights."""
        options = self.options
        inputs = feature_count(options.items)
        self.hidden = [
            Affine(self, "hidden_0", inputs, options.units),
            Affine(self, "hidden_1", options.units, options.units),
        ]
        self.to_classes = Affine(self, "classes", options.units, options.items + 1)
        self.built = True

    def call(self, features: Any, draws: Draws | None = None) -> Any:
        """Class scores after events with these features, shape (rows, actions + 1)."""
        x = features
        for layer in self.hidden:
            x = drop(tf.nn.relu(layer(x)), self.options.dropout, draws)
        never = tf.one_hot(0, self.options.items + 1, on_value=NEVER, off_value=0.0)
        return self.to_classes(x) + never

    def training_inputs(self, batch: Batch) -> tuple[Any, ...]:
        """Features before each event, and the event's action (0: unknown, not learned from)."""
        features = session_features(batch, self.options.items)
        # In a window without an earlier event nothing is known before the first one.
        follows = np.r_[False, batch.rows[1:] == batch.rows[:-1]][: len(batch.rows)]
        before = np.zeros_like(features)
        before[1:] = np.where(follows[1:, None], features[:-1], 0.0)
        kinds = batch.features["event_type"]
        known = (batch.slots > 0) & (kinds > 0) & (kinds <= self.options.items)
        return tf.constant(before[known]), tf.constant(kinds[known].astype(np.int32))

    def training_signature(self) -> tuple[Any, ...]:
        """A matrix and a vector."""
        width = feature_count(self.options.items)
        return tf.TensorSpec([None, width], tf.float32), tf.TensorSpec([None], tf.int32)

    def loss(self, features: Any, actions: Any) -> tuple[Any, Any]:
        """Cross-entropy of the actions, and their number."""
        scores = self(features, draws=Draws(tf.cast(self.seeds.next(), tf.int32)))
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=actions, logits=scores)
        return tf.reduce_sum(each), tf.cast(tf.size(actions), tf.float32)

    def correct(self, features: Any, actions: Any) -> tuple[Any, Any]:
        """How many actions have the highest score, and their number; the ratio is accuracy."""
        best = tf.argmax(self(features), axis=1, output_type=tf.int32)
        hits = tf.reduce_sum(tf.cast(best == actions, tf.float32))
        return hits, tf.cast(tf.size(actions), tf.float32)

    def query_inputs(self, batch: Batch, lengths: np.ndarray) -> tuple[Any, ...]:  # noqa: ARG002
        """Features after the last event of each window."""
        features = session_features(batch, self.options.items)
        last = np.zeros((batch.windows, features.shape[1]), np.float32)
        ends = np.flatnonzero(np.r_[batch.rows[1:] != batch.rows[:-1], True][: len(batch.rows)])
        last[batch.rows[ends]] = features[ends]
        return (tf.constant(last),)

    def query_signature(self) -> tuple[Any, ...]:
        """A matrix."""
        return (tf.TensorSpec([None, feature_count(self.options.items)], tf.float32),)

    def class_scores(self, features: Any) -> Any:
        """Logits of the next action, shape (windows, actions + 1); column 0 is unknown."""
        return self(features)

    def next_scores(self, features: Any) -> Any:
        """The same, under the name that every sequence model has."""
        return self.class_scores(features)

    def start_from_popularity(self, counts: np.ndarray) -> None:
        """Set the classes' biases to log frequencies of the actions."""
        share = (counts + 1.0) / (counts + 1.0).sum()
        self.to_classes.bias.assign(np.log(share).astype(np.float32))

    def product(self, left: Any, right: Any) -> Any:
        """Matrix product, in float32: the layers are too small for anything else to pay."""
        return tf.matmul(left, right)
