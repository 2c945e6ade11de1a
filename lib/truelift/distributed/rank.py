"""What each of the launched processes does around its own work: report, hand over, fail in words."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def run_rank(folder: str, work: Callable[[Path], Mapping[str, bytes]]) -> None:
    """One process's part, whose failure the launcher can read.

    Parameters
    ----------
    folder : str
        Where the launcher left the job; a failure is left there as ``rank-N.error.json``.
    work : callable
        From the folder to the files, by name, that rank 0 leaves there in this order.
    """
    place = Path(folder)
    rank = int(os.environ.get("HOROVOD_RANK", "0"))
    try:
        outcome = work(place)
    except BaseException as error:
        text = json.dumps(failure(rank, error))
        write_atomically(place / f"rank-{rank}.error.json", text.encode())
        traceback.print_exc()
        sys.stderr.flush()
        # Not sys.exit: leaving in order would wait for ranks that wait for this one.
        os._exit(1)
    if rank == 0:
        for name, data in outcome.items():
            write_atomically(place / name, data)


def reporter(path: str | None, rank: int) -> Callable[..., None]:
    """A function that appends an event to the progress file; silent on other ranks."""
    if path is None or rank > 0:
        return lambda **event: None
    last = 0.0

    def report(**event: Any) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < 0.5 and not event.pop("always", False):
            return
        event.pop("always", None)
        last = now
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(event) + "\n")

    return report


def failure(rank: int, error: BaseException) -> dict[str, Any]:
    """An exception as plain values."""
    return {
        "rank": rank,
        "error": type(error).__name__,
        "message": str(error),
        "trace": "".join(traceback.format_exception(error)),
    }


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file in one move: a reader sees the old bytes or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name itself
    finally:
        os.close(folder)
