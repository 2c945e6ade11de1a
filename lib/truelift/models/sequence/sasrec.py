"""Self-attention over events: SASRec (Kang & McAuley 2018) with pre-norm blocks.

With ``relative_time``, attention scores get a learned bias by the power of two in which the
seconds between two events lie, after TiSASRec (Li, Wang & McAuley 2020), which learns vectors
for clipped intervals; a bias costs a look-up where these cost two products.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from truelift.models.sequence.chance import Draws
from truelift.models.sequence.event_model import EventModel
from truelift.models.sequence.event_options import SASRecOptions
from truelift.models.sequence.layers import Affine, Norm, drop, sizes
from truelift.models.sequence.losses import NEVER

# A pair without a time is in bucket 0, another in 1 + floor(log2(1 + seconds)).
TIME_BUCKETS = 32


class SASRec(EventModel):
    """A stack of causal self-attention blocks."""

    options: SASRecOptions

    def __init__(self, options: SASRecOptions) -> None:
        super().__init__(options, "sasrec")

    def build_encoder(self) -> None:
        """Positions, blocks, the last normalisation."""
        options = self.options
        small = keras.initializers.RandomNormal(stddev=0.02)
        self.positions = self.add_weight(
            shape=(options.max_length, options.units), name="positions", initializer=small
        )
        if options.relative_time:
            self.time_bias = self.add_weight(
                shape=(options.heads, TIME_BUCKETS), name="time_bias", initializer="zeros"
            )
        self.blocks = [Block(self, f"block_{i}") for i in range(options.layers)]
        self.last_norm = Norm(self, "last_norm", options.units)

    def encode(self, events: Any, seconds: Any, draws: Draws | None) -> Any:
        """States from events, each looking at itself and what came before."""
        options = self.options
        windows, positions = sizes(events)[:2]
        x = events + self.positions[:positions]
        x = drop(tf.reshape(x, [windows * positions, options.units]), options.dropout, draws)
        seen = causal_mask(positions)
        if options.relative_time:
            table = tf.convert_to_tensor(self.time_bias)
            seen += tf.transpose(_looked_up(table, time_buckets(seconds)), [1, 0, 2, 3])
        for block in self.blocks:
            x = block(x, windows, positions, seen, draws)
        return self.last_norm(x)


class Block:
    """Attention and a feed-forward layer, each after a normalisation and beside a residual."""

    def __init__(self, model: SASRec, name: str) -> None:
        options = model.options
        units, wide = options.units, options.units * options.expansion
        self._model, self._options = model, options
        self._norms = [Norm(model, f"{name}_norm_{i}", units) for i in range(2)]
        self._qkv = Affine(model, f"{name}_qkv", units, 3 * units)
        self._out = Affine(model, f"{name}_out", units, units)
        self._wide = Affine(model, f"{name}_wide", units, wide)
        self._narrow = Affine(model, f"{name}_narrow", wide, units)

    def __call__(self, x: Any, windows: Any, positions: Any, seen: Any, draws: Any) -> Any:
        rate = self._options.dropout
        looked = self._out(self._attention(self._norms[0](x), windows, positions, seen))
        x += drop(looked, rate, draws)
        hidden = self._narrow(tf.nn.relu(self._wide(self._norms[1](x))))
        return x + drop(hidden, rate, draws)

    def _attention(self, x: Any, windows: Any, positions: Any, seen: Any) -> Any:
        heads, units = self._options.heads, self._options.units
        width = units // heads
        parts = tf.split(self._qkv(x), 3, axis=1)
        q, k, v = (_by_head(part, windows, positions, heads, width) for part in parts)
        # Scaling q is cheaper than scaling the square of scores.
        scores = self._model.product(q * width**-0.5, tf.linalg.matrix_transpose(k)) + seen
        looked = self._model.product(tf.nn.softmax(scores), v)
        if heads > 1:
            looked = tf.transpose(looked, [0, 2, 1, 3])
        return tf.reshape(looked, [windows * positions, units])


def causal_mask(positions: Any) -> Any:
    """Zero where the row may see the column (itself and before), else :data:`NEVER`."""
    index = tf.range(positions)
    return tf.where(index[:, None] >= index[None, :], 0.0, NEVER)[None, None]


def time_buckets(seconds: Any) -> Any:
    """Bucket of the time between each two events, shape (windows, positions, positions)."""
    gap = tf.abs(seconds[:, :, None] - seconds[:, None, :])
    # The exponent of a float32 is the floor of its log2.
    power = tf.bitwise.right_shift(tf.bitcast(tf.cast(gap + 1, tf.float32), tf.int32), 23) - 127
    known = (seconds > 0)[:, :, None] & (seconds > 0)[:, None, :]
    return tf.where(known, tf.minimum(power + 1, TIME_BUCKETS - 1), 0)


@tf.custom_gradient
def _looked_up(table: Any, buckets: Any) -> tuple[Any, Callable[..., Any]]:
    """Columns of a small table; the gradient is a weighted count, not a scatter of rows."""
    heads, size = table.shape

    def gradient(upstream: Any) -> tuple[Any, None]:
        flat = tf.reshape(buckets, [-1])
        sums = [
            tf.math.bincount(
                flat, weights=tf.reshape(upstream[h], [-1]), minlength=size, maxlength=size
            )
            for h in range(heads)
        ]
        return tf.stack(sums), None

    return tf.gather(table, buckets, axis=1), gradient


def _by_head(x: Any, windows: Any, positions: Any, heads: int, width: int) -> Any:
    if heads == 1:
        return tf.reshape(x, [windows, 1, positions, width])
    return tf.transpose(tf.reshape(x, [windows, positions, heads, width]), [0, 2, 1, 3])
