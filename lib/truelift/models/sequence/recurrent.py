"""GRU and LSTM over a padded batch, as fast as a CPU allows.

The weights live in Keras layers, whose cuDNN kernels serve a GPU. On a CPU a Keras layer spends
most of its time between operations, so the recurrence is written out here: the input's part of
all steps is one product before the loop, a step has one product and few operations, and the
gradient of the recurrent weights is one product over all steps after the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def gru(inputs: Any, kernel: Any, recurrent: Any, bias: Any) -> Any:
    """States of a GRU in Keras' layout of weights (gates z, r, h; ``reset_after``).

    Parameters
    ----------
    inputs : tensor, shape (steps, rows, features)
    kernel : tensor, shape (features, 3 * units)
    recurrent : tensor, shape (units, 3 * units)
    bias : tensor, shape (2, 3 * units)

    Returns
    -------
    tensor, shape (steps, rows, units)
    """
    return _gru_recurrence(_projected(inputs, kernel, bias[0]), recurrent, bias[1])


def lstm(inputs: Any, kernel: Any, recurrent: Any, bias: Any) -> Any:
    """States of an LSTM in Keras' layout of weights (gates i, f, c, o); shapes as in :func:`gru`.

    ``bias`` has shape (4 * units,).
    """
    return _lstm_recurrence(_projected(inputs, kernel, bias), recurrent)


def _projected(inputs: Any, kernel: Any, bias: Any) -> Any:
    steps, rows = tf.shape(inputs)[0], tf.shape(inputs)[1]
    flat = tf.reshape(inputs, [-1, inputs.shape[-1]])
    return tf.reshape(tf.matmul(flat, kernel) + bias, [steps, rows, kernel.shape[-1]])


@tf.custom_gradient
def _gru_recurrence(projected: Any, recurrent: Any, bias: Any) -> tuple[Any, Callable[..., Any]]:
    steps, rows, units = tf.shape(projected)[0], tf.shape(projected)[1], recurrent.shape[0]
    nothing = tf.zeros([rows, units])

    def forward(t: Any, state: Any, *kept: Any) -> tuple[Any, ...]:
        x = projected[t]
        a = tf.matmul(state, recurrent) + bias
        gates = tf.sigmoid(x[:, : 2 * units] + a[:, : 2 * units])
        z, r = gates[:, :units], gates[:, units:]
        proposal = a[:, 2 * units :]
        n = tf.tanh(x[:, 2 * units :] + r * proposal)
        state = n + z * (state - n)
        new = (state, gates, proposal, n)
        return t + 1, state, *(array.write(t, v) for array, v in zip(kept, new, strict=True))

    arrays = tuple(_array(steps) for _ in range(4))
    kept = tf.while_loop(
        lambda t, *_: t < steps, forward, (0, nothing, *arrays), parallel_iterations=1
    )[2:]
    states, gates, proposals, candidates = (array.stack() for array in kept)
    states = tf.ensure_shape(states, [None, None, units])

    def gradient(upstream: Any) -> tuple[Any, ...]:
        before = tf.concat([nothing[None], states[:-1]], axis=0)[: tf.shape(states)[0]]
        z, r = gates[..., :units], gates[..., units:]
        # What does not depend on the gradient that flows back is taken for all steps at once.
        by_candidate = (1.0 - z) * (1.0 - candidates * candidates)
        by_update = (before - candidates) * z * (1.0 - z)
        by_reset = proposals * r * (1.0 - r)
        transposed = tf.transpose(recurrent)

        def backward(t: Any, flow: Any, to_input: Any) -> tuple[Any, ...]:
            flow += upstream[t]
            dn = flow * by_candidate[t]
            dz = flow * by_update[t]
            dr = dn * by_reset[t]
            dh = dn * r[t]
            back = tf.matmul(tf.concat([dz, dr, dh], axis=1), transposed)
            return t - 1, flow * z[t] + back, to_input.write(t, tf.concat([dz, dr, dn], axis=1))

        start = (steps - 1, nothing, _array(steps))
        to_input = tf.while_loop(lambda t, *_: t >= 0, backward, start, parallel_iterations=1)[
            2
        ].stack()
        to_input = tf.ensure_shape(to_input, [None, None, 3 * units])
        to_recurrent = tf.concat(
            [to_input[..., : 2 * units], to_input[..., 2 * units :] * r], axis=-1
        )
        flat = tf.reshape(to_recurrent, [-1, 3 * units])
        to_weights = tf.matmul(tf.reshape(before, [-1, units]), flat, transpose_a=True)
        return to_input, to_weights, tf.reduce_sum(flat, axis=0)

    return states, gradient


@tf.custom_gradient
def _lstm_recurrence(projected: Any, recurrent: Any) -> tuple[Any, Callable[..., Any]]:
    steps, rows, units = tf.shape(projected)[0], tf.shape(projected)[1], recurrent.shape[0]
    nothing = tf.zeros([rows, units])

    def forward(t: Any, state: Any, cell: Any, *kept: Any) -> tuple[Any, ...]:
        a = projected[t] + tf.matmul(state, recurrent)
        i, f, c, o = tf.split(a, 4, axis=1)
        i, f, c, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(c), tf.sigmoid(o)
        cell = f * cell + i * c
        squashed = tf.tanh(cell)
        state = o * squashed
        new = (state, cell, squashed, i, f, c, o)
        return t + 1, state, cell, *(array.write(t, v) for array, v in zip(kept, new, strict=True))

    arrays = tuple(_array(steps) for _ in range(7))
    loop = tf.while_loop(
        lambda t, *_: t < steps, forward, (0, nothing, nothing, *arrays), parallel_iterations=1
    )
    states, cells, squashed, i, f, c, o = (array.stack() for array in loop[3:])
    states = tf.ensure_shape(states, [None, None, units])

    def gradient(upstream: Any) -> tuple[Any, ...]:
        before = tf.concat([nothing[None], states[:-1]], axis=0)[: tf.shape(states)[0]]
        cell_before = tf.concat([nothing[None], cells[:-1]], axis=0)[: tf.shape(states)[0]]
        to_cell = o * (1.0 - squashed * squashed)
        by_output = squashed * o * (1.0 - o)
        transposed = tf.transpose(recurrent)
        # Gates i, f, c as one tensor: each is the cell's gradient times a factor known before.
        factors = tf.stack(
            [c * i * (1.0 - i), cell_before * f * (1.0 - f), i * (1.0 - c * c)], axis=2
        )

        def backward(t: Any, flow: Any, cell: Any, to_input: Any) -> tuple[Any, ...]:
            flow += upstream[t]
            cell += flow * to_cell[t]
            three = tf.reshape(cell[:, None] * factors[t], [rows, 3 * units])
            each = tf.concat([three, flow * by_output[t]], axis=1)
            back = tf.matmul(each, transposed)
            return t - 1, back, cell * f[t], to_input.write(t, each)

        start = (steps - 1, nothing, nothing, _array(steps))
        to_input = tf.while_loop(lambda t, *_: t >= 0, backward, start, parallel_iterations=1)[
            3
        ].stack()
        to_input = tf.ensure_shape(to_input, [None, None, 4 * units])
        flat = tf.reshape(to_input, [-1, 4 * units])
        return to_input, tf.matmul(tf.reshape(before, [-1, units]), flat, transpose_a=True)

    return states, gradient


def _array(steps: Any) -> Any:
    return tf.TensorArray(tf.float32, steps)
