"""What all models whose step is one event share: embeddings, losses, queries.

An event enters as the sum of its item's embedding and one embedding for each side feature. A
model of this kind only says how these become states (:meth:`EventModel.encode`); the state of a
position is matched with the same item embeddings (tied output, Press & Wolf 2017) plus a bias of
each item that starts at its log frequency. Windows are padded on the right, so that causality
alone keeps padding out: no position sees a later one. Row 0 of the embedding stands for "nothing
yet", the input at the beginning of a history.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from truelift.models.runtime import product_precision
from truelift.models.sequence.batches import Batch
from truelift.models.sequence.chance import Draws, NegativeSampler
from truelift.models.sequence.event_options import SLICE_TOKENS, EventModelOptions
from truelift.models.sequence.exposure import ExposureWeights
from truelift.models.sequence.layers import sizes
from truelift.models.sequence.losses import (
    NEVER,
    binary_cross_entropy,
    full_softmax,
    sampled_softmax,
)
from truelift.models.sequence.tokens import lay_out


class EventModel(keras.layers.Layer):
    """A causal model of the next event's item.

    Parameters
    ----------
    options : EventModelOptions
    name : str
    """

    task = "ranking"

    def __init__(self, options: EventModelOptions, name: str) -> None:
        super().__init__(name=name)
        self.options = options
        self.side_features = options.features
        self.seeds = keras.random.SeedGenerator()
        self.sampler = NegativeSampler(np.zeros(options.items + 1), 0.0)
        self.exposure: ExposureWeights | None = None
        self._product_type = tf.as_dtype(product_precision(options.mixed_precision))

    @abstractmethod
    def encode(self, events: Any, seconds: Any, draws: Draws | None) -> Any:
        """States of positions from embedded events.

        Parameters
        ----------
        events : tensor, shape (windows, positions, units)
        seconds : tensor of int32, shape (windows, positions)
            As in :class:`~truelift.models.sequence.tokens.Tokens`.
        draws : Draws or None
            Where dropout draws from; None outside training.

        Returns
        -------
        tensor, shape (windows * positions, units)
            State ``p`` of a window depends on its events ``0..p`` only.
        """

    def build(self, input_shape: Any = None) -> None:  # noqa: ARG002
        """Make all weights; the shapes depend on the options alone."""
        width, units = self.options.items + 1, self.options.units
        start = keras.initializers.RandomNormal(stddev=self.options.embedding_spread or units**-0.5)
        self.embedding = self.add_weight(
            shape=(width, units), name="item_embedding", initializer=start
        )
        self.item_bias = self.add_weight(shape=(width,), name="item_bias", initializer="zeros")
        self.sides = [
            self.add_weight(shape=(size, units), name=f"{name}_embedding", initializer="zeros")
            for name, size in self.options.side_features
        ]
        self.build_encoder()
        self.built = True

    @abstractmethod
    def build_encoder(self) -> None:
        """Make the weights of :meth:`encode`."""

    def call(self, items: Any, sides: Any, seconds: Any) -> Any:
        """Scores after each position, shape (windows, positions, items + 1), without dropout."""
        events = self._events(self.embedding, items, sides)
        states = self.encode(events, seconds, None)
        return tf.reshape(self._scores(states), [*sizes(items), self.options.items + 1])

    @property
    def sparse_variables(self) -> list[Any]:
        """Variables whose gradient is given as rows (``tf.IndexedSlices`` with unique ids)."""
        if not self.options.sparse:
            return []
        both = [self.embedding, self.output_embedding]
        return [*(both[:1] if self.tied else both), self.item_bias]

    @property
    def output_embedding(self) -> Any:
        """The vectors that states are matched with."""
        return self.embedding

    @property
    def tied(self) -> bool:
        """Whether items enter and leave by the same vectors."""
        return self.output_embedding is self.embedding

    def training_inputs(self, batch: Batch) -> tuple[Any, ...]:
        """Items, side features and seconds of all slots."""
        tokens = lay_out(batch, self.options.side_features)
        return tf.constant(tokens.items), tf.constant(tokens.sides), tf.constant(tokens.seconds)

    def training_signature(self) -> tuple[Any, ...]:
        """A matrix, a cube and a matrix."""
        matrix = tf.TensorSpec([None, None], tf.int32)
        return matrix, tf.TensorSpec([None, None, len(self.side_features)], tf.int32), matrix

    def query_inputs(self, batch: Batch, lengths: np.ndarray) -> tuple[Any, ...]:
        """As for training, and the lengths."""
        return *self.training_inputs(batch), tf.constant(lengths, dtype=tf.int32)

    def query_signature(self) -> tuple[Any, ...]:
        """As for training, and the lengths."""
        return *self.training_signature(), tf.TensorSpec([None], tf.int32)

    def loss(self, items: Any, sides: Any, seconds: Any) -> tuple[Any, Any]:
        """The loss of the options over the positions that have a target."""
        return self._loss_of(tf.cast(self.seeds.next(), tf.int32), items, sides, seconds)

    def _loss_of(self, seed: Any, items: Any, sides: Any, seconds: Any) -> tuple[Any, Any]:
        draws = Draws(seed)
        weights = None
        if self.exposure is not None:
            weights = tf.gather(self.exposure.tensor(), tf.reshape(items[:, 1:], [-1]))
        negatives = log_expected = None
        if self.options.loss != "full_softmax":
            negatives, log_expected = self.sampler.draw(self.options.negatives, draws)
        if self.options.sparse:
            ids, items, negatives = _rows_in_use(items, negatives)
            # The variable itself is asked for rows: reading it first would copy the table.
            table, bias = tf.gather(self.embedding.value, ids), tf.gather(self.item_bias.value, ids)
            # One gather: what enters and what leaves by a row share one gradient.
            output = table if self.tied else tf.gather(self.output_embedding.value, ids)
        else:
            table, output, bias = self.embedding, self.output_embedding, self.item_bias
        events = self._events(table, items[:, :-1], sides[:, :-1])
        states = self.encode(events, seconds[:, :-1], draws)
        targets = tf.reshape(items[:, 1:], [-1])
        real = tf.where(targets > 0)[:, 0]
        states, targets = tf.gather(states, real), tf.gather(targets, real)
        if self.exposure is None or weights is None:
            return self.target_loss(states, output, bias, targets, negatives, log_expected)
        own = tf.gather(weights, real)
        loss, count = self.target_loss(states, output, bias, targets, negatives, log_expected, own)
        return loss, tf.reduce_sum(own) if self.exposure.self_normalised else count

    def target_loss(
        self, states: Any, table: Any, bias: Any, targets: Any, negatives: Any, log_expected: Any,
        weights: Any = None,
    ) -> tuple[Any, Any]:  # fmt: skip
        """Loss of states against their targets, in rows of ``table``; each counts ``weights`` times."""
        options = self.options
        if options.loss == "full_softmax":
            return full_softmax(states, table, bias, targets, SLICE_TOKENS, weights)
        if options.loss == "sampled_softmax":
            return sampled_softmax(states, table, bias, targets, negatives, log_expected, weights)
        rate = min(options.negatives / max(options.items - 1, 1), 1.0)
        calibration = options.calibration if options.loss == "gbce" else 0.0
        return binary_cross_entropy(
            states, table, bias, targets, negatives, rate, calibration, weights
        )

    def next_scores(self, items: Any, sides: Any, seconds: Any, lengths: Any) -> Any:
        """Scores of what follows each window, shape (windows, items + 1)."""
        return self._scores(self.next_states(items, sides, seconds, lengths))

    def next_states(self, items: Any, sides: Any, seconds: Any, lengths: Any) -> Any:
        """State after the last event of each window, shape (windows, units)."""
        events = self._events(self.embedding, items[:, :-1], sides[:, :-1])
        states = self.encode(events, seconds[:, :-1], None)
        rows, positions = sizes(events)[:2]
        return tf.gather(states, tf.range(rows) * positions + lengths - 1)

    def start_from_popularity(self, counts: np.ndarray) -> None:
        """Set item biases to log frequencies, and let negatives be drawn by these counts."""
        share = (counts + 1.0) / (counts + 1.0).sum()
        self.item_bias.assign(np.log(share).astype(np.float32))
        self.sampler = NegativeSampler(counts, self.options.popularity_power)

    def product(self, left: Any, right: Any) -> Any:
        """Matrix product in the precision of the options, as float32."""
        if self._product_type == tf.float32:
            return tf.matmul(left, right)
        kind = self._product_type
        return tf.cast(tf.matmul(tf.cast(left, kind), tf.cast(right, kind)), tf.float32)

    def _events(self, table: Any, items: Any, sides: Any) -> Any:
        events = tf.gather(table, items) * self.options.units**0.5
        for column, embedding in enumerate(self.sides):
            events += tf.gather(embedding, sides[..., column]) * self.options.units**0.5
        return events

    def _scores(self, states: Any) -> Any:
        padding = tf.one_hot(0, self.options.items + 1, on_value=NEVER, off_value=0.0)
        table = tf.transpose(tf.convert_to_tensor(self.output_embedding))
        return self.product(states, table) + self.item_bias + padding


def _rows_in_use(items: Any, negatives: Any) -> tuple[Any, Any, Any]:
    """Unique ids of items and negatives, and both as places among these ids."""
    flat = tf.concat([[0], tf.reshape(items, [-1]), negatives], axis=0)
    ids, place = tf.unique(flat)  # in order of appearance, so padding stays row 0
    slots = tf.size(items)
    return ids, tf.reshape(place[1 : slots + 1], tf.shape(items)), place[slots + 1 :]
