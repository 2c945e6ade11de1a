"""What ``silver.sessions`` holds, in numbers: by date, in all, and whose.

Tasks count the sessions of each bucket from the table's files, so Spark has neither to read the
table's log nor its rows: it adds up what little is left.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.times import MICROSECONDS_PER_DAY, microseconds

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from truelift.lake import Lake, ScanPlan

# 2^12 registers: within 2% of any number of users, in 4 KB.
_SKETCH_BITS = 12
_READ = ("user_key", "start", "events", "is_open")
_COUNTED = "day string, sessions bigint, events bigint, open bigint, user_key string"


@dataclass(frozen=True)
class DayCounts:
    """Sessions that start on each date (UTC), and in all the events and the open ones.

    ``users`` is exact where rows were counted, and 0 where it is not known; ``user_sketch`` is what
    the users of two tables are united by.
    """

    per_day: Counter[str]
    events: int = 0
    open_sessions: int = 0
    user_sketch: bytes = b""
    users: int = 0

    def plus(self, other: DayCounts, sign: int = 1) -> DayCounts:
        """The sum, or with ``sign=-1`` the difference; the sketch of users stays."""
        per_day = Counter(self.per_day)
        for day, count in other.per_day.items():
            per_day[day] += sign * count
        return DayCounts(
            Counter({d: n for d, n in per_day.items() if n}),
            self.events + sign * other.events,
            self.open_sessions + sign * other.open_sessions,
            self.user_sketch,
        )


@dataclass(frozen=True)
class SessionCountKernel:
    """Row kernel: a row for each date of a bucket's sessions, and one for each of its users."""

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        (sessions,) = tables.values()
        start = microseconds(sessions["start"]) // MICROSECONDS_PER_DAY
        days, place = np.unique(start, return_inverse=True)
        users = pc.unique(sessions["user_key"])

        def counted(weights: pa.ChunkedArray | None = None) -> pa.Array:
            # Sums of whole numbers below 2^53 are exact in floating point.
            known = None if weights is None else weights.cast(pa.float64()).to_numpy()
            sums = np.bincount(place, known, len(days)).astype(np.int64)
            return pa.concat_arrays([pa.array(sums), pa.nulls(len(users), pa.int64())])

        names = pa.array(days.astype("datetime64[D]").astype(str).astype(object), pa.string())
        return pa.table(
            {
                "day": pa.concat_arrays([names, pa.nulls(len(users), pa.string())]),
                "sessions": counted(),
                "events": counted(sessions["events"]),
                "open": counted(sessions["is_open"].cast(pa.int8())),
                "user_key": pa.concat_arrays([pa.nulls(len(days), pa.string()), users]),
            }
        )


def session_counts(lake: Lake, sessions: ScanPlan) -> DayCounts:
    """Counts of the sessions of a plan."""
    plan = {"sessions": sessions.select(_READ)}
    return added_up(lake.map_buckets(SessionCountKernel(), plan, _COUNTED))


def added_up(rows: DataFrame) -> DayCounts:
    """The rows of :class:`SessionCountKernel`, of any number of buckets, as counts.

    A user is in one bucket alone, so the rows of users are as many as the users.
    """
    from pyspark.sql import functions as F

    sums = (F.sum(name).alias(name) for name in ("sessions", "events", "open"))
    sketch = F.hll_sketch_agg("user_key", F.lit(_SKETCH_BITS)).alias("sketch")
    found = rows.groupBy("day").agg(*sums, sketch, F.count("user_key").alias("users")).collect()
    days = [row for row in found if row["day"] is not None]
    of_users = [row for row in found if row["day"] is None]
    return DayCounts(
        Counter({row["day"]: row["sessions"] for row in days}),
        sum(row["events"] for row in days),
        sum(row["open"] for row in days),
        bytes(of_users[0]["sketch"]) if of_users else b"",
        of_users[0]["users"] if of_users else 0,
    )


def united_users(spark: SparkSession, held: bytes, made: bytes) -> tuple[bytes, int]:
    """The sketch of all users of two, and how many they are (within 2%, nearly exact for hundreds).

    A count would read the whole table after every increment.
    """
    frame = spark.createDataFrame([(bytearray(held), bytearray(made))], "a binary, b binary")
    row = frame.selectExpr(
        "hll_union(a, b) AS s", "hll_sketch_estimate(hll_union(a, b)) AS n"
    ).first()
    assert row is not None
    return bytes(row["s"]), int(row["n"])
