"""Metrics of every cleaned batch, kept in ``ops.quality``, and what the next should look like."""

from __future__ import annotations

import datetime
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from truelift.lake.arrow_table import append_rows
from truelift.lake.tables import table_spec
from truelift.logs.accounts import Account

if TYPE_CHECKING:
    from truelift.job import Job

WINDOW = 14
_ENOUGH = 5
_MADS = 8.0


def batch_metrics(counted: Account) -> dict[str, float]:
    """The figures of a batch that are comparable from one batch to the next.

    Shares are of the batch's new rows, except those of labels and missing numbers, which are
    of the rows of the slices it was cleaned with.
    """
    fresh, kept = counted.fresh, counted.metrics
    rows = max(fresh.rows, 1)
    found = {
        "new_rows": float(fresh.rows),
        "share_rejected": fresh.quarantine / rows,
        "share_duplicates": fresh.duplicates / rows,
    }
    found |= {f"share_{reason}": count / rows for reason, count in fresh.reasons.items()}
    silver = max(int(kept["rows"]), 1)
    for field in ("quantity", "value"):
        given = int(kept[f"with_{field}"])
        found[f"share_without_{field}"] = 1 - given / silver
        if given:
            found[f"mean_{field}"] = float(kept[f"sum_{field}"]) / given
    return found


def keep_metrics(job: Job, counted: Account) -> None:
    """Append a batch's metrics to ``ops.quality``; once, however often the job runs."""
    now = datetime.datetime.now(datetime.timezone.utc)
    metrics = batch_metrics(counted)
    rows = pa.table(
        {
            "batch": pa.array([job.fingerprint] * len(metrics), pa.string()),
            "measured": pa.array([now] * len(metrics), pa.timestamp("us", tz="UTC")),
            "metric": pa.array(list(metrics), pa.string()),
            "value": pa.array(list(metrics.values()), pa.float64()),
        }
    )
    append_rows(job.lake.uri("ops.quality"), table_spec("ops.quality"), rows, job.fingerprint)


def trailing_with(
    trailing: Mapping[str, Sequence[float]], counted: Account
) -> dict[str, list[float]]:
    """The window of each metric after this batch; it travels with silver's state."""
    now = batch_metrics(counted)
    names = sorted({*trailing, *now})
    # A reason that did not occur has a share of nothing.
    return {n: [*trailing.get(n, []), now.get(n, 0.0)][-WINDOW:] for n in names}


def expected_range(values: Sequence[float]) -> tuple[float, float] | None:
    """Where the next value should lie; None while there are too few to say.

    The median of the window, plus and minus eight spreads; the spread is the median absolute
    deviation, and at least a twentieth of the median.
    """
    if len(values) < _ENOUGH:
        return None
    middle = statistics.median(values)
    spread = statistics.median(abs(v - middle) for v in values)
    margin = _MADS * max(spread, 0.05 * abs(middle), 1e-3)
    return middle - margin, middle + margin


def drift_ranges(trailing: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, float]]:
    """Expected ranges of the metrics that have been seen often enough."""
    ranges = {name: expected_range(values) for name, values in sorted(trailing.items())}
    return {name: found for name, found in ranges.items() if found is not None}
