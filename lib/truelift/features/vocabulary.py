"""What models know by numbers: items, types of events and categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from truelift.errors import DataError
from truelift.features.items import lookup_of

if TYPE_CHECKING:
    from truelift.job import Job

MOST_EVENT_TYPES = 1000


def vocabulary(job: Job) -> tuple[str, ...]:
    """Keys of the items by index; ``gold.items`` has one row a kind of item.

    Raises
    ------
    DataError
        If the indices are not 1, 2, .. without a gap.
    """
    rows = lookup_of(job.lake, job.plan("gold.items", ("item_index", "item_key"))).load()
    keys = dict(zip(rows["item_index"].to_pylist(), rows["item_key"].to_pylist(), strict=True))
    if not keys or sorted(keys) != list(range(1, len(keys) + 1)) or rows.num_rows != len(keys):
        raise DataError(
            f"gold.items: found {rows.num_rows} rows with item_index up to {max(keys, default=0)}, "
            "expected the numbers 1, 2, .. once each; build the features again (or lower "
            "features.min_item_count where no item is frequent enough)."
        )
    return tuple(keys[i] for i in range(1, len(keys) + 1))


@dataclass(frozen=True)
class EventTypeKernel:
    """Row kernel: the types of a bucket's events; of more than are types of anything, some."""

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        (events,) = tables.values()
        found = sorted(pc.unique(events["event_type"].drop_null()).to_pylist())
        return pa.table({"event_type": pa.array(found[: MOST_EVENT_TYPES + 1], pa.string())})


def event_types(job: Job) -> tuple[str, ...]:
    """The types of ``silver.events`` by name.

    Raises
    ------
    DataError
        For more event types than are types of anything.
    """
    plan = job.plan("silver.events", ("event_type",))
    rows = job.lake.map_buckets(EventTypeKernel(), {"events": plan}, "event_type string")
    names = sorted({row["event_type"] for row in rows.collect()})
    if len(names) > MOST_EVENT_TYPES:
        raise DataError(
            f"silver.events: found more than {MOST_EVENT_TYPES:,} event types, expected a few; "
            "map them with clean.event_types, or map source.mapping.event_type to another column."
        )
    return tuple(names)


def coded_names(types: tuple[str, ...], items: pa.Table) -> list[tuple[str, int, str]]:
    """Rows of ``gold.vocabularies``: kind, code and name.

    Parameters
    ----------
    types : tuple of str
        Event types; the first has code 1.
    items : pa.Table
        ``category`` and ``category_index`` of the items; items of no category have code 0.
    """
    known = items.filter(pc.greater(items["category_index"], 0))
    pairs = known.group_by(["category_index", "category"]).aggregate([]).to_pylist()
    categories = sorted((pair["category_index"], pair["category"]) for pair in pairs)
    return [
        *(("event_type", code, name) for code, name in enumerate(types, start=1)),
        *(("category", code, name) for code, name in categories),
    ]
