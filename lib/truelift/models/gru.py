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

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

# Low enough that softmax gives zero, finite so that 0 * score stays a number.
NEVER = -1e9


@dataclass(frozen=True)
class GRUOptions:
    """Shape of the model.

    Parameters
    ----------
    items : int
        Size of the vocabulary; item indices run from 1 to ``items``, 0 is padding.
    units : int
        Width of embeddings and states.
    layers : int
        Stacked GRU layers.
    dropout : float
        Share of embedding and state values dropped while training.
    half_lives : tuple of float
        In sessions: after so many sessions a past one counts half. Infinity counts all
        sessions alike.
    """

    items: int
    units: int = 64
    layers: int = 1
    dropout: float = 0.2
    half_lives: tuple[float, ...] = (3.0, 12.0, math.inf)


class SessionGRU(keras.Model):
    """Scores of every item for the session after each session.

    The input is a tensor of shape (users, sessions, items + 1) with 1 where the session holds
    the item; column 0 stays empty. The output has the same shape: position ``s`` scores the
    items of session ``s + 1`` and depends on sessions ``0..s`` only.
    """

    def __init__(self, options: GRUOptions) -> None:
        super().__init__(name="session_gru")
        self.options = options
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

    def build(self, input_shape: Any = None) -> None:
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
