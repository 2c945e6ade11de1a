"""Robust limits of an item's quantity and value: median and median absolute deviation.

The limits are a table of their own, ``ops.item_limits``: taken once, from the rows that the
first cleaning sees, and used until ``truelift fit_limits`` takes them anew. So what a rule
says of a row does not change with every delivery.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from truelift.logs.parsing import number_of, text_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from truelift.job import Job
    from truelift.lake import Commit

# A normal distribution's standard deviation over its median absolute deviation.
_NORMAL = 1.4826
_FIELDS = ("quantity", "value")


def item_limits(job: Job) -> tuple[DataFrame | None, int | None]:
    """The limits and their version; fitted first if there are none; None if the rules are off."""
    options = job.settings.clean
    if options.outlier_mads is None:
        return None, None
    if job.lake.version("ops.item_limits") is None:
        fit_limits(job)
    version = job.lake.version("ops.item_limits")
    table = job.lake.read("ops.item_limits", version)
    return table.filter(f"events >= {options.outlier_min_events}").drop("events"), version


def fit_limits(job: Job) -> Commit:
    """Take the limits from all of bronze, item by item; the next cleaning begins anew."""
    mapping = job.settings.source.mapping
    rows = job.read("bronze.events").select(
        text_of(mapping.item).alias("item_id"),
        number_of(text_of(mapping.quantity)).alias("quantity"),
        number_of(text_of(mapping.value)).alias("value"),
    )
    job.progress.update("robust limits of items")
    return job.lake.replace("ops.item_limits", limits_of(rows), f"{job.fingerprint}-limits")


def limits_of(rows: DataFrame) -> DataFrame:
    """Median and spread of each item's quantity and value.

    The spread is 1.4826 median absolute deviations, an estimate of the standard deviation
    under a normal distribution (Rousseeuw & Croux 1993). Where more than half of an item's
    numbers are equal, that is zero, and the median itself is taken for the spread.

    Parameters
    ----------
    rows : DataFrame
        ``item_id, quantity, value``.
    """
    from pyspark.sql import functions as F

    known = rows.filter("item_id is not null")
    medians = known.groupBy("item_id").agg(
        F.count(F.lit(1)).alias("events"),
        *(F.percentile_approx(f, 0.5, 10_000).alias(f"{f}_median") for f in _FIELDS),
    )
    distances = {f"_{f}": F.abs(F.col(f) - F.col(f"{f}_median")) for f in _FIELDS}
    spreads = (
        known.join(medians, "item_id")
        .withColumns(distances)
        .groupBy("item_id")
        .agg(*(F.percentile_approx(f"_{f}", 0.5, 10_000).alias(f"_{f}") for f in _FIELDS))
    )
    limits = medians.join(spreads, "item_id")
    for field in _FIELDS:
        spread = F.when(F.col(f"_{field}") > 0, F.lit(_NORMAL) * F.col(f"_{field}"))
        limits = limits.withColumn(
            f"{field}_spread", F.coalesce(spread, F.abs(f"{field}_median")).cast("double")
        ).withColumn(f"{field}_median", F.col(f"{field}_median").cast("double"))
    return limits.drop(*(f"_{f}" for f in _FIELDS)).select(
        "item_id", "events", "quantity_median", "quantity_spread", "value_median", "value_spread"
    )
