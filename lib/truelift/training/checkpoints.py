"""Checkpoints: all that a training needs to go on, written whole or not at all.

A checkpoint is one file, ``NUMBER.checkpoint``, that begins with the SHA-256 of what follows, so
that a damaged one is recognised and the one before it is taken. The two newest are kept. Who may
write them says :mod:`~.owner`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs

from truelift.arrays.archive import from_bytes, to_bytes
from truelift.distributed.rank import write_atomically
from truelift.errors import ConfigError, DataError, JobFailure, StorageError
from truelift.files.places import filesystem_of
from truelift.training.owner import FILE as OWNER
from truelift.training.owner import Owner
from truelift.training.results import EpochRecord
from truelift.typed import from_plain, to_plain

_MAGIC = b"truelift checkpoint 1 "
_NAME = re.compile(r"^(\d{10})\.checkpoint$")
KEPT = 2


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
        Weights and best weights by name, variables of the optimizer, random states
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
    """The checkpoints of one training, in a folder here or on an object store.

    Parameters
    ----------
    uri : str
    token : str, optional
        Of the owner that writes (:mod:`~.owner`); without one nobody is asked.
    """

    def __init__(self, uri: str, token: str | None = None) -> None:
        self.uri, self._token = uri, token
        self._filesystem, path = filesystem_of(uri)
        self._path = path.rstrip("/")
        self._passed: set[int] = set()

    def claim(self, token: str) -> Owner | None:
        """Become the owner, whoever was it before; that one's writes are refused from now on.

        Returns
        -------
        Owner, optional
            The one before, where it was of another training's start.

        Raises
        ------
        StorageError
            If the folder cannot be written.
        """
        new = Owner(token)
        try:
            before = self._owner()
            self._filesystem.create_dir(self._path, recursive=True)
            self._put(f"{self._path}/{OWNER}", new.to_bytes())
        except OSError as error:
            raise StorageError(
                f"Checkpoints {self.uri} cannot be written: {error}. Free some space, or set "
                "sequence.recovery.checkpoint to another place."
            ) from error
        return before if before is not None and before.job != new.job else None

    def require_owner(self) -> None:
        """See that the folder is still ours.

        Raises
        ------
        JobFailure
            If another has claimed it since.
        StorageError
            If nobody owns it any more.
        """
        if self._token is None:
            return
        owner = self._owner()
        if owner is None:
            raise StorageError(
                f"Checkpoints {self.uri}: found no {OWNER}, expected the one that this training "
                "left there: the folder was removed meanwhile, so nothing is written to it."
            )
        if owner.token != self._token:
            raise JobFailure(
                f"Checkpoints {self.uri}: found another owner ({owner}), expected this training: "
                "the same training was started again and has taken the folder over. This one "
                "ends and writes nothing more; wait for the other, or give one of them a "
                "sequence.recovery.checkpoint of its own."
            )

    def write(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint, and of the older ones the newest.

        Raises
        ------
        JobFailure
            If the folder has another owner.
        StorageError
            If it cannot be written, for a full disk for example; those that are there remain.
        """
        name = f"{checkpoint.number:010d}.checkpoint"
        try:
            self.require_owner()
            self._filesystem.create_dir(self._path, recursive=True)
            self._put(f"{self._path}/{name}", checkpoint.to_bytes())
            self.require_owner()
            older = [n for n in self._numbers() if n < checkpoint.number]
            # Later ones are removed only where they were useless before we began.
            for number in {*older[: -(KEPT - 1)], *self._passed} - {checkpoint.number}:
                self._filesystem.delete_file(f"{self._path}/{number:010d}.checkpoint")
                self._passed.discard(number)
        except OSError as error:
            raise StorageError(
                f"Checkpoint {self.uri}/{name} could not be written: {error}. Those before it "
                "remain; free some space, or set sequence.recovery.checkpoint to another place."
            ) from error

    def newest(self, run: str) -> tuple[Checkpoint | None, list[str]]:
        """The newest whole checkpoint of a training, and a line on each one that was passed over.

        Raises
        ------
        JobFailure
            If the folder has another owner.
        StorageError
            If the folder cannot be read.
        """
        passed = []
        try:
            self.require_owner()
            numbers = self._numbers()
            for number in reversed(numbers):
                name = f"{self._path}/{number:010d}.checkpoint"
                with self._filesystem.open_input_stream(name) as stream:
                    data = stream.read()
                try:
                    found = Checkpoint.from_bytes(data)
                except (ConfigError, DataError, ValueError, KeyError) as error:
                    passed.append(f"Checkpoint {name} is passed over: {error}.")
                    self._passed.add(number)
                    continue
                if found.run == run:
                    return found, passed
                passed.append(f"Checkpoint {name} is passed over: it is of another training.")
                self._passed.add(number)
        except OSError as error:
            raise StorageError(f"Checkpoints {self.uri} cannot be read: {error}.") from error
        return None, passed

    def remove(self, job: str | None = None) -> None:
        """Delete the folder; a missing one is no error, and that of another owner stays.

        Parameters
        ----------
        job : str, optional
            The training that is over (the first part of its tokens); by default whoever's.
        """
        owner = self._owner()
        if job is not None and owner is not None and owner.job != job:
            return
        if self._filesystem.get_file_info(self._path).type == pafs.FileType.Directory:
            self._filesystem.delete_dir(self._path)

    def _owner(self) -> Owner | None:
        try:
            with self._filesystem.open_input_stream(f"{self._path}/{OWNER}") as stream:
                return Owner.from_bytes(stream.read())
        except FileNotFoundError:
            return None

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
                "Lower sequence.training.learning_rate."
            )
        return self._weights
