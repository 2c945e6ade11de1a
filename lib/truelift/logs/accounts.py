"""What became of the rows: counts by reason and label, and the metrics that the contract asks for.

Rows are counted where they are written, in the same pass, so publishing them can wait for the
figures without computing or reading them again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.lake import bucket_column
from truelift.lake.periods import period_bounds, period_of
from truelift.logs.neighbours.names import COPIES
from truelift.logs.results import CleanResult

if TYPE_CHECKING:
    from pyspark.sql import Column

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
KEYS = ("_why", "_marks", "_was", "_was_marks")
_LISTS = {"_why": "reasons", "_marks": "labels", "_was_marks": "_was_names"}
_COMMA = "\x1f"
_FINITE = 1.7976931348623157e308
_FIRST_TIME, _LAST_TIME = period_bounds("all", "all")
_NO_TIME = _FIRST_TIME - 1
# Name, column, and how rows are summed up; "null_" counts what is not there.
_MEASURES = (
    *((f"null_{name}", name, "count") for name in REQUIRED),
    ("earliest_event", "event_time", "min"),
    ("latest_event", "event_time", "max"),
    *(
        measure
        for field in ("quantity", "value")
        for measure in (
            (f"not_finite_{field}", f"not_finite_{field}", "sum"),
            (f"least_{field}", field, "min"),
            (f"greatest_{field}", field, "max"),
            (f"sum_{field}", field, "sum"),
            (f"with_{field}", field, "count"),
        )
    ),
    ("misplaced_users", "misplaced_users", "sum"),
    ("misplaced_times", "misplaced_times", "sum"),
)
_AGGREGATES = {"min": pc.min, "max": pc.max, "sum": pc.sum}


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


class Counts:
    """Rows by (reasons, labels, where the row was), and measures of those that are kept.

    It is made where the rows are, goes as JSON to the driver and adds up there.
    """

    def __init__(self, period: str) -> None:
        self._period = period
        self._rows: Counter[tuple[str, str, str | None, str]] = Counter()
        self._measures: list[dict[str, Any]] = []

    def add(self, rows: pa.Table) -> None:
        """Count rows of ``silver.quarantine``, with what they were before and ``misplaced_users``."""
        if not rows.num_rows:
            return
        lists = {name: _lengths(rows[column]) > 0 for name, column in _LISTS.items()}
        special = np.logical_or.reduce([np.asarray(rows["_was"].is_valid()), *lists.values()])
        # Of most rows there is nothing to say.
        few = rows.select(["_was", *_LISTS.values()]).take(pa.array(np.flatnonzero(special)))
        for name, column in _LISTS.items():
            joined = pc.fill_null(pc.binary_join(few[column], _COMMA), "")
            few = few.append_column(name, joined)
        grouped = few.group_by(list(KEYS), use_threads=False).aggregate([([], "count_all")])
        for row in grouped.to_pylist():
            self._rows[tuple(row[key] for key in KEYS)] += row["count_all"]
        plain = rows.num_rows - few.num_rows
        if plain:
            self._rows["", "", None, ""] += plain
        kept = rows
        if lists["_why"].any():
            kept = rows.filter(pa.array(~lists["_why"]))
        if kept.num_rows:
            self._measures.append(self._measured(kept))

    def _measured(self, rows: pa.Table) -> dict[str, Any]:
        for field in ("quantity", "value"):
            odd = pc.invert(pc.less_equal(pc.abs(rows[field]), _FINITE))
            rows = rows.append_column(f"not_finite_{field}", odd.cast(pa.int64()))
        rows = rows.append_column("misplaced_times", self._misplaced(rows))
        found: dict[str, Any] = {"rows": rows.num_rows}
        for name, column, word in _MEASURES:
            values = rows[column]
            if word == "count":
                found[name] = rows.num_rows - values.null_count
                continue
            values = values.cast(pa.int64()) if column == "event_time" else values
            found[name] = _AGGREGATES[word](values).as_py()
        return found

    def _misplaced(self, rows: pa.Table) -> pa.Array:
        """1 for rows that do not lie in the period of their time."""
        wrong = np.ones(rows.num_rows, np.int64)
        micros = pc.fill_null(rows["event_time"].cast(pa.int64()), _NO_TIME).to_numpy()
        readable = np.flatnonzero((micros >= _FIRST_TIME) & (micros < _LAST_TIME))
        names = period_of(micros[readable], self._period)
        same = pc.equal(names, rows["period"].take(pa.array(readable)).combine_chunks())
        wrong[readable] = ~pc.fill_null(same, False).to_numpy(zero_copy_only=False)
        return pa.array(wrong)

    def to_json(self) -> str:
        """The counts as text."""
        rows = [(*key, count) for key, count in self._rows.items()]
        return json.dumps({"rows": rows, "measures": self._measures})


def _lengths(lists: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(pc.fill_null(pc.list_value_length(lists), 0))


def misplaced_users(settings: Settings) -> Column:
    """1 for rows that do not lie in the bucket of their user: what only Spark's hash can tell."""
    from pyspark.sql import functions as F

    return (F.col("bucket") != bucket_column("user_key", settings.buckets)).cast("long")


def account_of(texts: Iterable[str]) -> Account:
    """The account of all rows, from the counts of those who wrote them."""
    counts = [json.loads(text) for text in texts]
    total: Counter[tuple[Any, ...]] = Counter()
    for count in counts:
        for *key, number in count["rows"]:
            total[tuple(key)] += number
    rows: list[dict[str, Any]] = []
    for key, number in total.items():
        row = {**dict(zip(KEYS, key, strict=True)), "rows": number}
        row.update({name: row[name].split(_COMMA) if row[name] else [] for name in _LISTS})
        rows.append(row)
    old = [row for row in rows if row["_was"]]
    return Account(
        now=tally_of((r["_why"], r["_marks"], r["rows"]) for r in rows),
        before=tally_of(
            (r["_was_marks"], [], r["rows"])
            if r["_was"] == "quarantine"
            else ([], r["_was_marks"], r["rows"])
            for r in old
        ),
        fresh=tally_of((r["_why"], r["_marks"], r["rows"]) for r in rows if not r["_was"]),
        metrics=_metrics([measures for count in counts for measures in count["measures"]]),
    )


def _metrics(groups: list[dict[str, Any]]) -> dict[str, Any]:
    """Measures of the kept rows, all together."""
    total: dict[str, Any] = {"rows": sum(g["rows"] for g in groups)}
    for name, column, word in _MEASURES:
        found = [g[name] for g in groups if g[name] is not None]
        if word == "count":
            known = sum(found)
            total[name] = known if name.startswith("with_") else total["rows"] - known
        elif word == "sum":
            total[name] = sum(found)
        else:
            best = {"min": min, "max": max}[word](found, default=None)
            scale = 1_000_000 if column == "event_time" else 1
            total[name] = best if best is None or scale == 1 else best / scale
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
