"""Weights on disk: written whole or not at all, and only the best ones kept."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from truelift.errors import DataError


def to_bytes(weights: Mapping[str, np.ndarray]) -> bytes:
    """Arrays by name as a NumPy archive."""
    buffer = io.BytesIO()
    np.savez(buffer, **dict(weights))  # type: ignore[arg-type]
    return buffer.getvalue()


def from_bytes(data: bytes) -> dict[str, np.ndarray]:
    """The inverse of :func:`to_bytes`."""
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file in one move: a reader sees the old bytes or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class BestWeights:
    """Keeps the weights of the best validation value seen; higher is better.

    Parameters
    ----------
    path : Path, optional
        Also written there at every improvement (rank 0 only), so that a run that is stopped
        leaves its best weights behind.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.value = -np.inf
        self.epoch = 0
        self._weights: dict[str, np.ndarray] | None = None

    def offer(self, value: float, epoch: int, weights: Mapping[str, np.ndarray]) -> bool:
        """Keep a copy if the value is better than all before; say whether it was."""
        if not value > self.value:
            return False
        self.value, self.epoch = value, epoch
        self._weights = {name: np.array(w, copy=True) for name, w in weights.items()}
        if self.path is not None:
            write_atomically(self.path, to_bytes(self._weights))
        return True

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """The best weights.

        Raises
        ------
        DataError
            If no epoch had a validation value that is a number.
        """
        if self._weights is None:
            raise DataError(
                "Training: no epoch gave a validation value that is a number; the loss diverged. "
                "Lower sequence.learning_rate."
            )
        return self._weights
