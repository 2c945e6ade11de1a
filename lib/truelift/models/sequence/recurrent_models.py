"""Recurrent models over events: GRU4Rec (Hidasi et al. 2016; Hidasi & Karatzoglou 2018), LSTM."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from truelift.models.sequence.chance import Draws
from truelift.models.sequence.event_model import EventModel
from truelift.models.sequence.event_options import EventModelOptions
from truelift.models.sequence.layers import Affine, drop, sizes
from truelift.models.sequence.recurrent import gru, lstm

CELLS = {"gru": (keras.layers.GRU, gru), "lstm": (keras.layers.LSTM, lstm)}


class Recurrent(EventModel):
    """A stack of recurrent layers, and a linear map from the last state to the items' space.

    Parameters
    ----------
    options : EventModelOptions
    cell : str
        ``'gru'`` or ``'lstm'``.
    name : str, optional
    """

    def __init__(self, options: EventModelOptions, cell: str, name: str | None = None) -> None:
        super().__init__(options, name or cell)
        make, self._on_cpu = CELLS[cell]
        self.recurrent = [
            make(options.units, return_sequences=True, name=f"{cell}_{i}")
            for i in range(options.layers)
        ]

    def build_encoder(self) -> None:
        """Recurrent layers and the map to the items."""
        units = self.options.units
        for layer in self.recurrent:
            layer.build((None, None, units))
        self.to_items = Affine(self, "to_items", units, units)

    def encode(self, events: Any, seconds: Any, draws: Draws | None) -> Any:  # noqa: ARG002
        """States from events, one after the other."""
        windows, positions = sizes(events)[:2]
        units, rate = self.options.units, self.options.dropout
        on_gpu = bool(tf.config.list_logical_devices("GPU"))
        # On a CPU steps come first, so that a step is one stretch of memory.
        x = events if on_gpu else tf.transpose(events, [1, 0, 2])
        for layer in self.recurrent:
            flat = drop(tf.reshape(x, [windows * positions, units]), rate, draws)
            x = tf.reshape(flat, tf.shape(x))
            x = layer(x) if on_gpu else self._on_cpu(x, *_weights(layer.cell))
        x = x if on_gpu else tf.transpose(x, [1, 0, 2])
        x = tf.reshape(x, [windows * positions, units])
        return self.to_items(drop(x, rate, draws))


class PairLSTM(Recurrent):
    """An LSTM over the history, and a vector of each candidate: a pair's score is their product.

    Unlike in :class:`Recurrent` a candidate's vector is not the embedding that a past event of
    the same item enters with. Trained by binary cross-entropy, the sigmoid of a score is how
    likely a pair is among pairs with sampled items.
    """

    def __init__(self, options: EventModelOptions) -> None:
        super().__init__(options, "lstm", "pair_lstm")

    def build_encoder(self) -> None:
        """The encoder, and the candidates' vectors."""
        super().build_encoder()
        options = self.options
        self.candidates = self.add_weight(
            shape=(options.items + 1, options.units),
            name="candidate_embedding",
            initializer=keras.initializers.RandomNormal(stddev=options.units**-0.5),
        )

    @property
    def output_embedding(self) -> Any:
        """The candidates' vectors."""
        return self.candidates

    def pair_scores(
        self, items: Any, sides: Any, seconds: Any, lengths: Any, candidates: Any
    ) -> Any:
        """Log odds of one candidate item for each window, shape (windows,)."""
        states = self.next_states(items, sides, seconds, lengths)
        vectors = tf.gather(self.candidates, candidates)
        return tf.reduce_sum(states * vectors, axis=1) + tf.gather(self.item_bias, candidates)


def _weights(cell: Any) -> tuple[Any, Any, Any]:
    return (
        tf.convert_to_tensor(cell.kernel),
        tf.convert_to_tensor(cell.recurrent_kernel),
        tf.convert_to_tensor(cell.bias),
    )
