"""A recurrent model of what a user takes in the next session.

A step of the sequence is one session, given as the set of its items (with one item a session
this is GRU4Rec, Hidasi et al. 2016; with sets it is DREAM, Yu et al. 2016). The scores of the
next session's items add two parts:

- *taste*: the state of a GRU over the sessions' mean item embeddings, matched with the same
  embeddings (tied output);
- *repetition*: how often the user took each item, with older sessions fading, weighted by the
  state and by each item. Repeat purchases are most of a basket, and a GRU alone forgets which
  of two thousand items a household buys every month (Hu et al. 2020, TIFU-KNN).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from truelift.models.sequence.batches import Batch
from truelift.models.sequence.exposure import ExposureWeights
from truelift.models.sequence.small_options import BasketGRUOptions

# Low enough that softmax gives zero, finite so that 0 * score stays a number.
NEVER = -1e9


class BasketGRU(keras.layers.Layer):
    """Scores of every item for the session after each session.

    The input is a tensor of shape (users, sessions, items + 1) with 1 where the session holds
    the item; column 0 stays empty. The output has the same shape: position ``s`` scores the
    items of session ``s + 1`` and depends on sessions ``0..s`` only.
    """

    def __init__(self, options: BasketGRUOptions) -> None:
        super().__init__(name="basket_gru")
        self.side_features = ()
        self.options = options
        self.exposure: ExposureWeights | None = None
        self._fade = tuple(0.5 ** (1.0 / h) for h in options.half_lives)
        self.dropout = keras.layers.Dropout(options.dropout)
        self.recurrent = [
            keras.layers.GRU(options.units, return_sequences=True, name=f"gru_{i}")
            for i in range(options.layers)
        ]
        self.to_taste = keras.layers.Dense(options.units, name="taste")
        self.to_repeat = keras.layers.Dense(
            len(options.half_lives),
            name="repeat",
            kernel_initializer="zeros",
            bias_initializer=keras.initializers.Constant(0.5),
        )

    def build(self, input_shape: Any = None) -> None:  # noqa: ARG002
        """Make all weights; the shapes depend on the options alone."""
        width, units = self.options.items + 1, self.options.units
        self.embedding = self.add_weight(
            shape=(width, units),
            name="item_embedding",
            initializer=keras.initializers.RandomNormal(stddev=units**-0.5),
        )
        self.item_bias = self.add_weight(shape=(width,), name="item_bias", initializer="zeros")
        self.item_repeat = self.add_weight(
            shape=(len(self._fade), width), name="item_repeat", initializer="zeros"
        )
        for layer in self.recurrent:
            layer.build((None, None, units))
        self.to_taste.build((None, None, units))
        self.to_repeat.build((None, None, units))
        self.built = True

    def call(self, sessions: Any, training: bool = False) -> Any:
        """Scores at all positions."""
        state = self._states(sessions, training)
        scores = self._taste(state)
        strength = self.to_repeat(state)
        for i, fade in enumerate(self._fade):
            taken = ops.log1p(
                ops.einsum("st,btv->bsv", _fading(ops.shape(sessions)[1], fade), sessions)
            )
            scores = scores + (strength[..., i : i + 1] + self.item_repeat[i]) * taken
        return scores

    def training_inputs(self, batch: Batch) -> tuple[Any, ...]:
        """Entries of the batch, and the shape of the tensor of zeros and ones."""
        return (
            tf.constant(batch.rows),
            tf.constant(batch.slots),
            tf.constant(batch.items),
            tf.constant([batch.windows, batch.width + 1, self.options.items + 1], tf.int32),
        )

    def training_signature(self) -> tuple[Any, ...]:
        """Three vectors and a shape."""
        vector = tf.TensorSpec([None], tf.int32)
        return vector, vector, vector, tf.TensorSpec([3], tf.int32)

    def loss(self, rows: Any, slots: Any, items: Any, shape: Any) -> tuple[Any, Any]:
        """Cross-entropy between the softmax over all items and the next session's items.

        A session's items have equal shares, and the session the weight of the square root of
        their number: weight one wastes what large sessions tell; weight by number lets them
        drown the others. On the validation window of Complete Journey the root was the best of
        the three.
        """
        sessions = one_where_taken(rows, slots, items, shape)
        sessions = tf.ensure_shape(sessions, [None, None, self.options.items + 1])
        targets = sessions[:, 1:]
        size = tf.reduce_sum(targets, axis=-1)
        weight = tf.sqrt(size)
        scores = self(sessions[:, :-1], training=True)
        if self.exposure is None:
            labels = targets / tf.maximum(size, 1.0)[..., None]
            each = tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=scores)
            return tf.reduce_sum(each * weight), tf.reduce_sum(weight)
        targets *= self.exposure.tensor()
        mass = tf.reduce_sum(targets, axis=-1)
        # Shares add up to one, as the loss asks; what they leave out is in the session's weight.
        labels = targets / tf.where(mass > 0, mass, 1.0)[..., None]
        each = tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=scores)
        own = weight * mass / tf.maximum(size, 1.0)
        below = own if self.exposure.self_normalised else weight
        return tf.reduce_sum(each * own), tf.reduce_sum(below)

    def query_inputs(self, batch: Batch, lengths: np.ndarray) -> tuple[Any, ...]:
        """As for training, and the lengths."""
        return *self.training_inputs(batch), tf.constant(lengths, dtype=tf.int32)

    def query_signature(self) -> tuple[Any, ...]:
        """As for training, and the lengths."""
        return *self.training_signature(), tf.TensorSpec([None], tf.int32)

    def next_scores(self, rows: Any, slots: Any, items: Any, shape: Any, lengths: Any) -> Any:
        """Scores for the session after the last one of each window."""
        sessions = one_where_taken(rows, slots, items, shape)
        sessions = tf.ensure_shape(sessions, [None, None, self.options.items + 1])
        return self.score_next(sessions[:, :-1], lengths)

    def score_next(self, sessions: Any, lengths: Any) -> Any:
        """Scores for the session after the last one, shape (users, items + 1).

        ``lengths`` is the number of sessions of each user, at least 1; what lies behind is
        padding.
        """
        state = self._states(sessions, False)
        place = ops.expand_dims(ops.expand_dims(lengths - 1, -1), -1)
        last = ops.squeeze(ops.take_along_axis(state, place, axis=1), 1)
        scores = self._taste(last)
        strength = self.to_repeat(last)
        steps = ops.cast(ops.arange(ops.shape(sessions)[1]), "float32")
        age = ops.cast(ops.expand_dims(lengths - 1, -1), "float32") - steps
        for i, fade in enumerate(self._fade):
            weight = ops.where(age >= 0, ops.power(fade, ops.maximum(age, 0.0)), 0.0)
            taken = ops.log1p(ops.einsum("bt,btv->bv", weight, sessions))
            scores = scores + (strength[:, i : i + 1] + self.item_repeat[i]) * taken
        return scores

    def start_from_popularity(self, counts: np.ndarray) -> None:
        """Set the item biases to log frequencies, which saves the first epoch from finding them."""
        share = (counts + 1.0) / (counts + 1.0).sum()
        self.item_bias.assign(np.log(share).astype(np.float32))

    def _states(self, sessions: Any, training: bool) -> Any:
        size = ops.sum(sessions, axis=-1, keepdims=True)
        state = ops.matmul(sessions, self.embedding) / ops.sqrt(ops.maximum(size, 1.0))
        state = self.dropout(state, training=training)
        for layer in self.recurrent:
            state = self.dropout(layer(state, training=training), training=training)
        return state

    def _taste(self, state: Any) -> Any:
        scores = ops.matmul(self.to_taste(state), ops.transpose(self.embedding)) + self.item_bias
        padding = np.zeros(self.options.items + 1, dtype=np.float32)
        padding[0] = NEVER
        return scores + padding


def _fading(steps: Any, fade: float) -> Any:
    """Lower triangular (steps, steps): the weight of session t as seen from session s."""
    index = ops.cast(ops.arange(steps), "float32")
    age = ops.expand_dims(index, 1) - ops.expand_dims(index, 0)
    return ops.where(age >= 0, ops.power(fade, ops.maximum(age, 0.0)), 0.0)


def one_where_taken(rows: Any, slots: Any, items: Any, shape: Any) -> Any:
    """Entries as a tensor (windows, width + 1, items + 1) of zeros and ones."""
    index = tf.stack([rows, slots, items], axis=1)
    # An item that comes twice in a session is in the session once.
    return tf.minimum(tf.scatter_nd(index, tf.ones_like(items, dtype=tf.float32), shape), 1.0)
