"""Horovod's ranks as a :class:`~.collective.TensorCollective`, written for Keras 3.

Horovod's own Keras wrappers call ``Variable.ref()``, which Keras 3 no longer has, so the
collectives are called here.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class HorovodRanks:
    """The ranks that Horovod knows; to be made in each of them, before anything is asked."""

    def __init__(self) -> None:
        import horovod.tensorflow as hvd

        hvd.init()
        self._hvd = hvd
        self.rank, self.size = int(hvd.rank()), int(hvd.size())

    def sum(self, values: np.ndarray, name: str = "sum") -> np.ndarray:
        """All-reduce of a small array."""
        import tensorflow as tf

        total = self._hvd.allreduce(tf.constant(np.asarray(values)), op=self._hvd.Sum, name=name)
        return np.asarray(total)

    def max(self, values: np.ndarray, name: str = "max") -> np.ndarray:
        """The largest of what all give, which is gathered for it."""
        return np.asarray(self.join(np.asarray(values)[None], name).max(axis=0))

    def join(self, values: np.ndarray, name: str = "join") -> np.ndarray:
        """All-gather."""
        import tensorflow as tf

        return np.asarray(self._hvd.allgather(tf.constant(np.asarray(values)), name=name))

    def sum_tensors(self, tensors: list[Any]) -> list[Any]:
        """One grouped all-reduce."""
        return list(self._hvd.grouped_allreduce(tensors, op=self._hvd.Sum))

    def join_tensors(self, tensor: Any, name: str) -> Any:
        """All-gather."""
        return self._hvd.allgather(tensor, name=name)

    def share(self, variables: list[Any]) -> None:
        """Broadcast from rank 0."""
        import keras

        tensors = [v.value if isinstance(v, keras.Variable) else v for v in variables]
        self._hvd.broadcast_variables(tensors, root_rank=0)

    def of_first(self, data: bytes) -> bytes:
        """Broadcast from rank 0, of the length first."""
        import tensorflow as tf

        length = int(self._hvd.broadcast(tf.constant(len(data), tf.int64), 0, name="length"))
        own = np.frombuffer(data, dtype=np.uint8) if self.rank == 0 else np.zeros(length, np.uint8)
        return bytes(self._hvd.broadcast(tf.constant(own), 0, name="bytes").numpy().tobytes())
