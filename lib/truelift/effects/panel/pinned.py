"""The version of the table that effects are estimated on, where no step writes it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from truelift.lake import Lake
from truelift.lake.address import TableAddress
from truelift.lake.foreign import table_version
from truelift.lake.tables import TABLES, is_panel

if TYPE_CHECKING:
    from truelift.settings import Settings

KEY = "effects.table"


def pinned_table(settings: Settings) -> dict[str, str]:
    """What tells the content of ``effects.table`` from another; nothing where it is not set.

    Raises
    ------
    TableError
        If there is no table there.
    """
    if settings.effects.table is None:
        return {}
    address = TableAddress.parse(settings.effects.table)
    if address.uri in TABLES or is_panel(address.uri):
        address = replace(address, uri=Lake(settings).uri(address.uri))
    return {KEY: table_version(address)}


def pinned_address(table: str, pinned: str | None) -> TableAddress:
    """An address of :func:`pinned_table`, at the version that it said, if it is one of Delta."""
    address = TableAddress.parse(table)
    if address.version is None and pinned is not None and pinned.isdigit():
        return replace(address, version=int(pinned))
    return address
