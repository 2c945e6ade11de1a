"""Recurrent models over events: GRU4Rec (Hidasi et al. 2016; Hidasi & Karatzoglou 2018), LSTM."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from truelift.models.chance import Draws
from truelift.models.event_model import EventModel, _shape
from truelift.models.event_options import EventModelOptions
from truelift.models.recurrent import gru, lstm
from truelift.models.sasrec import Affine, drop

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

    def encode(self, events: Any, seconds: Any, draws: Draws | None) -> Any:
        """States from events, one after the other."""
        windows, positions = _shape(events)[:2]
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


def _weights(cell: Any) -> tuple[Any, Any, Any]:
    return (
        tf.convert_to_tensor(cell.kernel),
        tf.convert_to_tensor(cell.recurrent_kernel),
        tf.convert_to_tensor(cell.bias),
    )
