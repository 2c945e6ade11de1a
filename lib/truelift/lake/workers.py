"""What a Python process that works through blocks of rows is spared."""

from __future__ import annotations

import os
import zipimport

#: Environment under which such a process keeps the memory of one block for the next. glibc gives
#: arrays of some MB back to the system as soon as they are free and asks for them anew, page by
#: page: half the time of plain arithmetic on 10 MB, and a tenth of a training step of SASRec. The
#: most that a process holds is the same, but it holds it until it ends.
KEPT_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "MALLOC_TOP_PAD_": str(2**26),
}


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
