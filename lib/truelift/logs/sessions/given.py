"""Given session ids that break the rules of a session, where they are respected all the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.arrays.texts import encode
from truelift.arrays.times import MICROSECONDS, microseconds
from truelift.logs.sessions.boundaries import sort_and_find_gaps
from truelift.settings import SessionOptions

GIVEN_SCHEMA = pa.schema(
    [
        ("source_session", pa.string()),
        ("users", pa.int32()),
        ("over_timeout", pa.int32()),
    ]
)
GIVEN_DDL = "source_session string, users int, over_timeout int"


@dataclass(frozen=True)
class GivenSessionsKernel:
    """Row kernel: one row a given id of the bucket.

    ``users`` counts the bucket's users with that id (a user lies in one bucket, so these add
    up over buckets), ``over_timeout`` those of them whose events of that id have a gap
    greater than the timeout.
    """

    options: SessionOptions

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        events = tables["events"]
        events = events.filter(events["source_session"].is_valid())
        users, given = encode(events["user_key"]), encode(events["source_session"])
        time = microseconds(events["event_time"])
        pair = given.codes * np.int64(max(users.size, 1)) + users.codes
        order, jumps = sort_and_find_gaps(pair, time, self.options.timeout_seconds * MICROSECONDS)
        pair = pair[order]
        first = np.ones(len(pair), dtype=bool)
        first[1:] = pair[1:] != pair[:-1]
        starts = np.flatnonzero(first)
        owner = pair[starts] // max(users.size, 1)
        broken = np.add.reduceat(jumps & ~first, starts) > 0 if len(starts) else first
        return pa.table(
            {
                "source_session": given.values.cast(pa.string()),
                "users": pa.array(np.bincount(owner, minlength=given.size), pa.int32()),
                "over_timeout": pa.array(
                    np.bincount(owner[broken], minlength=given.size), pa.int32()
                ),
            },
            schema=GIVEN_SCHEMA,
        )


def summarise_given(tables: Iterable[pa.Table]) -> dict[str, int]:
    """Figures from the rows of all buckets.

    Returns
    -------
    dict of str to int
        ``given_sessions`` ((user, id) pairs), ``given_over_timeout`` (those with a gap greater
        than the timeout) and ``given_shared`` (ids of more than one user).
    """
    held = [table for table in tables if table.num_rows]
    if not held:
        return {"given_sessions": 0, "given_over_timeout": 0, "given_shared": 0}
    total = pa.concat_tables(held).group_by("source_session")
    total = total.aggregate([("users", "sum"), ("over_timeout", "sum")])
    users = total["users_sum"].to_numpy()
    return {
        "given_sessions": int(users.sum()),
        "given_over_timeout": int(total["over_timeout_sum"].to_numpy().sum()),
        "given_shared": int((users > 1).sum()),
    }
