"""Files that cannot be read: what is wrong with them, and what they are instead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from truelift.errors import SourceError
from truelift.files.places import filesystem_of

# What a packed file begins with.
_UNPACKED = {
    ".gz": "a gzip file",
    ".bz2": "a bzip2 file",
    ".zst": "a Zstandard file",
    ".lz4": "an LZ4 file",
}
_BEGINNINGS = {
    b"\x1f\x8b": _UNPACKED[".gz"],
    b"BZh": _UNPACKED[".bz2"],
    b"\x28\xb5\x2f\xfd": _UNPACKED[".zst"],
    b"\x04\x22\x4d\x18": _UNPACKED[".lz4"],
    b"PK\x03\x04": "a zip archive (an Excel workbook is one, too)",
    b"PAR1": "a Parquet file",
    b"\xfd7zXZ\x00": "an xz file",
    b"\x1f\x9d": "a file of compress (.Z)",
    b"\xff\x06\x00\x00sNaPpY": "a Snappy file",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an Excel workbook (or another document of old Office)",
    b"Obj\x01": "an Avro file",
    b"ARROW1\x00\x00": "an Arrow (Feather) file",
    b"%PDF-": "a PDF",
    b"\xff\xfe\x00\x00": "text in UTF-32 (set source.encoding to utf-32)",
    b"\xff\xfe": "text in UTF-16 (set source.encoding to utf-16)",
    b"\xfe\xff": "text in UTF-16 (set source.encoding to utf-16)",
    b"SQLite format 3": "an SQLite database",
}


@contextmanager
def readable(uri: str) -> Iterator[None]:
    """Where a file is read: what is wrong with it is said in one sentence.

    Raises
    ------
    SourceError
        In the place of Arrow's errors and the system's.
    """
    try:
        yield
    except (OSError, EOFError, pa.ArrowException, UnicodeError) as error:
        raise unreadable(uri, error) from error


def unreadable(uri: str, error: Exception) -> SourceError:
    """The error for a file that cannot be read, with what its first bytes tell."""
    text = str(error).partition(". Detail:")[0].splitlines()[0:1]
    found, kind = "".join(text) or type(error).__name__, _kind_of(uri)
    lower = uri.lower()
    packed = next((form for form in _UNPACKED if lower.endswith(form)), None)
    if isinstance(error, PermissionError) or "ermission denied" in str(error):
        advice = "This user may not read it: give read permission, or run as one who may."
    elif isinstance(error, FileNotFoundError):
        advice = "It was there when the folder was listed: is somebody moving files?"
    elif packed and kind != _UNPACKED[packed]:
        what = f"it is {kind}" if kind else "its first bytes are those of no such file"
        advice = f"Its name ends in {packed}, and {what}. Rename it, or pack it as its name says."
    elif packed:
        advice = (
            "It is packed and breaks off or is damaged: was it copied to its end? Copy it again."
        )
    elif kind:
        advice = f"It is {kind}: unpack it, or give it the ending of its kind."
    else:
        advice = "Is it of the format that source.format names, and was it copied to its end?"
    return SourceError(f"{uri} cannot be read ({found}). {advice}")


def _kind_of(uri: str) -> str | None:
    """What a file's first bytes say that it is; None for text and all else."""
    system, path = filesystem_of(uri)
    try:
        with system.open_input_file(path) as stream:
            first = stream.read(16)
    except (OSError, pa.ArrowException):
        return None
    if first.lstrip(b"\xef\xbb\xbf \r\n\t").lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "HTML or XML (the page of an error in the place of a download?)"
    if len(first) > 3 and not any(first[1::2]) and all(first[::2]):
        return "text in UTF-16 (set source.encoding to utf-16-le)"
    if len(first) > 3 and not any(first[::2]) and all(first[1::2]):
        return "text in UTF-16 (set source.encoding to utf-16-be)"
    return next((kind for begin, kind in _BEGINNINGS.items() if first.startswith(begin)), None)


def refuse_archive(uri: str, first: bytes) -> None:
    """Refuse a packed file whose content is an archive of files, by its first bytes.

    Raises
    ------
    SourceError
    """
    if first[257:262] == b"ustar":
        raise SourceError(f"{uri} is a tar archive: unpack it, and give the files that are in it.")


def refuse_other_kinds(uri: str, encoding: str) -> None:
    """Refuse text that is none: an archive, a workbook, another encoding.

    Raises
    ------
    SourceError
    """
    kind = _kind_of(uri)
    packed = kind in _UNPACKED.values() and uri.lower().endswith(tuple(_UNPACKED))
    known = encoding.lower().startswith(("utf-16", "utf-32", "utf_16", "utf_32"))
    if kind is None or packed or (known and "UTF-" in kind):
        return
    if "UTF-" in kind:
        raise SourceError(f"{uri} is {kind}.")
    advice = "Unpack or convert it, or give it the ending of its kind."
    if kind == _BEGINNINGS[b"PAR1"]:
        advice = "source.format: parquet reads it."
    raise SourceError(f"{uri} is no text: it is {kind}. {advice}")
