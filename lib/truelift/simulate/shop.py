"""A small catalogue and the visits to it."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pyarrow as pa

CATEGORIES = ("garden", "kitchen", "music", "paper", "sport", "tea")


class Shop:
    """A catalogue, and visits to it: an item is often followed by its neighbour."""

    def __init__(self, random: np.random.Generator, items: int, start: datetime.datetime):
        self._random = random
        self._start = start
        self._items = items
        self._price = np.round(random.gamma(2.0, 5.0, items) + 0.5, 2)

    def visit(self, day: int, taste: int) -> list[dict[str, Any]]:
        """Events of one visit; ``at`` is UTC without a zone."""
        moment = self._start + datetime.timedelta(
            days=day, seconds=float(self._random.uniform(8 * 3600, 20 * 3600))
        )
        item = self._favourite(taste)
        events = []
        for _ in range(1 + min(int(self._random.poisson(3.0)), 9)):
            bought = self._random.random() < 0.5
            quantity = int(self._random.integers(1, 4)) if bought else 0
            events.append(
                {
                    "product": f"s{item:03d}",
                    "at": moment,
                    "action": "purchase" if bought else "view",
                    "qty": quantity,
                    "amount": round(quantity * float(self._price[item]), 2),
                }
            )
            moment += datetime.timedelta(seconds=float(self._random.uniform(5, 600)))
            follows = self._random.random() < 0.6
            item = (item + 1) % self._items if follows else self._favourite(taste)
        return events

    def _favourite(self, taste: int) -> int:
        """Mostly of the user's own category (items of a category are neighbours)."""
        size = self._items // len(CATEGORIES)
        if self._random.random() < 0.7:
            return int(taste * size + self._random.integers(size))
        return int(self._random.integers(self._items))

    def catalogue(self) -> pa.Table:
        """The items as the shop lists them: ``sku, title, section``."""
        size = self._items // len(CATEGORIES)
        category = [min(n // size, len(CATEGORIES) - 1) for n in range(self._items)]
        return pa.table(
            {
                "sku": [f"s{n:03d}" for n in range(self._items)],
                "title": [f"{CATEGORIES[c]} no. {n}" for n, c in enumerate(category)],
                "section": [CATEGORIES[c] for c in category],
            }
        )
