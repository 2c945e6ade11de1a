"""A rank ends with the process that started it, however that one ends.

A launcher that is killed (``kill -9``, out of memory, a lost terminal) can stop nobody. So it holds
a named pipe open, and those below it watch the pipe's other end: when the last writer is gone, for
whatever reason, the kernel says so, and the follower ends at once. On Linux the kernel is also
asked to kill the follower with its parent (``prctl(2)``, PR_SET_PDEATHSIG), which reaches one that
is stopped or stuck in a call that holds Python's lock; a parent that died before that call is seen
by the first look at the pipe. Nobody is left who trains on beside a restarted run.

``python -m truelift.distributed.lifeline FOLDER MODULE ...`` runs a module as a follower.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import select
import signal
import sys
import threading
from pathlib import Path
from types import TracebackType

#: How a follower ends whose launcher is gone.
ORPHANED = 75
#: How a rank ends whose time is up.
LATE = 76
_NAME = "lifeline"
_LOOK_MILLISECONDS = 1000
_PR_SET_PDEATHSIG = 1


class Lifeline:
    """Held by a launcher while processes below it work in ``folder``.

    Parameters
    ----------
    folder : Path
        On a file system of this machine; the pipe lies there.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME
        self._end: int | None = None

    def __enter__(self) -> Lifeline:
        os.mkfifo(self._path, mode=0o600)
        # For reading too: opening for writing alone would wait for a reader. Python's descriptors
        # do not pass to programs that it starts, so no follower holds the pipe open for the others.
        self._end = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._end is not None:
            os.close(self._end)
        self._path.unlink(missing_ok=True)


def follow(folder: str) -> None:
    """End this process when the launcher that holds the folder's :class:`Lifeline` is gone.

    Returns at once, and ends the process at once where the launcher is gone already.
    """
    end_with_parent()
    try:
        end = os.open(Path(folder) / _NAME, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        _leave()
    if _is_gone(end):
        _leave()
    threading.Thread(target=_watch, args=(end,), name="lifeline", daemon=True).start()


def _watch(end: int) -> None:
    poll = select.poll()
    poll.register(end, select.POLLIN)
    while not _is_gone(end):
        poll.poll(_LOOK_MILLISECONDS)
    _leave()


def _is_gone(end: int) -> bool:
    """Whether nobody holds the pipe for writing: then reading finds its end."""
    try:
        return os.read(end, 1) == b""
    except BlockingIOError:
        return False


def _leave() -> None:
    print(
        f"truelift: process {os.getpid()} ends, for the one that started it is gone.",
        file=sys.stderr,
        flush=True,
    )
    # Not sys.exit: leaving in order would wait for ranks that wait for this one.
    os._exit(ORPHANED)


def end_with_parent() -> None:
    """Ask the kernel to kill this process when its parent is gone; only Linux does."""
    if sys.platform != "linux":
        return
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    except (OSError, AttributeError):
        return  # another C library; the pipe remains


def end_in_time(seconds: float) -> None:
    """End this process when so many seconds have passed, whatever it waits for.

    For ranks that nobody can stop from outside. Returns at once.
    """
    timer = threading.Timer(max(seconds, 0.0), _leave_late)
    timer.daemon = True
    timer.start()


def _leave_late() -> None:
    print(f"truelift: process {os.getpid()} ends, for its time is up.", file=sys.stderr, flush=True)
    os._exit(LATE)


def main(folder: str, module: str, *arguments: str) -> None:
    """Run a module as ``python -m`` does, as a follower."""
    follow(folder)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
