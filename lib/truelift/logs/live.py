"""Files that are still written: where the last full line ends, and whether a file has only grown."""

from __future__ import annotations

import time
from dataclasses import replace

import pyarrow as pa
import pyarrow.fs as pafs

from truelift.errors import SourceError
from truelift.files.damage import unreadable
from truelift.files.places import filesystem_of
from truelift.logs.sources.json_lines import parsed
from truelift.logs.sources.planning import SourceFile
from truelift.logs.sources.registry import PACKED

# Formats of lines that somebody may be appending to.
_LIVE = ("access_log", "alb", "caddy", "csv", "jsonl", "nginx_json", "otto", "w3c")
# Of these a line says by itself that it is whole.
_CLOSED = ("caddy", "jsonl", "nginx_json", "otto")
_BLOCK = 2**20
_NANO = 1_000_000_000


def settled(file: SourceFile, settle_seconds: float) -> SourceFile | None:
    """The file up to the end of its last full line, if it may still be growing.

    A file at rest for ``settle_seconds`` is taken as it is. So are packed ones, objects of a
    store (which appear as a whole), and an object of JSON that is closed.

    Returns
    -------
    SourceFile or None
        None for a file that is the beginning of a line and nothing else.
    """
    raw = file.raw
    if not _may_grow(file) or time.time() - raw.modified / _NANO >= settle_seconds:
        return file
    try:
        with pafs.LocalFileSystem().open_input_file(filesystem_of(raw.uri)[1]) as stream:
            end, tail = _last_line(stream, raw.size)
    except (OSError, pa.ArrowException) as error:
        raise unreadable(raw.uri, error) from error
    if tail and file.form in _CLOSED and parsed(tail.decode("utf-8", "replace")) is not None:
        end = raw.size
    if not end:
        return None
    return replace(file, raw=replace(raw, size=end, limit=end))


def waits(found: SourceFile, taken: SourceFile | None) -> bool:
    """Whether a last line of the file is left for later."""
    return taken is None or taken.raw.size < found.raw.size


def has_grown(file: SourceFile, size: int | None, checksum: str) -> bool:
    """Whether a file begins with all that it was, which ended with a line.

    Parameters
    ----------
    size, checksum
        Of what it was.
    """
    raw = file.raw
    if not _may_grow(file) or size is None or not 0 < size < raw.size:
        return False
    before = replace(file, raw=replace(raw, size=size, limit=size))
    try:
        if before.checksum() != checksum:
            return False
        with pafs.LocalFileSystem().open_input_file(filesystem_of(raw.uri)[1]) as stream:
            ended = stream.read_at(1, size - 1) in (b"\n", b"\r")
    except (OSError, SourceError):
        return False
    return ended or file.form in _CLOSED


def _may_grow(file: SourceFile) -> bool:
    plain = file.form in _LIVE and not file.raw.uri.lower().endswith(PACKED)
    if not plain or not isinstance(filesystem_of(file.raw.uri)[0], pafs.LocalFileSystem):
        return False
    try:  # elsewhere the end of a line is not the byte of that name
        return "\n".encode(file.options.get("encoding", "utf-8")) == b"\n"
    except LookupError:
        return False


def _last_line(stream: pa.NativeFile, size: int) -> tuple[int, bytes]:
    """Where the last full line ends, and what comes after it; of a torn long line, a part."""
    end, tail = size, b""
    while end > 0:
        start = max(end - _BLOCK, 0)
        block = stream.read_at(end - start, start)
        found = max(block.rfind(b"\n"), block.rfind(b"\r"))
        if found >= 0:
            return start + found + 1, block[found + 1 :] + tail
        end, tail = start, block + tail
    return 0, tail
