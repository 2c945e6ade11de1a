"""Horovod's part of a training step, written for Keras 3.

Horovod's own Keras wrappers call ``Variable.ref()``, which Keras 3 no longer has, so the
collectives are called here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import horovod.tensorflow as hvd
import keras
import numpy as np
import tensorflow as tf


def mean_gradients(gradients: Sequence[Any], weight: Any) -> tuple[list[Any], Any]:
    """Gradients of the mean over all ranks' targets, from each rank's gradient of the sum.

    The targets are counted too, so a rank with few or no targets in its batch weighs as much
    as it has: the step equals one on the joined batch.

    Parameters
    ----------
    gradients : sequence of tensor
        Gradients of the sum of the own losses; sparse ones are made dense, since summed sparse
        they would grow with every rank.
    weight : tensor
        Number (or sum of weights) of the own targets.

    Returns
    -------
    gradients, weight
        The mean gradients and the number of targets of all ranks.
    """
    dense = [tf.convert_to_tensor(g) for g in gradients]
    *summed, total = hvd.grouped_allreduce([*dense, weight], op=hvd.Sum)
    scale = 1.0 / tf.maximum(total, 1.0)
    return [g * scale for g in summed], total


def broadcast(variables: Sequence[Any]) -> None:
    """Give all ranks the values of rank 0."""
    tensors = [v.value if isinstance(v, keras.Variable) else v for v in variables]
    hvd.broadcast_variables(tensors, root_rank=0)


def sum_over_ranks(values: np.ndarray, name: str) -> np.ndarray:
    """Sum of a small array over the ranks."""
    return hvd.allreduce(tf.constant(np.asarray(values)), op=hvd.Sum, name=name).numpy()


def bytes_of_root(data: bytes) -> bytes:
    """What rank 0 gives, on all ranks."""
    length = hvd.broadcast(tf.constant(len(data), tf.int64), 0, name="length")
    own = (
        np.frombuffer(data, dtype=np.uint8) if hvd.rank() == 0 else np.zeros(int(length), np.uint8)
    )
    return bytes(hvd.broadcast(tf.constant(own), 0, name="bytes").numpy().tobytes())


def rows_of_ranks(row: np.ndarray, name: str) -> np.ndarray:
    """One row of each rank, in the order of ranks, shape (ranks, len(row))."""
    return hvd.allgather(tf.constant(np.asarray(row)[None]), name=name).numpy()


def join_ranks(values: np.ndarray, name: str) -> np.ndarray:
    """The ranks' arrays end to end, in the order of ranks; they may differ in length."""
    return hvd.allgather(tf.constant(np.asarray(values)), name=name).numpy()


def largest_over_ranks(value: int, name: str) -> int:
    """Largest of the ranks' whole numbers."""
    gathered = hvd.allgather(tf.constant([value], dtype=tf.int64), name=name)
    return int(gathered.numpy().max())


def weights_spread(variables: Sequence[Any]) -> float:
    """Largest difference between ranks in checksums of the weights; 0 for equal weights.

    Two sums a weight, one of them over signed positions, find any change that is not a
    conspiracy, for a few bytes of traffic.
    """
    sums = []
    for variable in variables:
        values = np.asarray(variable, dtype=np.float64).ravel()
        sums += [values.sum(), values @ np.cos(np.arange(len(values)))]
    gathered = hvd.allgather(tf.constant([sums], dtype=tf.float64), name="weights_spread").numpy()
    return float(np.abs(gathered - gathered[:1]).max())
