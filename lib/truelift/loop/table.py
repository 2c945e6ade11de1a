"""The table of rounds: one row a strategy, world and round, and what each missed against others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from truelift.lake.tables import table_spec

Row = dict[str, Any]
TABLE = "gold.rounds"
#: Knows what no shop can know.
ORACLE = "oracle"
#: What of a round is no measure of it.
KEYS = ("world", "users", "seed", "strategy", "round")


def with_regrets(rows: Sequence[Row]) -> list[Row]:
    """Rows with what each strategy missed in its round, in additional purchases.

    ``regret_oracle`` is what the oracle brought in the same world and round, less one's own; none
    where the oracle was not run. ``regret_logged`` is the same against the best of the others, one's
    own included: the best policy of which there are logs, and so never below 0.
    """
    oracle: dict[tuple[int, int], float] = {}
    logged: dict[tuple[int, int], float] = {}
    for row in rows:
        at, brought = (row["seed"], row["round"]), row["additional_total"]
        if row["strategy"] == ORACLE:
            oracle[at] = brought
        else:
            logged[at] = max(brought, logged.get(at, brought))
    return [
        {
            **row,
            "regret_oracle": _less(oracle.get(at), row["additional_total"]),
            "regret_logged": _less(logged.get(at), row["additional_total"]),
        }
        for row in rows
        for at in [(row["seed"], row["round"])]
    ]


def columns_of(rows: Sequence[Row], world: str, users: int) -> dict[str, tuple[Any, ...]]:
    """Rows as columns of the table, with their regrets."""
    whole = [{**row, "world": world, "users": users} for row in with_regrets(rows)]
    return {name: tuple(row[name] for row in whole) for name in table_spec(TABLE).names}


def rounds_table(columns: Mapping[str, Sequence[Any]]) -> pa.Table:
    """Columns as Arrow's, with the types of ``gold.rounds``."""
    return pa.table(dict(columns), schema=table_spec(TABLE).arrow)


def _less(best: float | None, own: float) -> float | None:
    return None if best is None else best - own
