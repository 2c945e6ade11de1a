"""Starting TensorFlow the same way in every process that scores or trains."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


def start_tensorflow(threads: int = 1) -> None:
    """Import TensorFlow and Keras with a bound on threads; a second call changes nothing.

    Each process gets its own few threads: processes that all take all cores fight.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with _native_stderr_closed():
        import tensorflow as tf

        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError:
            return  # already running: it keeps the threads that it has
        _choose_gpu(tf)
        import keras  # noqa: F401

        tf.zeros(1)  # looks for devices now, and says so here and not amid our output


def product_precision(mixed: bool) -> str:
    """Of matrix products, where ``mixed`` is asked for: a CPU gains nothing from 16 bits.

    bfloat16 needs no scaling of the loss, so it is the one offered. Needs a running TensorFlow.
    """
    import tensorflow as tf

    return "bfloat16" if mixed and tf.config.list_logical_devices("GPU") else "float32"


def _choose_gpu(tf: object) -> None:
    config = tf.config  # type: ignore[attr-defined]
    gpus = config.list_physical_devices("GPU")
    if gpus:
        mine = gpus[int(os.environ.get("HOROVOD_LOCAL_RANK", "0")) % len(gpus)]
        config.set_visible_devices(mine, "GPU")
        config.experimental.set_memory_growth(mine, True)


@contextmanager
def _native_stderr_closed() -> Iterator[None]:
    """TensorFlow writes start-up notes past Python and past its own log level."""
    try:
        saved = os.dup(2)
    except OSError:
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
