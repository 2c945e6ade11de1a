"""The small tables in which shares look up the level of a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from truelift.errors import ConfigError
from truelift.features.catalogue import ITEM_ID, ItemColumns, LookupSource
from truelift.features.items import item_columns, lookup_of
from truelift.lake.tables import TABLES
from truelift.settings import Settings
from truelift.settings.panel_levels import PanelLookupOptions
from truelift.settings.panel_spec import PanelSpec

if TYPE_CHECKING:
    from truelift.lake import Lake

_ITEMS = "bronze.items"
_CATEGORY = "category"


def open_lookups(
    lake: Lake, spec: PanelSpec, settings: Settings, versions: Mapping[str, int] | None = None
) -> dict[str, LookupSource]:
    """By share the table that holds its levels; of a table that the lake lacks there is none.

    Raises
    ------
    ConfigError
        If it is no table of the lake, or lacks a column.
    """
    found = {}
    for name, share in spec.shares.items():
        look = share.lookup
        if look is None:
            continue
        if look.table not in TABLES:
            raise ConfigError(
                f"shares.{name}.lookup.table: found {look.table!r}, expected a table of the lake, "
                f"such as {_ITEMS}."
            )
        version = (versions or {}).get(look.table, lake.version(look.table))
        if version is None:
            continue
        available = tuple(lake.plan(look.table, None, version).columns)
        columns = _columns(available, f"shares.{name}.lookup", look, settings)
        if columns is not None:
            found[name] = lookup_of(lake, lake.plan(look.table, columns.used(), version), columns)
    return found


def _columns(
    available: tuple[str, ...], key: str, look: PanelLookupOptions, settings: Settings
) -> ItemColumns | None:
    """Which columns hold what; None where the lake's items have no categories."""
    if look.table == _ITEMS and look.key == ITEM_ID:
        category = settings.features.category_column if look.value == _CATEGORY else look.value
        features = replace(settings.features, item_level=ITEM_ID, category_column=category)
        found = item_columns(replace(settings, features=features), available)
        if found.category is not None or look.value == _CATEGORY:
            return found if found.category is not None else None
    else:
        found = ItemColumns(look.key, None, None, look.value, order=(look.key, look.value))
    missing = [c for c in (found.item_id, found.category or look.value) if c not in available]
    if missing:
        raise ConfigError(
            f"{key}: {look.table} has no column {missing[0]!r} (found {', '.join(available)})."
        )
    return found
