"""Rows of simulated traffic as plain values, for rules written out by brute force."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from truelift.simulate.traffic.block import traffic_block
from truelift.simulate.traffic.plan import TrafficPlan
from truelift.simulate.traffic.world import TrafficWorld

Row = dict[str, Any]


def drawn_rows(rows: int, world: TrafficWorld | None = None, seed: int = 5) -> list[Row]:
    """All rows of a traffic, with ``at`` and ``arrived`` as instants where they can be read."""
    plan = TrafficPlan(rows, world or TrafficWorld(), seed)
    table = pa.concat_tables([traffic_block(plan, block) for block in range(plan.blocks)])
    return [
        {**row, "at": instant(row["time"]), "arrived": instant(row["received"])}
        for row in table.to_pylist()
    ]


def instant(text: str | None) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromisoformat((text or "").replace("Z", "+00:00"))
    except ValueError:
        return None


def is_kept(row: Row) -> bool:
    return row["true_session"] is not None


@dataclass
class UserRows:
    """Rows of one user by what they are, each in order of time."""

    kept: list[Row] = field(default_factory=list)
    dirty: list[Row] = field(default_factory=list)


def by_user(rows: list[Row]) -> dict[str, UserRows]:
    users: dict[str, UserRows] = {}
    for row in rows:
        mine = users.setdefault(row["true_user"], UserRows())
        (mine.kept if is_kept(row) else mine.dirty).append(row)
    for mine in users.values():
        mine.kept.sort(key=lambda r: r["at"])
    return users
