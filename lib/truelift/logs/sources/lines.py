"""Lines of text out of a raw file's bytes, in any encoding."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from typing import Any

import pyarrow as pa

from truelift.errors import SourceError

UTF8 = ("utf-8", "utf8", "utf-8-sig")
BLOCK = 8 * 2**20


def text_lines(stream: pa.NativeFile, encoding: str, errors: str = "strict") -> Iterator[str]:
    """Lines with their ends; a byte-order mark is no part of the first.

    Raises
    ------
    SourceError
        If Python knows no such encoding.
    """
    name = "utf-8-sig" if encoding.lower() in UTF8 else encoding
    try:
        blocks = io.BufferedReader(_Raw(stream), BLOCK)
        return iter(io.TextIOWrapper(blocks, encoding=name, errors=errors, newline=""))
    except LookupError:
        raise SourceError(
            f"source.encoding: found {encoding!r}, expected a name such as 'utf-8' or 'latin-1'."
        ) from None


def full_lines(stream: pa.NativeFile, encoding: str) -> Iterator[tuple[int, str, str | None]]:
    """Number, text and fault of every line that is not blank.

    Returns
    -------
    iterator of (int, str, str or None)
        The line's number from 0 (blank lines count) and its text without the line's end. A
        line with bytes that are not of the encoding has an empty text and, as its fault, the
        line with replacement characters.
    """
    for number, line in enumerate(text_lines(stream, encoding, "surrogateescape")):
        text = line.rstrip("\r\n")
        if not text.strip():
            continue
        if is_text(text):
            yield number, text, None
        else:
            yield number, "", text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def is_text(value: str) -> bool:
    """Whether every character can be stored (half of a surrogate pair cannot)."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def not_encoded(name: str, encoding: str, error: UnicodeDecodeError) -> SourceError:
    """The error for a file that is not in its encoding."""
    return SourceError(
        f"{name} is not {encoding} text (byte {error.object[error.start]:#04x} at "
        f"{error.start}). Set source.encoding, for example to latin-1."
    )


class _Raw(io.RawIOBase):
    """An Arrow stream as a raw stream of Python's, for its text decoders."""

    def __init__(self, stream: pa.NativeFile):
        self._read = partial(stream.read)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
