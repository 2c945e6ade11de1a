"""Layers of the event models, on tensors of (rows, columns): one product each, nothing hidden."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from truelift.models.sequence.chance import Draws


class Affine:
    """``x W + b``.

    Parameters
    ----------
    model : EventModel
        Owns the weights, and knows the precision of products.
    name : str
    inputs, outputs : int
    """

    def __init__(self, model: Any, name: str, inputs: int, outputs: int) -> None:
        self._model = model
        self.kernel = model.add_weight(
            shape=(inputs, outputs), name=f"{name}_kernel", initializer="glorot_uniform"
        )
        self.bias = model.add_weight(shape=(outputs,), name=f"{name}_bias", initializer="zeros")

    def __call__(self, x: Any) -> Any:
        return self._model.product(x, self.kernel) + self.bias


class Norm:
    """Layer normalisation (Ba, Kiros & Hinton 2016); parameters as in :class:`Affine`."""

    def __init__(self, model: Any, name: str, units: int) -> None:
        self.scale = model.add_weight(shape=(units,), name=f"{name}_scale", initializer="ones")
        self.shift = model.add_weight(shape=(units,), name=f"{name}_shift", initializer="zeros")

    def __call__(self, x: Any) -> Any:
        centred = x - tf.reduce_mean(x, axis=1, keepdims=True)
        spread = tf.reduce_mean(centred * centred, axis=1, keepdims=True)
        return centred * tf.math.rsqrt(spread + 1e-6) * self.scale + self.shift


def drop(values: Any, rate: float, draws: Draws | None) -> Any:
    """Dropout in training, else nothing."""
    return values if draws is None else draws.drop(values, rate)


def sizes(values: Any) -> list[Any]:
    """Sizes of a tensor: numbers where they are known when tracing, else tensors."""
    known, asked = values.shape, tf.shape(values)
    return [asked[i] if known[i] is None else known[i] for i in range(len(known))]
