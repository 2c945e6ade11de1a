"""What a Delta table's log says, read without Spark.

Versions, commits and the files of one version come from the ``deltalake`` package; so the
pipeline can see that nothing changed before any JVM starts, and Horovod ranks can open a
pinned version by themselves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from truelift.files.places import storage_uri

# Reader features that change which rows or columns a data file holds: Spark has to read those.
_PLAIN_READER_FEATURES = {"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"}


@dataclass(frozen=True)
class LoggedCommit:
    """One commit: its version, what it wrote or took out, and what truelift left in it.

    ``part`` names what of the table a commit replaced, where it was not all of it. ``commit`` is the id of :mod:`~.commit_ids`, which no other commit has; several can have one
    ``fingerprint``.
    """

    version: int
    operation: str
    rows: int
    fingerprint: str | None
    state: Mapping[str, Any] | None = None
    commit: str | None = None
    takes_out: bool = False
    part: str | None = None


@dataclass(frozen=True)
class DataFile:
    """One live file of a table version."""

    uri: str
    size: int
    rows: int | None
    partition: dict[str, str | None]


def open_table(uri: str, version: int | None = None) -> Any:
    """The table as a ``deltalake.DeltaTable``, or None where there is no table."""
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    try:
        return DeltaTable(storage_uri(uri), version=version)
    except TableNotFoundError:
        return None


def current_version(uri: str) -> int | None:
    """Newest version of the table, or None where there is no table."""
    table = open_table(uri)
    return None if table is None else int(table.version())


def recent_commits(uri: str, limit: int = 50) -> list[LoggedCommit]:
    """The newest commits first, at most ``limit``."""
    table = open_table(uri)
    return [] if table is None else [_commit(entry) for entry in table.history(limit)]


# What takes rows out of a table, by Spark's names and those of the deltalake package.
TAKEN_OUT = "taken_out"
_TAKES_OUT = frozenset({"DELETE", "MERGE", "UPDATE", "TRUNCATE"})


def has_lost_rows(uri: str, since: int, until: int) -> bool:
    """Whether rows were taken out of a table after one version and up to another."""
    newest = current_version(uri)
    commits = [] if newest is None else recent_commits(uri, max(newest - since, 0) or 1)
    return any(c.takes_out for c in commits if since < c.version <= until)


def _commit(entry: Mapping[str, Any]) -> LoggedCommit:
    metrics = entry.get("operationMetrics") or {}
    try:
        ours = json.loads(entry.get("userMetadata") or "{}")
    except ValueError:
        ours = {}
    ours = ours if isinstance(ours, dict) else {}
    return LoggedCommit(
        version=int(entry["version"]),
        operation=str(entry.get("operation")),
        # Spark's name for it, and that of the deltalake package.
        rows=int(metrics.get("numOutputRows") or metrics.get("num_added_rows") or 0),
        fingerprint=ours.get("fingerprint"),
        state=ours.get("state"),
        commit=ours.get("commit"),
        part=ours.get("part"),
        takes_out=bool(ours.get(TAKEN_OUT)) or str(entry.get("operation")) in _TAKES_OUT,
    )


def transaction_version(uri: str, application: str) -> int | None:
    """The last version that an application has written under its own id, None if none."""
    table = open_table(uri)
    return None if table is None else table.transaction_version(application)


def reads_directly(table: Any) -> tuple[bool, str]:
    """Whether data files hold the table's rows as they are, and if not, why."""
    features = set(table.protocol().reader_features or ())
    odd = sorted(features - _PLAIN_READER_FEATURES)
    if odd:
        return False, f"the table uses {', '.join(odd)}"
    if table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none":
        return False, "the table uses column mapping"
    return True, ""


def live_files(table: Any, uri: str) -> list[DataFile]:
    """Files of the opened version, sorted by name."""
    actions = pa.table(table.get_add_actions(flatten=True)).to_pydict()
    keys = [name for name in actions if name.startswith("partition.")]
    files = []
    for i, path in enumerate(actions["path"]):
        rows = actions.get("num_records", [None] * (i + 1))[i]
        partition = {k.removeprefix("partition."): actions[k][i] for k in keys}
        files.append(
            DataFile(
                uri=_join(uri, unquote(path)),
                size=int(actions["size_bytes"][i]),
                rows=None if rows is None else int(rows),
                partition={k: None if v is None else str(v) for k, v in partition.items()},
            )
        )
    return sorted(files, key=lambda f: f.uri)


def arrow_schema(table: Any) -> pa.Schema:
    """The table's columns as Arrow types; instants are UTC microseconds."""
    return pa.schema(table.schema().to_arrow())


def _join(uri: str, path: str) -> str:
    if urlsplit(path).scheme or path.startswith("/"):
        return path
    return f"{uri.rstrip('/')}/{PurePosixPath(path)}"
