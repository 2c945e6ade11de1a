"""The lake's ``work/``: copies of foreign rows by bucket, made once, under a name that says what they hold.

Copies hold the keys of people. So whoever makes one removes it, or those of older versions; what is
left goes with ``maintain``, and all of it where a person is forgotten. A copy that is gone is made
again by the next run that wants it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pyarrow.fs as pafs

from truelift.files.places import filesystem_of
from truelift.lake.log import current_version
from truelift.lake.scan import ScanPlan, make_plan

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


WORK = "work"


def copy_place(root: str, name: str) -> str:
    """Where the copy of a name lies in a lake."""
    return f"{root}/{WORK}/{name}"


def copies(root: str) -> tuple[str, ...]:
    """Names of the copies of a lake."""
    filesystem, path = filesystem_of(copy_place(root, ""))
    folder = pafs.FileSelector(path.rstrip("/"), allow_not_found=True)
    return tuple(sorted(found.base_name for found in filesystem.get_file_info(folder)))


def made_at(root: str, name: str) -> float:
    """When a copy was made, in seconds since 1970; 0 for one that was never finished."""
    first = f"{copy_place(root, name)}/_delta_log/{0:020d}.json"
    filesystem, path = filesystem_of(first)
    info = filesystem.get_file_info(path)
    return info.mtime.timestamp() if info.mtime is not None else 0.0


def discard_copy(root: str, name: str) -> None:
    """Remove a copy, if it is there."""
    filesystem, path = filesystem_of(copy_place(root, name))
    if filesystem.get_file_info(path).type == pafs.FileType.Directory:
        filesystem.delete_dir(path)


def discard_copies(root: str, prefix: str = "", but: str | None = None) -> int:
    """Remove the copies whose names begin so, and say how many; those that begin as ``but`` stay."""
    gone = [n for n in copies(root) if n.startswith(prefix) and not (but and n.startswith(but))]
    for name in gone:
        discard_copy(root, name)
    return len(gone)


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
