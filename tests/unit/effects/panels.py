"""Simulated panels: confounded, clustered, with a known average effect."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from truelift.effects.panel.source import MemoryPanel
from truelift.simulate.worlds.shared import SharedWorld


def simulate_panel(seed: int = 1, **parameters: Any) -> pa.Table:
    """A panel of the world ``shared``; see :class:`~truelift.simulate.worlds.shared.SharedWorld`."""
    return SharedWorld(**parameters).draw(seed).table


def in_buckets(table: pa.Table, version: int = 0) -> MemoryPanel:
    """The table as an in-memory panel, cut by its bucket column."""
    bucket = table["bucket"].to_numpy()
    found = np.unique(bucket).tolist()
    parts = {b: table.filter(pa.array(bucket == b)) for b in found}
    return MemoryPanel(parts or {0: table}, version=version)


def with_column(table: pa.Table, name: str, values: object) -> pa.Table:
    """The table with one column set."""
    column = pa.chunked_array([pa.array(values)])
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, column)
    return table.append_column(name, column)
