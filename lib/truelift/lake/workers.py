"""What a Spark Python worker is spared between two tasks."""

from __future__ import annotations

import os
import zipimport


def remember_archives() -> None:
    """Let a Python worker re-read an archive of its path only where the archive has changed.

    Before each task PySpark calls ``importlib.invalidate_caches``, and Python's
    ``zipimporter`` then reads the directory of its archive again, in Python: PySpark's own zip
    and Spark's jars together take about 0.2 s a task, more than many a task's work. An archive with
    the size and time that it had is the same archive. Called inside a task; it lasts for the worker
    process, which Spark uses again.
    """
    if getattr(zipimport.zipimporter.invalidate_caches, "remembers", False):
        return
    read_again = zipimport.zipimporter.invalidate_caches
    known: dict[str, tuple[int, int] | None] = {}

    def invalidate_caches(self: zipimport.zipimporter) -> None:
        found = _stamp(self.archive)
        if found is None or known.get(self.archive) != found:
            read_again(self)
            known[self.archive] = found

    invalidate_caches.remembers = True  # type: ignore[attr-defined]
    zipimport.zipimporter.invalidate_caches = invalidate_caches  # type: ignore[method-assign]


def _stamp(archive: str) -> tuple[int, int] | None:
    try:
        found = os.stat(archive)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
