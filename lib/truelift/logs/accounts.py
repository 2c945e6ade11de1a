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
_LISTS = ("_why", "_marks", "_was_marks")
_COMMA = "\x1f"
_MERGE_EVERY = 64
_FINITE = 1.7976931348623157e308
_FIRST_TIME, _LAST_TIME = period_bounds("all", "all")
_NO_TIME = _FIRST_TIME - 1
# Name, column, and how a group of rows is summed up; "null_" counts what is not there.
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
_MERGED_BY = {"count": "sum"}


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
    """Rows and measures by (reasons, labels, where the row was), batch after batch.

    It is made where the rows are, goes as JSON to the driver and adds up there.
    """

    def __init__(self, period: str) -> None:
        self._period = period
        self._parts: list[pa.Table] = []

    def add(self, rows: pa.Table) -> None:
        """Count rows of ``silver.quarantine``, with what they were before and ``misplaced_users``."""
        for name, lists in (
            ("_why", "reasons"),
            ("_marks", "labels"),
            ("_was_marks", "_was_names"),
        ):
            joined = pc.fill_null(pc.binary_join(rows[lists], _COMMA), "")
            rows = rows.append_column(name, joined)
        for field in ("quantity", "value"):
            odd = pc.invert(pc.less_equal(pc.abs(rows[field]), _FINITE))
            rows = rows.append_column(f"not_finite_{field}", odd.cast(pa.int64()))
        rows = rows.append_column("misplaced_times", self._misplaced(rows))
        grouped = rows.group_by(list(KEYS), use_threads=False)
        found = grouped.aggregate([(c, word) for _, c, word in _MEASURES] + [([], "count_all")])
        names = {_column(c, word): name for name, c, word in _MEASURES} | {"count_all": "rows"}
        self._parts.append(found.rename_columns([names.get(n, n) for n in found.column_names]))
        if len(self._parts) >= _MERGE_EVERY:
            self._merge()

    def _misplaced(self, rows: pa.Table) -> pa.Array:
        """1 for kept rows that do not lie in the period of their time."""
        wrong = np.zeros(rows.num_rows, np.int64)
        kept = np.flatnonzero(pc.equal(rows["_why"], "").to_numpy())
        mine = rows.select(["event_time", "period"]).take(pa.array(kept))
        micros = pc.fill_null(mine["event_time"].cast(pa.int64()), _NO_TIME).to_numpy()
        readable = (micros >= _FIRST_TIME) & (micros < _LAST_TIME)
        wrong[kept[~readable]] = 1
        names = period_of(micros[readable], self._period)
        same = pc.equal(names, mine["period"].filter(pa.array(readable)).combine_chunks())
        wrong[kept[readable]] = ~pc.fill_null(same, False).to_numpy(zero_copy_only=False)
        return pa.array(wrong)

    def _merge(self) -> None:
        grouped = pa.concat_tables(self._parts).group_by(list(KEYS), use_threads=False)
        words = {name: _MERGED_BY.get(word, word) for name, _, word in _MEASURES} | {"rows": "sum"}
        found = grouped.aggregate(list(words.items()))
        names = {_column(n, word): n for n, word in words.items()}
        self._parts = [found.rename_columns([names.get(n, n) for n in found.column_names])]

    def to_json(self) -> str:
        """The counts as text."""
        if not self._parts:
            return "[]"
        self._merge()
        table = self._parts[0]
        for name, column, _ in _MEASURES:
            if column == "event_time":
                micros = table[name].cast(pa.int64())
                table = table.set_column(table.schema.get_field_index(name), name, micros)
        return json.dumps(table.to_pylist())


def misplaced_users(settings: Settings) -> Column:
    """1 for rows that do not lie in the bucket of their user: what only Spark's hash can tell."""
    from pyspark.sql import functions as F

    return (F.col("bucket") != bucket_column("user_key", settings.buckets)).cast("long")


def account_of(texts: Iterable[str]) -> Account:
    """The account of all rows, from the counts of those who wrote them."""
    rows = [row for text in texts for row in json.loads(text)]
    for row in rows:
        row.update({name: row[name].split(_COMMA) if row[name] else [] for name in _LISTS})
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
        metrics=_metrics([r for r in rows if not r["_why"]]),
    )


def _column(name: str, word: str) -> str:
    return f"{name}_{word}"


def _metrics(groups: list[dict[str, Any]]) -> dict[str, Any]:
    """Measures of the kept rows, all groups together."""
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
