"""Whether a version of a table still is the commit that this process made.

Delta's log is safe where the storage refuses a second file of one name. Local disks do; Spark on S3
asks whether the file is there and then writes it, so of two writers in one moment the second
overwrites the first's commit and neither sees an error. Nothing here prevents that. Every commit
carries an id of its own, and who made it reads the version's file again, right after the commit
and once more when the job ends: a commit that another has taken is a failure, not a silent loss.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from truelift.errors import JobFailure
from truelift.files.places import filesystem_of


def new_commit_id() -> str:
    """An id that no other commit has."""
    return uuid.uuid4().hex


def user_metadata(commit_id: str, metadata: dict[str, Any]) -> str:
    """What a commit carries, as text."""
    return json.dumps({**metadata, "commit": commit_id})


def require_commit(uri: str, name: str, version: int, commit_id: str) -> None:
    """See that a version of a table is ours.

    Parameters
    ----------
    uri, name : str
        The table's place, and what it is called.
    version : int
    commit_id : str
        Of :func:`new_commit_id`.

    Raises
    ------
    JobFailure
        If the version's file in the log is another's, or gone.
    """
    found = commit_id_of(uri, version)
    if found != commit_id:
        raise taken(uri, name, version)


def taken(uri: str, name: str, version: int | None = None) -> JobFailure:
    """The failure of a run whose commit another has overwritten."""
    where = "the log" if version is None else f"version {version}"
    return JobFailure(
        f"{name}: found another writer's commit in {where} of {uri}, expected the one that this "
        "run has made: two wrote at the same moment, and the storage let the second overwrite the "
        "first. The rows of this run are lost. Let one job at a time write to a lake on object "
        "storage, then run again."
    )


def commit_id_of(uri: str, version: int) -> str | None:
    """The id in the log's file of a version; None where it has none, or there is no file."""
    filesystem, root = filesystem_of(uri)
    path = f"{root.rstrip('/')}/_delta_log/{version:020d}.json"
    try:
        with filesystem.open_input_stream(path) as stream:
            # Bytes, for texts end a line at more characters than JSON keeps out of its strings.
            lines = stream.read().splitlines()
    except FileNotFoundError:
        return None
    for line in lines:
        entry = json.loads(line).get("commitInfo")
        if entry is not None:
            return _id_in(entry.get("userMetadata"))
    return None


def _id_in(text: Any) -> str | None:
    try:
        metadata = json.loads(text or "{}")
    except ValueError:
        return None
    found = metadata.get("commit") if isinstance(metadata, dict) else None
    return None if found is None else str(found)
