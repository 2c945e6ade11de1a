"""Copies of foreign rows, partitioned by bucket: made once, under a name that says what they hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from truelift.lake.log import current_version
from truelift.lake.scan import ScanPlan, make_plan

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def bucketed_copy(place: str, rows: Callable[[], DataFrame], buckets: int, name: str) -> ScanPlan:
    """A plan of the copy at a place; it is written where there is none, in one shuffle.

    Parameters
    ----------
    place : str
        URI, under the lake's ``work/``. It tells apart what the copy is made of, so one that is
        there is the same.
    rows : callable
        Gives the rows to write, with their ``bucket``.
    buckets : int
    name : str
        Of the table, for messages.
    """
    if current_version(place) is None:
        (
            rows()
            .repartition(buckets, "bucket")
            .write.format("delta")
            .mode("errorifexists")
            .partitionBy("bucket")
            .option("delta.enableDeletionVectors", "false")
            .save(place)
        )
    return make_plan(name, place)
