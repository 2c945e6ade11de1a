"""The items that models know, by their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truelift.errors import DataError

if TYPE_CHECKING:
    from truelift.job import Job


def vocabulary(job: Job) -> tuple[str, ...]:
    """Keys of the items by index; ``gold.items`` has one row a kind of item.

    Raises
    ------
    DataError
        If the indices are not 1, 2, .. without a gap.
    """
    rows = job.read("gold.items").select("item_index", "item_key").collect()
    keys = {int(row.item_index): str(row.item_key) for row in rows}
    if not keys or sorted(keys) != list(range(1, len(keys) + 1)) or len(rows) != len(keys):
        raise DataError(
            f"gold.items: found {len(rows)} rows with item_index up to {max(keys, default=0)}, "
            "expected the numbers 1, 2, .. once each; build the features again (or lower "
            "features.min_item_count where no item is frequent enough)."
        )
    return tuple(keys[i] for i in range(1, len(keys) + 1))
