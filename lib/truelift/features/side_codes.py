"""The codes of side features in the lake, for a model's package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from truelift.errors import DataError
from truelift.models.sequence.sides import SideCodes

if TYPE_CHECKING:
    from truelift.job import Job

TABLE = "gold.vocabularies"


def side_codes(job: Job, features: Sequence[str]) -> SideCodes:
    """Codes of event types and item categories, as far as the features need them.

    Raises
    ------
    DataError
        If the lake has no event types and a model is to read them.
    """
    types: tuple[str, ...] = ()
    categories = None
    if "event_type" in features:
        if not job.has(TABLE):
            raise DataError(
                f"{TABLE}: expected the event types for sequence.histories.side_features; build the "
                "features again."
            )
        rows = job.read(TABLE).where("kind = 'event_type'").orderBy("code").collect()
        types = tuple(str(row.name) for row in rows)
    if "category" in features:
        found = job.read("gold.items").select("item_index", "category_index").toArrow()
        index = found.column("item_index").to_numpy()
        categories = np.zeros(int(index.max(initial=0)) + 1, dtype=np.int32)
        categories[index] = found.column("category_index").fill_null(0).to_numpy()
    return SideCodes(types, categories)
