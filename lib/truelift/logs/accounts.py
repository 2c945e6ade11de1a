"""What became of the rows: counts by reason and label, and the metrics that the contract asks for.

One small group by on the judged rows gives everything; that query is also what computes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from truelift.lake import bucket_column
from truelift.lake.periods import period_column
from truelift.logs.neighbours import COPIES
from truelift.logs.results import CleanResult

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from truelift.settings import Settings

REQUIRED = (
    "event_id",
    "user_key",
    "event_time",
    "event_type",
    "item_id",
    "source_file",
    "source_row",
    "batch_id",
    "bucket",
    "period",
)
_FINITE = 1.7976931348623157e308


@dataclass(frozen=True)
class Tally:
    """Rows of a table (or of some slices), by what became of them.

    Attributes
    ----------
    silver, quarantine, duplicates : int
    reasons, labels : dict of str to int
        Rows per reason among the removed, and per label among the kept.
    """

    silver: int
    quarantine: int
    duplicates: int
    reasons: Mapping[str, int]
    labels: Mapping[str, int]

    @property
    def rows(self) -> int:
        """All of them."""
        return self.silver + self.quarantine + self.duplicates

    def plus(self, other: Tally, sign: int = 1) -> Tally:
        """The sum, or with ``sign=-1`` the difference."""
        return Tally(
            self.silver + sign * other.silver,
            self.quarantine + sign * other.quarantine,
            self.duplicates + sign * other.duplicates,
            _added(self.reasons, other.reasons, sign),
            _added(self.labels, other.labels, sign),
        )

    @staticmethod
    def of_result(result: CleanResult) -> Tally:
        """The tally that a result reports."""
        return Tally(
            result.silver, result.quarantine, result.duplicates, result.reasons, result.labels
        )


@dataclass(frozen=True)
class Account:
    """Where the judged rows went.

    Attributes
    ----------
    now, before : Tally
        The judged rows as they are now, and those among them that silver or quarantine held.
    fresh : Tally
        Rows that came from bronze in this run.
    metrics : dict
        Of the rows that are kept, for the contract.
    """

    now: Tally
    before: Tally
    fresh: Tally
    metrics: Mapping[str, Any]


def account(judged: DataFrame, settings: Settings) -> Account:
    """Count the judged rows and measure those that are kept."""
    from pyspark.sql import functions as F

    keys = ("reasons", "labels", "_was", "_was_names")
    measures = _measures(settings)
    groups = judged.groupBy(*keys).agg(
        F.count(F.lit(1)).alias("rows"), *(m.alias(name) for name, m in measures.items())
    )
    rows = [row.asDict() for row in groups.collect()]
    old = [row for row in rows if row["_was"]]
    return Account(
        now=tally_of((r["reasons"], r["labels"], r["rows"]) for r in rows),
        before=tally_of(
            (r["_was_names"], [], r["rows"])
            if r["_was"] == "quarantine"
            else ([], r["_was_names"], r["rows"])
            for r in old
        ),
        fresh=tally_of((r["reasons"], r["labels"], r["rows"]) for r in rows if not r["_was"]),
        metrics=_merged([r for r in rows if not r["reasons"]], measures),
    )


def _measures(settings: Settings) -> dict[str, Column]:
    """Aggregates of a group; their first word says how groups are put together."""
    from pyspark.sql import functions as F

    def rows_where(condition: Column) -> Column:
        return F.coalesce(F.sum(condition.cast("long")), F.lit(0))

    seconds = F.unix_micros("event_time") / 1_000_000
    in_its_period = F.col("period") == period_column(F.col("event_time"), settings.period)
    measures = {f"null_{c}": rows_where(F.col(c).isNull()) for c in REQUIRED}
    measures |= {"earliest_event": F.min(seconds), "latest_event": F.max(seconds)}
    for field in ("quantity", "value"):
        measures |= {
            f"not_finite_{field}": rows_where(~(F.abs(field) <= F.lit(_FINITE))),
            f"least_{field}": F.min(field),
            f"greatest_{field}": F.max(field),
            f"sum_{field}": F.sum(field),
            f"with_{field}": F.count(field),
        }
    placed = F.col("bucket") == bucket_column("user_key", settings.buckets)
    return {
        **measures,
        "misplaced_users": rows_where(~placed),
        "misplaced_times": rows_where(~in_its_period),
    }


def _merged(groups: list[dict[str, Any]], measures: Iterable[str]) -> dict[str, Any]:
    total: dict[str, Any] = {"rows": sum(g["rows"] for g in groups)}
    for name in measures:
        found = [g[name] for g in groups if g[name] is not None]
        word = name.partition("_")[0]
        if word in ("earliest", "least"):
            total[name] = min(found, default=None)
        elif word in ("latest", "greatest"):
            total[name] = max(found, default=None)
        else:
            total[name] = sum(found)
    return total


def tally_of(groups: Iterable[tuple[list[str], list[str], int]]) -> Tally:
    """Tally of (reasons, labels, rows) groups; no reasons stands for kept."""
    kinds: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    for why, marks, rows in groups:
        kind = "silver" if not why else ("duplicates" if set(why) <= set(COPIES) else "quarantine")
        kinds[kind] += rows
        reasons.update({reason: rows for reason in why})
        if not why:
            labels.update({mark: rows for mark in set(marks)})
    return Tally(
        kinds["silver"], kinds["quarantine"], kinds["duplicates"],
        dict(sorted(reasons.items())), dict(sorted(labels.items())),
    )  # fmt: skip


def _added(left: Mapping[str, int], right: Mapping[str, int], sign: int) -> dict[str, int]:
    names = sorted({*left, *right})
    total = {name: left.get(name, 0) + sign * right.get(name, 0) for name in names}
    return {name: rows for name, rows in total.items() if rows}
