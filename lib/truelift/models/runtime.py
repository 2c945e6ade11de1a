"""Starting TensorFlow the same way in every process that scores or trains."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Keras loads them where they are installed, for galleries of images and for scikit-learn's
# interface: a third of the CPU seconds of its start.
_UNUSED = ("matplotlib", "sklearn")


def start_tensorflow(threads: int = 1, own_process: bool = False) -> None:
    """Import TensorFlow and Keras with a bound on threads; a second call changes nothing.

    Each process gets its own few threads: processes that all take all cores fight.

    Parameters
    ----------
    threads : int
    own_process : bool
        Whether no one else's code runs here, as in a rank: Keras then does without what only
        others might ask it for.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with _native_stderr_closed(), _absent(_UNUSED if own_process else ()):
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
def _absent(packages: tuple[str, ...]) -> Iterator[None]:
    """For a while packages that are not loaded yet cannot be imported, as if not installed."""
    hidden = [name for name in packages if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


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
