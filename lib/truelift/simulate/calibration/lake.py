"""A lake's marginals: a pass over buckets of users, and purchases by item, both by groups of users."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.texts import whole
from truelift.errors import NotSupportedError
from truelift.lake.kernels import added_in_groups
from truelift.lake.states import State, pack_state, unpack_state
from truelift.recommend.shown.rows import EVENTS, EXPOSURES, Outcome, Shelf, list_rows_of
from truelift.recommend.shown.sums import STATE
from truelift.simulate.calibration.marginals import MOST_GAP, Marginals, visit_counts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from truelift.job import Job

#: Tables that are read where they are there.
READS = ("silver.events", "gold.exposures")
#: Groups of users of which resamples are made.
GROUPS = 20
_MOST_ITEMS = 100_000
_DAY = 86_400_000


@dataclass(frozen=True)
class Span:
    """The log's rounds: milliseconds of one, the first and the last by number."""

    milliseconds: int
    first: int
    last: int

    @property
    def rounds(self) -> int:
        """How many there are."""
        return self.last - self.first + 1

    @property
    def cap(self) -> int:
        """Rounds that a gap is followed: half of the log at most."""
        return max(min(MOST_GAP, (self.rounds - 1) // 2), 1)


@dataclass(frozen=True, eq=False)
class VisitKernel:
    """Counts of a bucket's visits, and of its lists' slots where there are lists."""

    span: Span
    outcome: Outcome
    shelf: Shelf | None

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        """One row: the bucket's state."""
        events = tables["events"]
        state = visit_state(events, self.span, self.outcome)
        if self.shelf is not None:
            rows = list_rows_of(self.shelf, self.outcome, tables["exposures"], events)
            slots = self.shelf.slots
            state["shown"] = np.bincount(rows.slot, minlength=slots).astype(float)
            state["clicked"] = np.bincount(rows.slot, rows.clicked, slots)
        return pa.table({"bucket": pa.array([bucket], pa.int32()), "state": [pack_state(state)]})


def visit_state(events: pa.Table, span: Span, outcome: Outcome) -> State:
    """Counts of visits, from a bucket's rows of ``silver.events``."""
    micros = events["event_time"].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
    user = whole(events["user_key"]).dictionary_encode().indices.to_numpy()
    bought = pc.equal(events["event_type"], outcome.purchase).fill_null(False)
    item = pc.fill_null(whole(events["item_id"]).dictionary_encode().indices, -1).to_numpy()
    item = np.where(bought.to_numpy(zero_copy_only=False), item, -1)
    moment = micros // 1000 // span.milliseconds - span.first
    return visit_counts(user, moment, item, span.rounds - 1, span.cap)


def lake_marginals(job: Job, round_days: float) -> tuple[list[Marginals], Span]:
    """A lake's marginals by groups of users, and its rounds.

    Parameters
    ----------
    job : Job
        ``recommend.effects`` says which types of events are purchases and clicks, and for how long after
        a list a click is its click.
    round_days : float
        How long a round of the world is.

    Raises
    ------
    NotSupportedError
        If the lake has no events.
    """
    if not job.has("silver.events"):
        raise NotSupportedError(
            "calibrate_world: the lake has no events (silver.events). Run the pipeline up to sessionize first."
        )
    options = job.settings.recommend.effects
    outcome = Outcome(options.purchase, options.click, options.window_seconds)
    events = job.read("silver.events")
    span = _span(events, round_days)
    shelf = _shelf(job)
    plans = {"events": job.plan("silver.events", (*EVENTS, "bucket"))}
    if shelf is not None:
        plans["exposures"] = job.plan("gold.exposures", (*EXPOSURES, "bucket"))
    job.progress.update("visits and lists")
    frame = job.lake.map_buckets(VisitKernel(span, outcome, shelf), plans, STATE)
    states = {
        row.bucket: unpack_state(bytes(row.state))
        for row in added_in_groups(frame, GROUPS).collect()
    }
    job.progress.update("purchases by item")
    sold = _sold(events, outcome.purchase)
    none = np.zeros(0)
    groups = [
        Marginals(
            s["baskets"], s["gaps"], s["buyers_gaps"], sold[:, group], s.get("shown", none),
            s.get("clicked", none),
        )
        for group, s in sorted(states.items())
    ]  # fmt: skip
    return groups, span


def _span(events: DataFrame, round_days: float) -> Span:
    from pyspark.sql import functions as F

    milliseconds = max(round(round_days * _DAY), 1)
    found = events.agg(
        F.unix_millis(F.min("event_time")).alias("first"),
        F.unix_millis(F.max("event_time")).alias("last"),
    ).collect()[0]
    if found["first"] is None:
        raise NotSupportedError("calibrate_world: silver.events has no rows. Expected some.")
    return Span(milliseconds, found["first"] // milliseconds, found["last"] // milliseconds)


def _shelf(job: Job) -> Shelf | None:
    """Items that were on lists; None where the lake has no lists of items."""
    from pyspark.sql import functions as F

    if not job.has("gold.exposures"):
        return None
    rows = job.read("gold.exposures").where("list_id IS NOT NULL")
    slots = rows.agg(F.min("slot").alias("first"), F.max("slot").alias("last")).collect()[0]
    if slots["first"] is None:
        return None
    # Which items are most on lists does not matter here; those beyond the limit count as never clicked.
    shown = rows.groupBy("item_key").count().orderBy(F.desc("count"), "item_key")
    keys = tuple(r["item_key"] for r in shown.limit(_MOST_ITEMS).collect())
    category, cells = np.zeros(len(keys) + 1, np.int64), ((None, None),)
    length = int(slots["last"] - slots["first"]) + 1
    return Shelf(keys, category, cells, np.array([-1]), length, int(slots["first"]))


def _sold(events: DataFrame, purchase: str) -> np.ndarray:
    """Purchases of the items that are bought most, by groups of users (items x groups)."""
    from pyspark.sql import functions as F

    group = F.col("bucket") % GROUPS
    counts = [F.sum((group == g).cast("long")).alias(f"g{g}") for g in range(GROUPS)]
    total = reduce(lambda a, b: a + b, (F.col(f"g{g}") for g in range(GROUPS)))
    rows = (
        events.where((F.col("event_type") == purchase) & F.col("item_id").isNotNull())
        .groupBy("item_id")
        .agg(*counts)
        .orderBy(total.desc(), "item_id")
        .limit(_MOST_ITEMS)
        .toArrow()
    )
    return np.column_stack([rows[f"g{g}"].to_numpy() for g in range(GROUPS)]).astype(float)
