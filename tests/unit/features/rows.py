"""Small tables as the kernels get them, written as literals; times are days since epoch."""

from __future__ import annotations

import pyarrow as pa

DAY = 86_400_000_000
INSTANT = pa.timestamp("us", tz="UTC")


def event_rows(*rows: tuple) -> pa.Table:
    """``(user, day, item, value)`` each."""
    users, days, items, values = zip(*rows, strict=True) if rows else ((), (), (), ())
    return pa.table(
        {
            "user_key": pa.array(users, pa.string()),
            "event_time": pa.array([round(d * DAY) for d in days], INSTANT),
            "item_id": pa.array(items, pa.string()),
            "value": pa.array(values, pa.float64()),
        }
    )


def session_rows(*rows: tuple) -> pa.Table:
    """``(user, day of start)`` each."""
    users, days = zip(*rows, strict=True) if rows else ((), ())
    return pa.table(
        {
            "user_key": pa.array(users, pa.string()),
            "start": pa.array([round(d * DAY) for d in days], INSTANT),
        }
    )


def sessions_by_gap(events: pa.Table, gap: int = 1800 * 1_000_000) -> pa.Table:
    """Session starts by the plain rule: a gap greater than the timeout starts a session."""
    starts = []
    last: dict[str, int] = {}
    rows = zip(
        events["user_key"].to_pylist(), events["event_time"].cast(pa.int64()).to_pylist(),
        strict=True,
    )  # fmt: skip
    for user, time in sorted(rows):
        if user not in last or time - last[user] > gap:
            starts.append((user, time))
        last[user] = time
    return pa.table(
        {
            "user_key": pa.array([u for u, _ in starts], pa.string()),
            "start": pa.array([t for _, t in starts], INSTANT),
        }
    )


def exposure_table(*rows: tuple) -> pa.Table:
    """``(user, campaign, start day, end day, [response days])`` each; the end is exclusive."""
    users, names, starts, ends, answers = zip(*rows, strict=True) if rows else ((),) * 5
    return pa.table(
        {
            "user_key": pa.array(users, pa.string()),
            "campaign": pa.array(names, pa.string()),
            "start": pa.array([round(d * DAY) for d in starts], INSTANT),
            "end": pa.array([round(d * DAY) for d in ends], INSTANT),
            "responses": pa.array(
                [[round(d * DAY) for d in each] for each in answers], pa.list_(pa.int64())
            ),
        }
    )


def user_rows(attributes: dict[str, dict[str, str]]) -> pa.Table:
    """User to attributes."""
    return pa.table(
        {
            "user_key": pa.array(list(attributes), pa.string()),
            "attributes": pa.array(
                [list(a.items()) for a in attributes.values()], pa.map_(pa.string(), pa.string())
            ),
        }
    )


def catalogue_rows(*rows: tuple) -> pa.Table:
    """``(item_id, item_key, category)`` each."""
    ids, keys, categories = zip(*rows, strict=True)
    return pa.table(
        {
            "item_id": pa.array(ids, pa.string()),
            "item_key": pa.array(keys, pa.string()),
            "name": pa.array(keys, pa.string()),
            "category": pa.array(categories, pa.string()),
        }
    )


def shuffled(table: pa.Table, order: list[int]) -> pa.Table:
    """The rows in another order, in several chunks."""
    taken = table.take(pa.array(order, pa.int64()))
    half = taken.num_rows // 2
    return pa.concat_tables([taken.slice(0, half), taken.slice(half)])
