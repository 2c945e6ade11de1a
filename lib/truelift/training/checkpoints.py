"""Checkpoints: all that a training needs to go on, written whole or not at all.

A checkpoint is one file, ``NUMBER.checkpoint``, that begins with the SHA-256 of what follows, so
that a damaged one is recognised and the one before it is taken. The two newest are kept.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs

from truelift.errors import ConfigError, DataError, StorageError
from truelift.lake.log import filesystem_of
from truelift.training.results import EpochRecord
from truelift.typed import from_plain, to_plain

_MAGIC = b"truelift checkpoint 1 "
_NAME = re.compile(r"^(\d{10})\.checkpoint$")
KEPT = 2


def to_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays by name as a NumPy archive."""
    buffer = io.BytesIO()
    np.savez(buffer, **dict(arrays))  # type: ignore[arg-type]
    return buffer.getvalue()


def from_bytes(data: bytes) -> dict[str, np.ndarray]:
    """The inverse of :func:`to_bytes`; nothing in ``data`` is executed."""
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
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name itself
    finally:
        os.close(folder)


@dataclass(frozen=True)
class Checkpoint:
    """A training between two steps.

    Parameters
    ----------
    run : str
        Key of the training that it belongs to; see :func:`~truelift.training.rank.run_key`.
    epoch : int
        The epoch that is under way, from 1; one past the last at the end.
    step : int
        Batches of it that have been trained on: the feed's position.
    number : int
        Batches since the beginning; orders the checkpoints of a run.
    best_epoch, best_value : int, float
        The best validation so far; 0 and -inf before the first.
    epochs : tuple of EpochRecord
        Epochs that are over.
    arrays : mapping of str to numpy.ndarray
        Weights, averages and best weights by name, variables of the optimizer, random states
        and sums of the epoch under way, one row a rank.
    """

    run: str
    epoch: int
    step: int
    number: int
    best_epoch: int = 0
    best_value: float = float("-inf")
    epochs: tuple[EpochRecord, ...] = ()
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Checksum, header and arrays."""
        header = to_plain(replace(self, arrays={}))
        header.pop("arrays")
        text = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
        payload = to_bytes({"header": text, **self.arrays})
        return _MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload

    @classmethod
    def from_bytes(cls, data: bytes) -> Checkpoint:
        """The inverse of :meth:`to_bytes`.

        Raises
        ------
        DataError
            If the checksum does not fit.
        """
        begin = len(_MAGIC) + 65
        digest = hashlib.sha256(data[begin:]).hexdigest().encode()
        if data[:begin] != _MAGIC + digest + b"\n":
            raise DataError("found damaged bytes, expected those of the checksum at its beginning")
        arrays = from_bytes(data[begin:])
        header: dict[str, Any] = json.loads(arrays.pop("header").tobytes().decode())
        plain = from_plain(Checkpoint, header)
        return cls(**{**vars(plain), "arrays": arrays})


class CheckpointFolder:
    """The checkpoints of one training, in a folder here or on an object store."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._filesystem, path = filesystem_of(uri)
        self._path = path.rstrip("/")

    def write(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint, and of the older ones the newest.

        Raises
        ------
        StorageError
            If it cannot be written, for a full disk for example; those that are there remain.
        """
        name = f"{checkpoint.number:010d}.checkpoint"
        try:
            self._filesystem.create_dir(self._path, recursive=True)
            self._put(f"{self._path}/{name}", checkpoint.to_bytes())
            found = self._numbers()
            kept = [n for n in found if n <= checkpoint.number][-KEPT:]
            for number in set(found) - set(kept):
                self._filesystem.delete_file(f"{self._path}/{number:010d}.checkpoint")
        except OSError as error:
            raise StorageError(
                f"Checkpoint {self.uri}/{name} could not be written: {error}. Those before it "
                "remain; free some space, or set sequence.checkpoint to another place."
            ) from error

    def newest(self, run: str) -> tuple[Checkpoint | None, list[str]]:
        """The newest whole checkpoint of a training, and a line on each one that was passed over.

        Raises
        ------
        StorageError
            If the folder cannot be read.
        """
        passed = []
        try:
            numbers = self._numbers()
            for number in reversed(numbers):
                name = f"{self._path}/{number:010d}.checkpoint"
                with self._filesystem.open_input_stream(name) as stream:
                    data = stream.read()
                try:
                    found = Checkpoint.from_bytes(data)
                except (ConfigError, DataError, ValueError, KeyError) as error:
                    passed.append(f"Checkpoint {name} is passed over: {error}.")
                    continue
                if found.run == run:
                    return found, passed
                passed.append(f"Checkpoint {name} is passed over: it is of another training.")
        except OSError as error:
            raise StorageError(f"Checkpoints {self.uri} cannot be read: {error}.") from error
        return None, passed

    def remove(self) -> None:
        """Delete the folder; a missing one is no error."""
        if self._filesystem.get_file_info(self._path).type == pafs.FileType.Directory:
            self._filesystem.delete_dir(self._path)

    def _numbers(self) -> list[int]:
        selector = pafs.FileSelector(self._path, allow_not_found=True)
        names = [_NAME.match(info.base_name) for info in self._filesystem.get_file_info(selector)]
        return sorted(int(name.group(1)) for name in names if name)

    def _put(self, path: str, data: bytes) -> None:
        if isinstance(self._filesystem, pafs.LocalFileSystem):
            write_atomically(Path(path), data)
            return
        # An object appears when its stream is closed, whole.
        with self._filesystem.open_output_stream(path) as stream:
            stream.write(pa.py_buffer(data))


class BestWeights:
    """Keeps the weights of the best validation value seen; higher is better."""

    def __init__(self) -> None:
        self.value = -np.inf
        self.epoch = 0
        self._weights: dict[str, np.ndarray] | None = None

    @classmethod
    def restored(cls, value: float, epoch: int, weights: Mapping[str, np.ndarray]) -> BestWeights:
        """As it was when a checkpoint was taken."""
        best = cls()
        if epoch:
            best.offer(value, epoch, weights)
        return best

    def offer(self, value: float, epoch: int, weights: Mapping[str, np.ndarray]) -> bool:
        """Keep a copy if the value is better than all before; say whether it was."""
        if not value > self.value:
            return False
        self.value, self.epoch = value, epoch
        self._weights = {name: np.array(w, copy=True) for name, w in weights.items()}
        return True

    @property
    def found(self) -> bool:
        """Whether any value was a number."""
        return self._weights is not None

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
