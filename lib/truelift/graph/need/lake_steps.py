"""Steps of a lake: sessions, with the category that they were mostly about and what was shown before them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.texts import encode
from truelift.arrays.times import microseconds
from truelift.errors import DataError
from truelift.features.catalogue import ITEM_ID
from truelift.features.items import item_columns, lookup_of
from truelift.fingerprints import fingerprint_of
from truelift.graph.need.source import LakeSteps
from truelift.lake.copies import bucketed_copy, copy_place, discard_copies

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from truelift.job import Job

#: What a specification without a table is about.
SESSIONS = "silver.sessions"
OTHER = "other"
_CATEGORIES = 12
_SESSION = ("user_key", "start", "end", "events", "items", "value", "conversions", "converted", "is_bot")  # fmt: skip
_EVENT = ("user_key", "event_time", "item_id")
STEPS = pa.schema(
    [("user_key", pa.string()), ("start", pa.timestamp("us", "UTC")), ("category", pa.string()),
     ("events", pa.int32()), ("items", pa.int32()), ("value", pa.float64()), ("conversions", pa.int32()),
     ("converted", pa.bool_()), ("exposed", pa.int32()), ("bucket", pa.int32())]
)  # fmt: skip
_DDL = (
    "user_key string, start timestamp, category string, events int, items int, value double, conversions int, "
    "converted boolean, exposed int, bucket int"
)


@dataclass(frozen=True, eq=False)
class StepsKernel:
    """A row kernel: a step a session that no machine made.

    ``category`` is that of most of the session's events (one of the most frequent, or ``other``), ``exposed`` whether a campaign or a
    list of the user began after the start of the session before, and not after the start of this one.

    Parameters
    ----------
    category : mapping of str to str
        By item.
    """

    category: Mapping[str, str]

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        """Rows of one bucket."""
        sessions = tables["sessions"]
        sessions = sessions.filter(pc.invert(pc.fill_null(sessions["is_bot"], False)))
        if not sessions.num_rows:
            return STEPS.empty_table()
        events, shown = tables["events"], tables.get("exposures")
        keys = pa.concat_arrays(
            [
                c.cast(pa.string()).combine_chunks()
                for c in (sessions["user_key"], events["user_key"], *([shown["user_key"]] if shown else ()))
            ]
        )  # fmt: skip
        user = encode(keys).codes
        own, theirs = user[: sessions.num_rows], user[sessions.num_rows :]
        start = microseconds(sessions["start"])
        order = np.lexsort((start, own))
        own, start = own[order], start[order]
        of_events, of_shown = theirs[: events.num_rows], theirs[events.num_rows :]
        place = _session_of(own, start, of_events, microseconds(events["event_time"]))
        category = self._category(place, events["item_id"], len(own))
        exposed = np.zeros(len(own), np.int32)
        if shown is not None and shown.num_rows:
            after = _session_of(own, start, of_shown, microseconds(shown["start"]) - 1) + 1
            # The first session at or after the moment, if it is the same user's.
            first = np.searchsorted(own, of_shown)
            after = np.maximum(after, first)
            fits = (after < len(own)) & (own[np.minimum(after, len(own) - 1)] == of_shown)
            exposed[after[fits]] = 1
        taken = sessions.take(pa.array(order))
        columns = {
            **{n: taken[n] for n in ("user_key", "start", "events", "items", "value", "conversions", "converted")},
            "category": category, "exposed": pa.array(exposed),
            "bucket": pa.repeat(pa.scalar(bucket, pa.int32()), len(own)),
        }  # fmt: skip
        return pa.table([columns[f.name] for f in STEPS], STEPS.names).cast(STEPS)

    def _category(self, place: np.ndarray, items: pa.ChunkedArray, sessions: int) -> pa.Array:
        names = sorted({*self.category.values(), OTHER})
        code = {name: number for number, name in enumerate(names)}
        found = encode(items.cast(pa.string()))
        of_item = np.array(
            [code[self.category.get(item, OTHER)] for item in found.values.to_pylist()] + [-1]
        )
        own = of_item[found.codes]
        known = (place >= 0) & (own >= 0)
        cells = np.bincount(place[known] * len(names) + own[known], minlength=sessions * len(names))
        table = cells.reshape(sessions, len(names))
        return pa.array(names).take(pa.array(table.argmax(axis=1), mask=table.sum(axis=1) == 0))


def _session_of(
    own: np.ndarray, start: np.ndarray, user: np.ndarray, moment: np.ndarray
) -> np.ndarray:
    """The session of a user that began last before a moment or at it; -1: none."""
    place = np.lexsort((np.r_[np.zeros(len(own)), np.ones(len(user))], np.r_[start, moment], np.r_[own, user]))  # fmt: skip
    is_session = place < len(own)
    latest = np.maximum.accumulate(np.where(is_session, place, -1))
    # Sessions lie in order, so the largest number seen so far is the latest one, of this user or of one before.
    found = np.empty(len(user), np.int64)
    found[place[~is_session] - len(own)] = latest[~is_session]
    same = (found >= 0) & (own[np.maximum(found, 0)] == user)
    return np.where(same, found, -1)


def lake_steps(job: Job) -> LakeSteps:
    """The steps of a lake's sessions, from a copy by bucket in its ``work/``.

    Raises
    ------
    DataError
        If there are no sessions.
    """
    lake = job.lake
    names = ["silver.events", SESSIONS, "gold.items", "bronze.items", "gold.exposures"]
    versions = {n: v for n in names if (v := lake.version(n)) is not None}
    for name in (SESSIONS, "silver.events"):
        if name not in versions:
            raise DataError(
                f"The lake has no {name}. Run sessionize first, or name a table of steps with --table."
            )
    for name, version in versions.items():
        job.run.log_table(name, lake.uri(name), version, "input")
    category = _categories(job, versions)
    plans = {
        "sessions": lake.plan(SESSIONS, (*_SESSION, "bucket"), versions[SESSIONS]),
        "events": lake.plan("silver.events", (*_EVENT, "bucket"), versions["silver.events"]),
    }
    if "gold.exposures" in versions:
        columns = ("user_key", "start", "bucket")
        plans["exposures"] = lake.plan("gold.exposures", columns, versions["gold.exposures"])

    def rows() -> DataFrame:
        return lake.map_buckets(StepsKernel(category), plans, _DDL)

    held = f"needs-{fingerprint_of(versions=versions, categories=category)}"
    plan = bucketed_copy(copy_place(lake.root, held), rows, lake.buckets, SESSIONS)
    # Copies hold the keys of people: those of older versions are current no more.
    discard_copies(lake.root, "needs-", but=held)
    return LakeSteps(lake, plan, SESSIONS)


def _categories(job: Job, versions: Mapping[str, int]) -> dict[str, str]:
    """The most frequent categories, by the items that events name."""
    if "gold.items" not in versions:
        return {}
    items = job.lake.read("gold.items", versions["gold.items"])
    rows = items.where("category IS NOT NULL").select("item_key", "category", "events").collect()
    counted: dict[str, int] = {}
    for row in rows:
        counted[row["category"]] = counted.get(row["category"], 0) + int(row["events"] or 0)
    kept = set(sorted(counted, key=lambda name: (-counted[name], name))[:_CATEGORIES])
    of_key = {row["item_key"]: row["category"] for row in rows if row["category"] in kept}
    if job.settings.features.item_level == ITEM_ID or "bronze.items" not in versions:
        return of_key
    # Items of gold are of a coarser level than those of events.
    available = tuple(job.lake.plan("bronze.items", None, versions["bronze.items"]).columns)
    columns = item_columns(job.settings, available)
    plan = job.lake.plan("bronze.items", columns.used(), versions["bronze.items"])
    catalogue = lookup_of(job.lake, plan, columns).load()
    pairs = zip(catalogue["item_id"].to_pylist(), catalogue["item_key"].to_pylist(), strict=True)
    return {item: of_key[key] for item, key in pairs if key in of_key}
