"""Addresses of files as Arrow spells them, and the file system that has them."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pyarrow.fs as pafs


def storage_uri(uri: str) -> str:
    """The URI as Arrow and deltalake spell it (``s3a`` is Hadoop's name for ``s3``)."""
    return "s3" + uri[3:] if uri.startswith("s3a://") else uri


def filesystem_of(uri: str) -> tuple[pafs.FileSystem, str]:
    """Arrow's file system for a URI or a local path, and the path inside it."""
    uri = storage_uri(uri)
    if urlsplit(uri).scheme in ("", "file"):
        path = urlsplit(uri).path if uri.startswith("file:") else uri
        return pafs.LocalFileSystem(), unquote(path) if uri.startswith("file:") else path
    return pafs.FileSystem.from_uri(uri)
