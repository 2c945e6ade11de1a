"""Panels with one treated unit as rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from truelift.simulate.worlds.few_treated import few_treated


def few_treated_table(
    seed: int = 1, donors: int = 30, before: int = 16, after: int = 4, chosen: str = "random", effect: float = 0.0,
) -> pa.Table:  # fmt: skip
    """Outcomes of :func:`few_treated` as rows of ``store``, ``week``, ``y`` and ``begins`` (null for never)."""
    y, treated = few_treated(seed, donors, before, after, chosen, effect)
    units, periods = y.shape
    store = np.repeat(np.arange(units), periods)
    return pa.table(
        {
            "store": [f"s{i:03d}" for i in store.tolist()],
            "week": np.tile(np.arange(1, periods + 1), units),
            "begins": pa.array(np.full(len(store), float(before + 1)), mask=store != treated),
            "y": y.ravel(),
        }
    )
