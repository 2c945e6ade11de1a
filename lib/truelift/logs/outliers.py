"""Robust limits of an item's quantity and value: median and median absolute deviation.

The limits are a table of their own, ``ops.item_limits``: taken once, from the rows that the
first cleaning sees, and used until ``truelift fit_limits`` takes them anew. So what a rule
says of a row does not change with every delivery.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from truelift.lake.kernels import tables_of_rows
from truelift.lake.tables import table_spec
from truelift.logs.parsing import number_of
from truelift.logs.records import Spelling, mapped_text, with_mapped

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from truelift.job import Job
    from truelift.lake import Commit

# A normal distribution's standard deviation over its median absolute deviation.
_NORMAL = 1.4826
_FIELDS = ("quantity", "value")
_ROWS_AT_ONCE = 250_000
# Rows whose numbers a task holds at most, counted: some 40 MB.
_ROWS_A_PART = 1_000_000


def item_limits(job: Job) -> tuple[DataFrame | None, int | None]:
    """The limits and their version; fitted first if there are none; None if the rules are off."""
    options = job.settings.clean
    if options.amounts.outlier_mads is None:
        return None, None
    if job.lake.version("ops.item_limits") is None:
        fit_limits(job)
    version = job.lake.version("ops.item_limits")
    table = job.lake.read("ops.item_limits", version)
    return table.filter(f"events >= {options.amounts.outlier_min_events}").drop("events"), version


def fit_limits(job: Job) -> Commit:
    """Take the limits from all of bronze, item by item; the next cleaning begins anew."""
    source = job.settings.source
    mapping = source.mapping
    wanted = [name for name in (mapping.item, mapping.quantity, mapping.value) if name]
    raw = job.read("bronze.events")
    bronze = with_mapped(raw, wanted, Spelling.of(job.settings, raw.columns))
    own_text = partial(mapped_text, available=bronze.columns)
    rows = bronze.select(
        own_text(mapping.item).alias("item_id"),
        number_of(own_text(mapping.quantity), source).alias("quantity"),
        number_of(own_text(mapping.value), source).alias("value"),
    )
    job.progress.update("robust limits of items")
    parts = -(-job.plan("bronze.events").rows // _ROWS_A_PART)
    limits = limits_of(rows, max(parts, 1))
    return job.lake.replace("ops.item_limits", limits, f"{job.fingerprint}-limits")


def limits_of(rows: DataFrame, parts: int = 1) -> DataFrame:
    """Median and spread of each item's quantity and value.

    The spread is 1.4826 median absolute deviations, an estimate of the standard deviation
    under a normal distribution (Rousseeuw & Croux 1993). Where more than half of an item's
    numbers are equal, that is zero, and the median itself is taken for the spread. Of an even
    number of numbers, the median is the lower of the middle two.

    Tasks count equal numbers of an item before rows are brought together by item, so a shuffle
    carries each number of an item once a task.

    Parameters
    ----------
    rows : DataFrame
        ``item_id, quantity, value``.
    parts : int
        Tasks that share out the items.
    """
    from pyspark.sql import functions as F

    known = rows.filter("item_id is not null").select(
        "item_id", *(F.col(name).cast("double").alias(name) for name in _FIELDS)
    )
    counted = known.mapInArrow(count_numbers, "item_id string, field int, number double, n long")
    by_item = counted.repartition(parts, "item_id")
    return by_item.mapInArrow(item_medians, table_spec("ops.item_limits").schema())


def count_numbers(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """How often an item has each number: ``item_id, field, number, n``, some 250,000 rows at once.

    An item's null numbers are counted too.
    """
    for rows in tables_of_rows(batches, _ROWS_AT_ONCE):
        yield from _counted(rows)


def _counted(rows: pa.Table) -> Iterator[pa.RecordBatch]:
    for number, name in enumerate(_FIELDS):
        found = rows.group_by(["item_id", name], use_threads=False).aggregate([([], "count_all")])
        columns = {
            "item_id": found["item_id"],
            "field": pa.repeat(pa.scalar(number, pa.int32()), found.num_rows),
            "number": found[name],
            "n": found["count_all"],
        }
        yield from pa.table(columns).to_batches(max_chunksize=65536)


def item_medians(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Limits of items from counts of their numbers; a task has all counts of its items."""
    held = list(batches)
    if not held:
        return
    counts = pa.Table.from_batches(held)
    coded = counts["item_id"].combine_chunks().dictionary_encode()
    field, n = counts["field"].to_numpy(), counts["n"].to_numpy()
    number = counts["number"].to_numpy()  # a null is NaN
    item = coded.indices.to_numpy()
    size = len(coded.dictionary)
    first = field == 0
    events = np.bincount(item[first], n[first], minlength=size).astype(np.int64)
    limits: dict[str, pa.Array] = {"item_id": coded.dictionary, "events": pa.array(events)}
    for place, name in enumerate(_FIELDS):
        mine = np.flatnonzero((field == place) & ~np.isnan(number))
        items, numbers, times = item[mine], number[mine], n[mine]
        median = lower_medians(items, numbers, times, size)
        distance = lower_medians(items, np.abs(numbers - median[items]), times, size)
        spread = np.where(distance > 0, _NORMAL * distance, np.abs(median))
        limits[f"{name}_median"] = pa.array(median, from_pandas=True)
        limits[f"{name}_spread"] = pa.array(spread, from_pandas=True)
    (batch,) = pa.table(limits).combine_chunks().to_batches()
    yield batch


def lower_medians(
    group: np.ndarray, number: np.ndarray, times: np.ndarray, groups: int
) -> np.ndarray:
    """The lower median of each group's numbers, each of which counts so many times.

    Parameters
    ----------
    group : ndarray of int, n
    number : ndarray, n
    times : ndarray of int, n
    groups : int

    Returns
    -------
    ndarray, groups
        NaN where a group has no number.
    """
    order = np.lexsort((number, group))
    group, number, times = group[order], number[order], times[order]
    up_to = np.cumsum(times)
    whole = np.bincount(group, times, minlength=groups)
    before = np.cumsum(whole) - whole
    # The first number with which half of the group's are counted.
    place = np.searchsorted(up_to, before + 0.5 * whole, side="left")
    found = np.full(groups, np.nan)
    has = whole > 0
    found[has] = number[place[has]]
    return found
