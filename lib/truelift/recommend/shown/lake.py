"""Effects of being shown from a lake's tables: the shelf, two passes over buckets, one message where there are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truelift.errors import NotSupportedError
from truelift.lake.kernels import added_in_groups
from truelift.lake.states import State, add_states, unpack_state
from truelift.recommend.shown.effects import ShownEffects, effects_of_being_shown
from truelift.recommend.shown.rows import EVENTS, EXPOSURES, Outcome, Shelf
from truelift.recommend.shown.sums import (
    STATE,
    CountKernel,
    EvidenceKernel,
    HowMade,
    how_made,
)

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.lake.kernels import RowKernel

#: Groups of users that the clustered variance is taken over, and that halves are made of.
GROUPS = 20
_MOST_CELLS = 2_000
# Share of slots with several items beyond which lists are no single showings.
_MOST_DOUBLE = 0.05
_MOST_CHANCES = 20_000_000


@dataclass(frozen=True, eq=False)
class Learnt:
    """Effects by all users, and by either half of them: to choose lists by, and to judge the other's.

    Parameters
    ----------
    shelf : Shelf
    made : HowMade
    effects : ShownEffects
    halves, judges : tuple of ShownEffects
        Shrunken, to choose by; and not, to judge by.
    """

    shelf: Shelf
    made: HowMade
    effects: ShownEffects
    halves: tuple[ShownEffects, ShownEffects]
    judges: tuple[ShownEffects, ShownEffects]


def learnt(job: Job, item_keys: tuple[str, ...]) -> Learnt:
    """What the lake's lists say about every item.

    Raises
    ------
    NotSupportedError
        If the lake has no lists, or they cannot tell.
    """
    shelf = shelf_of(job, item_keys)
    options = job.settings.recommend.effects
    outcome = Outcome(options.purchase, options.click, options.window_seconds)
    job.progress.update("how lists were made")
    made = how_made(add_states(_states(job, CountKernel(shelf, outcome))))
    job.progress.update("what being shown changed")
    return learnt_from(shelf, made, _states(job, EvidenceKernel(shelf, outcome, made)))


def learnt_from(shelf: Shelf, made: HowMade, groups: Sequence[State]) -> Learnt:
    """Effects from the states of groups of users."""
    if len(groups) < 2:
        raise NotSupportedError(
            "gold.exposures: all users lie in one bucket, so no half of them can judge what the other "
            "chose. Expected several (buckets)."
        )
    whole = effects_of_being_shown(shelf, made, groups)
    first, second = (effects_of_being_shown(shelf, made, groups[h::2], half=True) for h in (0, 1))
    judges = [
        effects_of_being_shown(shelf, made, groups[h::2], shrink=False, half=True) for h in (0, 1)
    ]
    return Learnt(shelf, made, whole, (first, second), (judges[0], judges[1]))


def shelf_of(job: Job, item_keys: tuple[str, ...]) -> Shelf:
    """Items, their categories, and the contexts of lists.

    Raises
    ------
    NotSupportedError
        If the lake has no lists of items, or there are too many contexts.
    """
    from pyspark.sql import functions as F

    how = (
        "Map source.exposures with list, time, item, slot and propensity (docs/loop.md), or rank by "
        "relevance."
    )
    if not job.has("gold.exposures"):
        raise NotSupportedError(f"recommend.by: the lake has no exposures (gold.exposures). {how}")
    if not job.has("silver.events"):
        raise NotSupportedError(f"recommend.by: the lake has no events (silver.events). {how}")
    if "list_id" not in job.plan("gold.exposures").columns:
        raise NotSupportedError(
            "gold.exposures: found a table of an older version without lists. Run build_features. "
            + how
        )
    rows = job.read("gold.exposures").where("list_id IS NOT NULL")
    found = rows.agg(F.min("slot").alias("first"), F.max("slot").alias("last")).collect()[0]
    if found["first"] is None:
        raise NotSupportedError(
            "gold.exposures: found campaigns, and no items on lists, so nothing is known of what showing "
            f"an item changes. {how}"
        )
    slots_twice = (
        rows.groupBy("user_key", "list_id", "slot")
        .count()
        .agg(F.avg((F.col("count") > 1).cast("double")))
        .collect()[0][0]
    )
    if slots_twice > _MOST_DOUBLE:
        raise NotSupportedError(
            f"gold.exposures: in {slots_twice:.0%} of the slots of a user's lists there are several items, so a "
            "list_id is not one showing of a list. Map source.exposures.columns.list to what is new each time."
        )
    cells = sorted(
        (
            (r["context"], r["segment"])
            for r in rows.select("context", "segment").distinct().limit(_MOST_CELLS + 1).collect()
        ),
        key=lambda cell: tuple(part or "" for part in cell),
    )
    slots = int(found["last"] - found["first"]) + 1
    if len(cells) > _MOST_CELLS or len(cells) * slots * (len(item_keys) + 1) > _MOST_CHANCES:
        raise NotSupportedError(
            f"gold.exposures: found {_many(len(cells))} contexts, {slots} slots and {len(item_keys):,} items, more "
            "than can be told apart. Map coarser columns to source.exposures.columns.context and segment."
        )
    items = {r["item_key"]: r for r in job.read("gold.items").collect()}
    names = sorted({r["category"] for r in items.values() if r["category"] is not None})
    code = {name: number for number, name in enumerate(names, start=1)}
    category = np.array([0, *(code.get(items[key]["category"], 0) for key in item_keys)])
    named = np.array([code.get(context or "", -1) for context, _ in cells])
    return Shelf(item_keys, category, tuple(cells), named, slots, int(found["first"]))


def _many(count: int) -> str:
    return f"more than {_MOST_CELLS:,}" if count > _MOST_CELLS else f"{count:,}"


def _states(job: Job, kernel: RowKernel) -> list[State]:
    """A state a group of users: the driver never holds those of all buckets."""
    plans = {
        "exposures": job.plan("gold.exposures", (*EXPOSURES, "bucket")),
        "events": job.plan("silver.events", (*EVENTS, "bucket")),
    }
    rows = added_in_groups(job.lake.map_buckets(kernel, plans, STATE), GROUPS).collect()
    return [unpack_state(bytes(row.state)) for row in sorted(rows, key=lambda r: r.bucket)]


def mean_prices(job: Job, item_keys: tuple[str, ...]) -> np.ndarray:
    """What a purchase of each item was worth on average, by index; 0 where none was seen."""
    from pyspark.sql import functions as F

    options = job.settings.recommend.effects
    rows = (
        job.read("silver.events")
        .where(F.col("event_type") == options.purchase)
        .groupBy("item_id")
        .agg(F.avg("value").alias("price"))
    )
    price = {r["item_id"]: r["price"] for r in rows.collect()}
    return np.array([0.0, *(price.get(key) or 0.0 for key in item_keys)])
