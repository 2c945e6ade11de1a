"""Counts of one bucket: user profiles, and how often each item and category occurs.

A user lives in one bucket only, so counts of distinct users simply add up over buckets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.arrays.texts import sorted_codes
from truelift.features.catalogue import LookupSource, keys_of_items
from truelift.features.sequences import with_bucket
from truelift.features.timelines import BucketEvents, segment_counts, segment_sums, session_timeline
from truelift.lake.tables import table_spec

_INSTANT = pa.timestamp("us", tz="UTC")
_USERS = table_spec("gold.users").arrow
# What the kernel makes; the attributes are joined to it.
PROFILE_SCHEMA = _USERS.remove(_USERS.get_field_index("attributes"))


def build_profiles(events: BucketEvents, sessions: pa.Table) -> pa.Table:
    """One row a user: first and last event, counts, and the total value."""
    offsets = events.timeline.offsets
    low, high = offsets[:-1], offsets[1:]
    return pa.table(
        {
            "user_key": events.users,
            "first_time": pa.array(events.time[low], _INSTANT),
            "last_time": pa.array(events.time[high - 1], _INSTANT),
            "events": high - low,
            "sessions": np.diff(session_timeline(sessions, events.users).offsets),
            "value": segment_sums(events.value, low, high),
            "distinct_items": segment_counts(events.first_of_item(), low, high),
        }
    )


@dataclass(frozen=True)
class ProfileKernel:
    """``build_profiles`` on the tables of a bucket (``events``, ``sessions``)."""

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        events = BucketEvents.of(tables["events"])
        return with_bucket(build_profiles(events, tables["sessions"]), bucket)


ITEM_COUNT_SCHEMA = pa.schema(
    [("item_key", pa.string()), ("events", pa.int64()), ("users", pa.int64())]
)


def count_items(events: BucketEvents, keys: pa.Array) -> pa.Table:
    """Events and distinct users of each item key; ``keys`` names ``events.items``.

    Items without a key (null) are counted under a null key.
    """
    distinct, code = sorted_codes(keys)
    # Row of the null key: the last. Events without any item belong to it too.
    place = np.where(code < 0, len(distinct), code)
    key = np.append(place, len(distinct))[events.item]
    pairs = np.unique(events.user * (len(distinct) + 1) + key)
    return pa.table(
        {
            "item_key": pa.concat_arrays([distinct, pa.nulls(1, pa.string())]),
            "events": np.bincount(key, minlength=len(distinct) + 1),
            "users": np.bincount(pairs % (len(distinct) + 1), minlength=len(distinct) + 1),
        }
    )


@dataclass(frozen=True)
class ItemCountKernel:
    """``count_items`` on a bucket's ``events``."""

    catalogue: LookupSource | None

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        events = BucketEvents.of(tables["events"])
        keys = keys_of_items(events.items, self.catalogue.load() if self.catalogue else None)
        return count_items(events, keys)
