"""The traffic in memory, for tests: the same rows as the files', without Spark."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from truelift.simulate.traffic.block import traffic_block
from truelift.simulate.traffic.plan import TrafficPlan
from truelift.simulate.traffic.text import EVENT_COLUMNS, TRUTH_SCHEMA
from truelift.simulate.traffic.world import TrafficWorld

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class SimulatedTraffic:
    """Raw events and what is true of them, row by row.

    Parameters
    ----------
    events : pa.Table
        As the shop would hand them over: text, null where empty.
    truth : pa.Table
        Of the same rows in the same order: ``row, true_user, true_session`` (null for rows to
        reject), ``dirt, is_bot, bot``.
    plan : TrafficPlan
    """

    events: pa.Table
    truth: pa.Table
    plan: TrafficPlan

    @property
    def clean_rows(self) -> int:
        """Rows that should pass cleaning, labelled or not."""
        return self.truth.num_rows - self.truth["true_session"].null_count

    @property
    def dirt(self) -> dict[str, int]:
        """Rows of each kind of dirt."""
        return _counted(self.truth["dirt"])

    @property
    def bots(self) -> dict[str, int]:
        """Rows of each kind of bot."""
        return _counted(self.truth["bot"])

    @property
    def sessions(self) -> int:
        """True sessions of people and bots."""
        kept = self.truth.filter(pc.is_valid(self.truth["true_session"]))
        return int(kept.group_by(["true_user", "true_session"]).aggregate([]).num_rows)

    def to_pandas(self) -> pd.DataFrame:
        """Events and truth side by side."""
        columns = [*self.events.columns, *self.truth.columns]
        names = [*self.events.column_names, *self.truth.column_names]
        return pa.table(columns, names=names).to_pandas()

    def __repr__(self) -> str:
        return (
            f"SimulatedTraffic({self.events.num_rows:,} rows, {self.clean_rows:,} clean, "
            f"{sum(self.bots.values()):,} of bots, {self.sessions:,} sessions, "
            f"seed {self.plan.seed})"
        )


def simulate_traffic(
    rows: int, world: TrafficWorld | None = None, seed: int = 7
) -> SimulatedTraffic:
    """Draw the logs of a web shop.

    Lines that are broken (``corrupt_row``) have no place in a table and are left out; all
    other rows are those that ``truelift simulate_logs`` writes.

    Parameters
    ----------
    rows : int
        At least 2,000; a million take about 400 MB.
    world : TrafficWorld, optional
    seed : int
        Same seed, same rows.
    """
    plan = TrafficPlan(rows, world or TrafficWorld(), seed)
    table = pa.concat_tables([traffic_block(plan, block) for block in range(plan.blocks)])
    table = without_broken(table)
    return SimulatedTraffic(
        events=table.select(list(EVENT_COLUMNS)), truth=table.select(TRUTH_SCHEMA.names), plan=plan
    )


def without_broken(table: pa.Table) -> pa.Table:
    """The rows of a block that a table can hold."""
    return table.filter(pc.fill_null(pc.not_equal(table["dirt"], "corrupt_row"), True))


def _counted(names: pa.ChunkedArray) -> dict[str, int]:
    counts = Counter(name for name in names.to_pylist() if name is not None)
    return dict(sorted(counts.items()))
