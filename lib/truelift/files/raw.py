"""Raw files: found by path, folder or pattern, and known again by their content."""

from __future__ import annotations

import hashlib
import io
import os
import posixpath
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs as pafs

from truelift.errors import SourceError
from truelift.files.damage import unreadable
from truelift.files.places import filesystem_of

_WHOLE_BELOW = 2**30
_BLOCK = 2**20
_MAGIC = frozenset("*?[")
# What a file is called while it is written, copied or edited, and what it leaves beside it.
_PASSING = (".tmp", ".temp", ".filepart", ".crdownload", ".swp", ".crc", "~")
_CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}


@dataclass(frozen=True)
class RawFile:
    """A file of a source.

    ``name`` is its path below the fixed part of the pattern, so that the same delivery is
    known again when the folder has moved; ``size`` is in bytes, ``modified`` in nanoseconds
    since 1970. ``details`` is what a format knows of the file beyond its bytes. With a ``limit``
    only so many bytes count, for the file may be growing; ``size`` is then the same.
    """

    uri: str
    name: str
    size: int
    modified: int
    details: dict[str, str] = field(default_factory=dict)
    limit: int = 0


def find_files(path: str, key: str) -> list[RawFile]:
    """Files of a path, a folder (all files in it) or a pattern (``*``, ``?``, ``**``).

    Parameters
    ----------
    path : str
        Local path or URI.
    key : str
        The configuration key it came from, for messages.

    Returns
    -------
    list of RawFile
        Sorted by URI; hidden files (``.`` or ``_`` first) of folders are left out, and so are those
        that are called as files in passing are (``.tmp``, ``~``, ...), unless the pattern says so.

    Raises
    ------
    SourceError
        If nothing is there, all that is there is empty, or nothing can be reached there.
    """
    absolute = path if urlsplit(path).scheme else os.path.abspath(os.path.expanduser(path))
    root = _fixed_part(absolute)
    scheme = absolute[: len(absolute) - len(urlsplit(absolute).path)] if "://" in absolute else ""
    try:
        system, inner = filesystem_of(root)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(
            f"{key}: {path!r} cannot be reached ({error}). Expected a local path, file://, s3a://, "
            "gs:// or abfss:// with its credentials; copy files from elsewhere first."
        ) from error
    found = _listed(system, inner, key, path)
    if absolute != root:
        pattern = _regex(absolute[len(root) :].lstrip("/"))
        found = [f for f in found if pattern.fullmatch(_below(f.path, inner))]
    passing = tuple(ending for ending in _PASSING if not absolute.lower().endswith(ending))
    found = [f for f in found if not f.path.lower().endswith(passing)]
    if not found:
        raise SourceError(
            f"{key}: no file matches {path!r} (looked in {root}). Give a file, a folder or a "
            "pattern such as 'logs/2024-*.csv'."
        )
    full = [f for f in found if f.size]
    if not full:
        names = ", ".join(posixpath.basename(f.path) for f in found[:3])
        raise SourceError(
            f"{key}: {path!r} is empty ({names}: 0 bytes). Expected a file with rows."
        )
    files = [
        RawFile(
            uri=_uri(f.path, inner, root, scheme),
            name=_below(f.path, inner) or posixpath.basename(f.path),
            size=int(f.size),
            modified=int(f.mtime_ns or 0),
        )
        for f in full
    ]
    return sorted(files, key=lambda f: f.uri)


def _fixed_part(path: str) -> str:
    """The part of a pattern before its first segment with a wild card."""
    parts = path.split("/")
    for index, part in enumerate(parts):
        if _MAGIC & set(part):
            return "/".join(parts[:index]) or "/"
    return path


def _listed(system: pafs.FileSystem, inner: str, key: str, path: str) -> list[pafs.FileInfo]:
    try:
        info = system.get_file_info(inner)
        if info.type == pafs.FileType.Directory:
            inside = system.get_file_info(pafs.FileSelector(inner, recursive=True))
            return [f for f in inside if f.type == pafs.FileType.File and _visible(f.path, inner)]
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{key}: {path!r} cannot be listed: {error}") from error
    return [info] if info.type == pafs.FileType.File else []


def _visible(path: str, root: str) -> bool:
    return not any(part[:1] in "._" for part in _below(path, root).split("/"))


def _below(path: str, root: str) -> str:
    return path[len(root) :].lstrip("/") if path.startswith(root) else path


def _uri(path: str, inner: str, root: str, scheme: str) -> str:
    return path if not scheme else root + path[len(inner) :]


def _regex(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]*\])", pattern)
    table = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile(
        "".join(
            table.get(p) or (p.replace("[!", "[^") if p.startswith("[") else re.escape(p))
            for p in parts
        )
    )


def open_raw(uri: str, limit: int = 0) -> pa.NativeFile:
    """A stream of the file's bytes, unpacked where its name ends in .gz, .bz2, .zst or .lz4 (in any case).

    Parameters
    ----------
    uri : str
    limit : int
        Bytes after which the stream ends; 0 reads all of them.

    Raises
    ------
    SourceError
        If it cannot be opened.
    """
    system, path = filesystem_of(uri)
    try:
        codec = next((c for end, c in _CODECS.items() if uri.lower().endswith(end)), None)
        stream = system.open_input_stream(path, compression=codec)
    except (OSError, pa.ArrowException) as error:
        raise unreadable(uri, error) from error
    return pa.PythonFile(_Head(stream, limit), mode="r") if limit else stream


class _Head(io.RawIOBase):
    """The first bytes of a stream."""

    def __init__(self, stream: pa.NativeFile, limit: int):
        self._stream, self._left = stream, limit

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        data = bytes(self._stream.read(wanted))
        self._left -= len(data)
        return data

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def fingerprint(file: RawFile) -> str:
    """A name for the file's content, equal for the same delivery wherever and whenever it lies.

    Files up to 1 GiB are hashed whole. Of larger ones the size, the time of the last change
    and three blocks (first, middle, last) go in.
    """
    digest = hashlib.blake2b(f"{file.name}\n{file.size}\n".encode(), digest_size=12)
    system, path = filesystem_of(file.uri)
    with system.open_input_file(path) as stream:
        if file.size <= _WHOLE_BELOW:
            left = file.limit or -1
            while block := stream.read(_BLOCK if left < 0 else min(_BLOCK, left)):
                digest.update(block)
                left -= len(block) if left > 0 else 0
        else:
            digest.update(str(file.modified).encode())
            for start in (0, file.size // 2, file.size - _BLOCK):
                digest.update(stream.read_at(_BLOCK, start))
    return digest.hexdigest()
