"""Random draws of a training step, all from one seed, so that a saved seed repeats the step."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf


class Draws:
    """Independent draws of one step: each call takes the next stream of the step's seed.

    Parameters
    ----------
    seed : tensor of int32, shape (2,)
    """

    def __init__(self, seed: Any) -> None:
        self._seed = seed
        self._stream = 0

    def _next(self) -> Any:
        self._stream += 1
        return self._seed + tf.constant([0, self._stream * 7919], tf.int32)

    def uniform(self, shape: Any) -> Any:
        """Floats in [0, 1)."""
        return tf.random.stateless_uniform(shape, self._next())

    def drop(self, values: Any, rate: float) -> Any:
        """Dropout of a (rows, columns) tensor; what stays is scaled to keep the mean.

        Four decisions come from one 32-bit draw, because drawing is what dropout costs on a
        CPU; the rate is therefore a multiple of 1/256, and the scale is that of the rate used.
        """
        dropped = round(rate * 256)
        if dropped == 0:
            return values
        size = tf.size(values)
        words = tf.random.stateless_uniform(
            [(size + 3) // 4], self._next(), minval=None, maxval=None, dtype=tf.int32
        )
        drawn = tf.reshape(tf.reshape(tf.bitcast(words, tf.uint8), [-1])[:size], tf.shape(values))
        keep = tf.cast(drawn >= tf.constant(dropped, tf.uint8), values.dtype)
        return values * (keep * (256 / (256 - dropped)))


class NegativeSampler:
    """Items drawn with replacement, with probability by popularity.

    Parameters
    ----------
    counts : numpy.ndarray, shape (items + 1,)
        How often each item occurs; position 0 is padding and never drawn.
    power : float
        Probabilities are proportional to ``(count + 1) ** power``; 0 is uniform.
    """

    def __init__(self, counts: np.ndarray, power: float) -> None:
        weights = (np.asarray(counts, np.float64)[1:] + 1.0) ** power
        self.probability = np.r_[0.0, weights / weights.sum()]
        self.items = len(weights)
        self.power = power
        if power > 0:
            self._edges = tf.constant(np.cumsum(self.probability[1:]), tf.float64)
            with np.errstate(divide="ignore"):
                self._log = tf.constant(np.log(self.probability), tf.float32)

    def draw(self, number: int, draws: Draws) -> tuple[Any, Any]:
        """Items, and the log of the expected number of draws of each; both (number,)."""
        if self.power == 0:
            share = draws.uniform([number])
            drawn = 1 + tf.minimum(tf.cast(share * self.items, tf.int32), self.items - 1)
            return drawn, tf.fill([number], float(np.log(number / self.items)))
        # Two draws make a number fine enough for the tail of a million items.
        share = tf.cast(draws.uniform([number]), tf.float64)
        share += tf.cast(draws.uniform([number]), tf.float64) * 2.0**-23
        drawn = tf.minimum(tf.searchsorted(self._edges, share, side="right"), self.items - 1) + 1
        return drawn, tf.gather(self._log, drawn) + float(np.log(number))
