"""Compaction and vacuum: fewer and fuller files, and none that no version needs.

Safe beside running jobs: compaction is a commit that changes no row, and vacuum keeps every
file that a version younger than the retention needs. Slices of silver are written as one
file each, so what is compacted is what grows by appending.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truelift.errors import ConfigError
from truelift.lake.copies import copies, discard_copy, made_at
from truelift.lake.tables import TABLES

if TYPE_CHECKING:
    import pandas as pd

    from truelift.lake.lake import Lake

LEAST_RETENTION_HOURS = 168.0
_APPENDED = ("bronze.", "ops.")


@dataclass(frozen=True)
class TableMaintained:
    """What was done to a table: live files before and after, files deleted, its size.

    Parameters
    ----------
    name : str
    files_before, files_after, files_deleted : int
    bytes_live : int
    """

    name: str
    files_before: int
    files_after: int
    files_deleted: int
    bytes_live: int


@dataclass(frozen=True)
class Maintained:
    """What :func:`maintain` did.

    Parameters
    ----------
    retention_hours : float
    tables : tuple of TableMaintained
    copies : int
        Copies of tables under ``work/`` that were removed.
    """

    retention_hours: float
    tables: tuple[TableMaintained, ...]
    copies: int = 0

    def to_pandas(self) -> pd.DataFrame:
        """One row a table."""
        import pandas as pd

        return pd.DataFrame([vars(t) for t in self.tables])

    def __repr__(self) -> str:
        lines = [f"{'table':<22}{'files':>8}{'then':>8}{'deleted':>9}{'MiB':>10}"]
        lines += [
            f"{t.name:<22}{t.files_before:>8,}{t.files_after:>8,}{t.files_deleted:>9,}"
            f"{t.bytes_live / 2**20:>10,.1f}"
            for t in self.tables
        ]
        if self.copies:
            lines.append(f"{self.copies:,} copies of tables under work/ removed.")
        lines.append(
            f"Files that versions of the last {self.retention_hours:g} hours need were kept."
        )
        return "\n".join(lines)


def maintain(
    lake: Lake, retention_hours: float = LEAST_RETENTION_HOURS, force: bool = False
) -> Maintained:
    """Compact and vacuum every table of the lake.

    Parameters
    ----------
    lake : Lake
    retention_hours : float
        Files that only older versions need are deleted.
    force : bool
        Allow a retention below a week; then no job may be running.

    Raises
    ------
    ConfigError
        For a retention below a week without ``force``.
    """
    if retention_hours < LEAST_RETENTION_HOURS and not force:
        raise ConfigError(
            f"--retain-hours: found {retention_hours:g}, expected at least "
            f"{LEAST_RETENTION_HOURS:g} (a week): a running job could lose the version that it "
            "reads. Give --force if none is running."
        )
    done = []
    for name in (*TABLES, *lake.panels()):
        if lake.version(name) is None:
            continue
        before = lake.plan(name)
        if name.startswith(_APPENDED):
            compact(lake, name)
        deleted = vacuum(lake, name, retention_hours)
        after = lake.plan(name)
        done.append(
            TableMaintained(
                name,
                len({u.uri for u in before.units}),
                len({u.uri for u in after.units}),
                deleted,
                sum({u.uri: u.size for u in after.units}.values()),
            )
        )
    return Maintained(retention_hours, tuple(done), _discard_old_copies(lake.root, retention_hours))


def compact(lake: Lake, name: str) -> None:
    """Bring small files together; no row changes, and change feeds do not see it."""
    lake.spark.sql(f"OPTIMIZE delta.`{lake.uri(name)}`").collect()


def vacuum(lake: Lake, name: str, retention_hours: float) -> int:
    """Delete files that no version younger than the retention needs; how many data files.

    Also those that no version has ever had, such as a killed job leaves.
    """
    import deltalake

    # Spark plans and runs two queries a table for it, which takes seconds where there is nothing.
    table = deltalake.DeltaTable(lake.uri(name))
    hours = round(retention_hours)
    gone = table.vacuum(hours, dry_run=False, enforce_retention_duration=False, full=True)
    return sum(path.endswith(".parquet") for path in gone)


def _discard_old_copies(root: str, hours: float) -> int:
    """Remove copies that were made before the retention began: a running job may read a younger one."""
    before = time.time() - hours * 3600
    gone = [name for name in copies(root) if made_at(root, name) < before]
    for name in gone:
        discard_copy(root, name)
    return len(gone)
