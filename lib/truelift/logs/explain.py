"""``truelift explain-quarantine``: why rows were removed, how many, and what they look like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truelift.errors import TableError
from truelift.logs import rules
from truelift.logs.added_rules import added_meanings
from truelift.logs.bots import SIGNS
from truelift.logs.neighbours.names import COPIES, RETURNS, SLIPS
from truelift.logs.refusal import REFUSED
from truelift.logs.staging import QUARANTINE

if TYPE_CHECKING:
    import pandas as pd

    from truelift.lake import Lake

_EXAMPLE_WIDTH, _LEAST_WIDTH = 300, 40
_PARSING = {"corrupt_row": "The record does not fit the file's header, or is no record at all."}


@dataclass(frozen=True)
class Reason:
    """A reason with its meaning, its rows and a few of them.

    Parameters
    ----------
    name, meaning : str
    rows : int
        Rows with this reason; a row with two reasons counts under both.
    examples : tuple of str
        ``file, row: the record``.
    """

    name: str
    meaning: str
    rows: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class QuarantineExplained:
    """The quarantine by reason, most frequent first.

    Parameters
    ----------
    version : int
        Delta version of the table.
    rows : int
    reasons : tuple of Reason
    table : str
        ``silver.quarantine``, or ``ops.refused`` with the rows of a cleaning that was refused.
    """

    version: int
    rows: int
    reasons: tuple[Reason, ...]
    table: str = QUARANTINE

    def to_pandas(self) -> pd.DataFrame:
        """One row a reason: ``reason, rows, meaning``."""
        import pandas as pd

        listed = [(r.name, r.rows, r.meaning) for r in self.reasons]
        return pd.DataFrame(listed, columns=["reason", "rows", "meaning"])

    def __repr__(self) -> str:
        lines = [f"{self.table}, version {self.version}: {self.rows:,} rows"]
        if self.table == REFUSED:
            lines[0] += ", which the last 'clean' refused; nothing of it was published"
        for reason in self.reasons:
            lines.append(f"\n{reason.name}  {reason.rows:,} rows. {reason.meaning}")
            lines += [f"    {example}" for example in reason.examples]
        return "\n".join(lines)


def meanings() -> dict[str, str]:
    """What each reason and label says, from the rules themselves."""
    registered: dict[str, Callable[..., object]] = {**rules.RULES, **rules.LABELS}
    own = {name: " ".join((rule.__doc__ or "").split()) for name, rule in registered.items()}
    return {**_PARSING, **own, **COPIES, **SLIPS, **RETURNS, **SIGNS, **added_meanings()}


def explain_quarantine(lake: Lake, examples: int = 3) -> QuarantineExplained:
    """Count the quarantine by reason and pick the first examples of each, by file and row.

    Where the last cleaning was refused, it is about the rows for which it was.

    Raises
    ------
    TableError
        If nothing has been cleaned yet.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    name = REFUSED if _has_rows(lake, REFUSED) else QUARANTINE
    version = lake.version(name)
    if version is None:
        raise TableError(f"{lake.root} has no {QUARANTINE} yet. Run 'clean' first.")
    table = lake.read(name, version)
    by_reason = table.select(F.explode("reasons").alias("reason"), "*")
    counts = {row["reason"]: row["count"] for row in by_reason.groupBy("reason").count().collect()}
    place = Window.partitionBy("reason").orderBy("source_file", "source_row")
    picked = (
        by_reason.withColumn("_place", F.row_number().over(place))
        .filter(F.col("_place") <= examples)
        .orderBy("reason", "_place")
        .collect()
    )
    shown: dict[str, list[str]] = {}
    for row in picked:
        shown.setdefault(row["reason"], []).append(example_of(row.asDict()))
    known = meanings()
    reasons = tuple(
        Reason(name, known.get(name, ""), rows, tuple(shown.get(name, ())))
        for name, rows in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )
    return QuarantineExplained(version, lake.plan(name, version=version).rows, reasons, name)


def _has_rows(lake: Lake, name: str) -> bool:
    return lake.version(name) is not None and lake.plan(name).rows > 0


def example_of(row: dict[str, object]) -> str:
    """The raw record where it was kept, else the typed fields."""
    fields = ("user_key", "event_time", "event_type", "item_id", "quantity", "value", "event_id")
    record = row["raw"] or {f: row[f] for f in fields if row[f] is not None}
    assert isinstance(record, dict)
    # A long user agent must not hide the fields behind it.
    width = max(_EXAMPLE_WIDTH // max(len(record), 1), _LEAST_WIDTH)
    shown = {name: str("" if value is None else value) for name, value in record.items()}
    cut = {name: f"{v[: width - 1]}…" if len(v) > width else v for name, v in shown.items()}
    text = ", ".join(f"{name}={value}" for name, value in cut.items())
    return f"{row['source_file']}, row {row['source_row']}: {text}"
