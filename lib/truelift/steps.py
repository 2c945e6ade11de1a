"""What a finished step leaves behind, kept in the lake beside the tables.

A record says which inputs and settings a step ran with and what came out. It is how a later
run knows that nothing changed, and where the report finds every result and its pedigree.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.fs as pafs

from truelift import __version__
from truelift.errors import ConfigError
from truelift.files.places import filesystem_of
from truelift.typed import from_older, from_plain, to_plain

T = TypeVar("T")


@dataclass(frozen=True)
class StepReport:
    """What a job returns: rows in and out, the few figures worth a line, and sentences to read."""

    rows_in: int
    rows_out: int
    headline: dict[str, float | str | int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepRecord:
    """A finished step: fingerprint, pinned inputs, outputs (tables and files), results.

    ``identity`` is what the fingerprint is of (:mod:`~.step_identity`), in plain values; a record
    of an older version has none. ``panel`` is that of :meth:`.step_graph.Step.panel`.
    """

    step: str
    fingerprint: str
    inputs: dict[str, int]
    outputs: dict[str, int]
    rows_in: int
    rows_out: int
    seconds: float
    headline: dict[str, Any]
    results: dict[str, Any]
    run_id: str
    code_version: str
    finished: str
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    identity: dict[str, Any] = field(default_factory=dict)
    panel: str = ""

    def result(self, cls: type[T]) -> T | None:
        """The result object of a class, if this step saved one that can be read."""
        return self.read(cls)[0]

    def read(self, cls: type[T]) -> tuple[T | None, tuple[str, ...]]:
        """The result, and what there is to say where another version of truelift wrote it."""
        data = self.results.get(cls.__name__)
        if data is None:
            return None, ()
        value, said = from_older(cls, data, cls.__name__)
        wrote = f"The record of {self.step} is by truelift {self.code_version}: "
        again = f". Run '{self.step}' again" + (
            "." if value else "; until then it counts as not done."
        )
        return value, tuple(f"{wrote}{sentence}{again}" for sentence in said)


class StepStore:
    """Reads and writes the records of one lake."""

    def __init__(self, root: str):
        self._filesystem, path = filesystem_of(root)
        self._folder = f"{path.rstrip('/')}/_truelift/steps"

    def read(self, step: str, panel: str = "") -> StepRecord | None:
        """The record of a step, or None if it never finished (or the record is unreadable)."""
        return self._read(_file_name(step, panel))

    def _read(self, name: str) -> StepRecord | None:
        path = f"{self._folder}/{name}"
        if self._filesystem.get_file_info(path).type == pafs.FileType.NotFound:
            return None
        with self._filesystem.open_input_stream(path) as stream:
            try:
                return from_plain(StepRecord, json.loads(stream.read()))
            except (ValueError, ConfigError):
                return None

    def write(self, record: StepRecord) -> None:
        """Keep a record; readers see the old one or the new one."""
        path = f"{self._folder}/{_file_name(record.step, record.panel)}"
        data = json.dumps(to_plain(record), indent=1).encode()
        self._filesystem.create_dir(self._folder, recursive=True)
        if isinstance(self._filesystem, pafs.LocalFileSystem):
            part = Path(f"{path}.{os.getpid()}.part")
            part.write_bytes(data)
            part.replace(path)
            return
        with self._filesystem.open_output_stream(path) as stream:
            stream.write(pa.py_buffer(data))

    def records(self) -> list[StepRecord]:
        """All that can be read, by the steps' names."""
        folder = pafs.FileSelector(self._folder, allow_not_found=True)
        names = sorted(f.base_name for f in self._filesystem.get_file_info(folder))
        read = (self._read(name) for name in names if name.endswith(".json"))
        return [record for record in read if record is not None]

    def remove(self, record: StepRecord) -> None:
        """Take a record away: the step has not run."""
        self._filesystem.delete_file(f"{self._folder}/{_file_name(record.step, record.panel)}")


def _file_name(step: str, panel: str) -> str:
    which = f"-{hashlib.sha256(panel.encode()).hexdigest()[:10]}" if panel else ""
    return f"{step}{which}.json"


@lru_cache(maxsize=1)
def code_version() -> str:
    """Version and a hash of the package's own source: which truelift a run was made with."""
    return f"{__version__}+{_sources_digest(files('truelift'))}"


def _sources_digest(folder: Any) -> str:
    digest = hashlib.sha256()
    for name, data in sorted(_sources(folder)):
        digest.update(name.encode())
        digest.update(data)
    return digest.hexdigest()[:12]


def _sources(folder: Any, prefix: str = "") -> list[tuple[str, bytes]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            found += _sources(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith((".py", ".css")):
            found.append((prefix + entry.name, entry.read_bytes()))
    return found
