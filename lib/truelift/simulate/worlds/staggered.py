"""Panels over time whose units are treated from different periods on, with a known effect."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa


def staggered_table(
    seed: int = 1, shops: int = 120, regions: int = 40, weeks: int = 6,
    cohorts: tuple[int, ...] = (3, 5), holes: float = 0.0, shared: float = 0.5, drift: float = 0.0,
    effect: float = 1.0,
) -> pa.Table:  # fmt: skip
    """Rows of a shop and week; ``begins`` is the week of its treatment, 0 for never.

    The effect is ``effect`` in the first treated week and grows by half of it each week. A region's shops
    share shocks of size ``shared``; with ``drift`` the treated move apart all the time, and ``holes`` is the
    share of rows that are missing.
    """
    rng = np.random.default_rng(seed)
    groups = np.array([0, *cohorts])
    begins = np.repeat(groups[np.arange(shops) % len(groups)], weeks)
    shop = np.repeat(np.arange(shops), weeks)
    week = np.tile(np.arange(1, weeks + 1), shops)
    region = (shop * 7) % regions
    level = rng.normal(size=shops)[shop] + 0.5 * (begins > 0)
    shocks = shared * rng.normal(size=(regions, weeks))[region, week - 1]
    since = week - begins
    gain = np.where((begins > 0) & (since >= 0), effect * (1 + 0.5 * since), 0.0)
    y = (
        level
        + 0.3 * week
        + gain
        + shocks
        + drift * week * (begins > 0)
        + rng.normal(size=len(shop))
    )
    table = pa.table({"shop": shop, "region": region, "week": week, "begins": begins, "y": y})
    return table.filter(pa.array(rng.random(len(shop)) >= holes)) if holes else table


def trending_table(
    seed: int = 1, shops: int = 400, regions: int = 100, weeks: int = 5, cohorts: tuple[int, ...] = (3, 4),
    shared: float = 0.5,
) -> pa.Table:  # fmt: skip
    """Like :func:`staggered_table`, with trends that are parallel given ``x_0`` and ``x_1`` alone.

    Shops with more of ``x_0`` are treated earlier and more often, and grow faster by .4 ``x_0`` a week. ``size`` is a
    weight that says nothing of trends.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, shops))
    groups = np.array([0, *cohorts])
    index = np.array([np.zeros(shops), *(0.6 / (1 + i) * x[0] for i in range(len(cohorts)))])
    index[1:] -= 0.3 * x[1]
    chosen = (index + rng.gumbel(size=index.shape)).argmax(axis=0)
    begins, shop = np.repeat(groups[chosen], weeks), np.repeat(np.arange(shops), weeks)
    week = np.tile(np.arange(1, weeks + 1), shops)
    region = (shop * 7) % regions
    since = week - begins
    gain = np.where((begins > 0) & (since >= 0), 1 + 0.5 * since, 0.0)
    y = rng.normal(size=shops)[shop] + (0.3 + 0.4 * x[0][shop]) * week + gain
    y += shared * rng.normal(size=(regions, weeks))[region, week - 1] + rng.normal(size=len(shop))
    size = rng.uniform(0.5, 2.0, shops)[shop]
    return pa.table(
        {
            "shop": shop, "region": region, "week": week, "begins": begins, "y": y, "x_0": x[0][shop], "x_1": x[1][shop],
            "size": size,
        }
    )  # fmt: skip


def true_effect(population: str, effect: float = 1.0) -> float:
    """The effect on ``units treated from g on, in t``."""
    begins, period = (int(part) for part in re.findall(r"\d+", population))
    return effect * (1 + 0.5 * (period - begins)) if period >= begins else 0.0
