"""Arrays by name as bytes, for files and for processes that share work."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np


def to_bytes(arrays: Mapping[str, np.ndarray], compressed: bool = False) -> bytes:
    """Arrays by name as a NumPy archive."""
    buffer = io.BytesIO()
    save = np.savez_compressed if compressed else np.savez
    save(buffer, **dict(arrays))  # type: ignore[arg-type]
    return buffer.getvalue()


def from_bytes(data: bytes) -> dict[str, np.ndarray]:
    """The inverse of :func:`to_bytes`; nothing in ``data`` is executed."""
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
