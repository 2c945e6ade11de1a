"""Tables outside the lake: their addresses."""

from __future__ import annotations

from dataclasses import dataclass

from truelift.errors import ConfigError
from truelift.files.places import filesystem_of
from truelift.lake.log import current_version


@dataclass(frozen=True)
class TableAddress:
    """``URI`` or ``URI@version``; the version is of a Delta table."""

    uri: str
    version: int | None = None

    @staticmethod
    def parse(text: str) -> TableAddress:
        """Read an address.

        Raises
        ------
        ConfigError
            If what follows the ``@`` is no version.
        """
        uri, at, version = text.rpartition("@")
        if not at:
            return TableAddress(text.rstrip("/"))
        if not version.isdigit():
            if "/" in version:  # an @ inside a folder's name
                return TableAddress(text.rstrip("/"))
            raise ConfigError(f"--table {text}: found version {version!r}, expected a number.")
        return TableAddress(uri.rstrip("/"), int(version))


def is_delta(uri: str) -> bool:
    """Whether a Delta table lies there; the log's reader is asked only where a log is."""
    import pyarrow.fs as pafs

    filesystem, root = filesystem_of(uri)
    log = filesystem.get_file_info(f"{root.rstrip('/')}/_delta_log")
    return log.type != pafs.FileType.NotFound and current_version(uri) is not None
