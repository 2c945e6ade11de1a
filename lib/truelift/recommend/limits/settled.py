"""Lists of all users that keep to limits which they share: rounds of asking, until nobody asks for what is not there.

Each round makes the lists of every user from what the queues leave him, adds up what they take, and moves the ends of
queues of what was asked for too often; who stood behind makes his list anew from what is left. Ends only come nearer, so
it ends (deferred acceptance by cutoffs: Gale & Shapley 1962; Azevedo & Leshno, JPE 2016). All sums are of whole numbers and
all places are hashes, so no partitioning changes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from truelift.recommend.limits.limits import MICRO, Cutoffs, Limits
from truelift.recommend.results import LimitKept

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: Rounds after which what is still asked for too often is taken off lists, and its places stay empty.
ROUNDS = 16
_STEP = 16


class Asked(Protocol):
    """Lists that were made, and what they take."""

    def taken(self) -> Mapping[int, tuple[int, int]]:
        """By item index: how many lists hold it, and what that costs in whole parts."""

    def ends_of_stock(self, units: Mapping[int, int]) -> Mapping[int, int]:
        """The end of the queue for each of these items, of so many units."""

    def end_of_budget(self, units: int) -> int:
        """The end of the queue for the budget."""

    def close(self) -> None:
        """Forget them."""


@dataclass(frozen=True, eq=False)
class Settled:
    """Lists that keep to the limits.

    Parameters
    ----------
    cutoffs : Cutoffs
        With which they were made.
    after : Cutoffs, optional
        Beyond which items were taken off again, where rounds ran out.
    lists : Asked
    rounds : int
    """

    cutoffs: Cutoffs
    after: Cutoffs | None
    lists: Asked
    rounds: int


def settled(
    limits: Limits, made: Callable[[Cutoffs, Cutoffs | None], Asked], rounds: int = ROUNDS
) -> Settled:
    """Ask until nothing is asked for too often."""
    cutoffs = Cutoffs.open(limits)
    for number in range(1, rounds + 1):
        asked = made(cutoffs, None)
        nearer = _nearer(limits, cutoffs, asked)
        if nearer is None:
            return Settled(cutoffs, None, asked, number)
        asked.close()
        if number == rounds:
            break
        cutoffs = nearer
    return Settled(cutoffs, nearer, made(cutoffs, nearer), rounds)


def _nearer(limits: Limits, cutoffs: Cutoffs, asked: Asked) -> Cutoffs | None:
    taken = asked.taken()
    over = {
        item: int(limits.stock[item])
        for item, (lists, _) in taken.items()
        if 0 <= limits.stock[item] < lists
    }
    spent, units = sum(cost for _, cost in taken.values()), limits.units
    dear = units is not None and spent > units
    if not over and not dear:
        return None
    # One after the other: an end of the budget's queue among lists that stock then changes would come too near.
    if over:
        return cutoffs.tightened(asked.ends_of_stock(over), None)
    return cutoffs.tightened({}, asked.end_of_budget(units or 0))


def kept(
    limits: Limits, taken: Mapping[int, tuple[int, int]], item_keys: tuple[str, ...]
) -> tuple[LimitKept, ...]:
    """What of each limit the lists use, from how often each item stands on one."""
    found, lists = [], sum(times for times, _ in taken.values())
    if limits.budget is not None:
        spent = sum(cost for _, cost in taken.values()) / MICRO
        found.append(LimitKept("budget", spent, limits.budget, "most"))
    limited = np.flatnonzero(limits.stock >= 0)
    if len(limited):
        used = {int(item): taken.get(int(item), (0, 0))[0] for item in limited}
        gone = sorted((i for i in used if used[i] == limits.stock[i] > 0), key=lambda i: -used[i])
        names = ", ".join(item_keys[i - 1] for i in gone[:3]) + (", .." if len(gone) > 3 else "")
        said = f"stock of {len(limited):,} items; {len(gone):,} used up" + (
            f" ({names})" if gone else ""
        )
        whole = float(sum(used.values())), float(limits.stock[limited].sum())
        found.append(LimitKept(said, *whole, "most"))
    for number, (name, floor) in enumerate(zip(limits.names, limits.floors, strict=True), start=1):
        own = sum(times for item, (times, _) in taken.items() if limits.provider[item] == number)
        found.append(LimitKept(f"share of {name}", own / max(lists, 1), float(floor), "least"))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class SparkAsked:
    """Lists as rows of a DataFrame, made once and kept on disk.

    Parameters
    ----------
    rows : DataFrame
        :data:`~truelift.recommend.by_effect.QUEUED`.
    """

    rows: DataFrame

    @classmethod
    def of(cls, rows: DataFrame) -> SparkAsked:
        """Rows that are made when they are first asked for, and not again."""
        from pyspark.storagelevel import StorageLevel

        return cls(rows.persist(StorageLevel.DISK_ONLY))

    def taken(self) -> Mapping[int, tuple[int, int]]:
        """Sums by item."""
        from pyspark.sql import functions as F

        sums = self.rows.groupBy("item_index").agg(
            F.count("*").alias("lists"), F.max("cost").alias("cost")
        )
        return {r["item_index"]: (r["lists"], r["lists"] * r["cost"]) for r in sums.collect()}

    def ends_of_stock(self, units: Mapping[int, int]) -> Mapping[int, int]:
        """The place after the last that gets a unit, item by item."""
        from pyspark.sql import Window
        from pyspark.sql import functions as F

        own = self.rows.sparkSession.createDataFrame(
            list(units.items()), "item_index int, units long"
        )
        line = Window.partitionBy("item_index").orderBy("stock_queue")
        numbered = self.rows.select("item_index", "stock_queue").join(
            F.broadcast(own), "item_index"
        )
        first = numbered.withColumn("place", F.row_number().over(line)).where("place = units + 1")
        return {r["item_index"]: r["stock_queue"] for r in first.collect()}

    def end_of_budget(self, units: int) -> int:
        """The first place that the budget does not reach, found by parts of its bits: no sort, no row here."""
        from pyspark.sql import functions as F

        place, left, prefix = F.col("budget_queue"), units, 0
        rows = self.rows.where("cost > 0").select("budget_queue", "cost")
        for step in range(64 // _STEP):
            shift = 64 - _STEP * (step + 1)
            own = (
                rows
                if not step
                else rows.where(F.shiftright(place, shift + _STEP) == F.lit(prefix))
            )
            sums = own.groupBy(F.shiftright(place, shift).alias("part")).agg(
                F.sum(F.col("cost").cast("decimal(38,0)")).alias("cost")
            )
            for row in sorted(sums.collect(), key=lambda r: r["part"]):
                if row["cost"] > left:
                    prefix = row["part"]
                    break
                left -= row["cost"]
        return int(prefix)

    def close(self) -> None:
        """Free the disk."""
        self.rows.unpersist()
