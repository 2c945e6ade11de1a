"""A thread that reads ahead, so that training does not wait for input."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

Entry = TypeVar("Entry")


def read_ahead(entries: Iterator[Entry], ahead: int, name: str) -> Generator[Entry, None, None]:
    """The same entries, made in a thread of their own.

    Parameters
    ----------
    entries : iterator
        Asked in that thread alone; what it raises is raised here.
    ahead : int
        Entries that may wait at most.
    name : str
        Of the thread.

    Notes
    -----
    The thread ends where the caller closes the iterator, also before its end.
    """
    ready: queue.Queue[Entry | _End] = queue.Queue(maxsize=ahead)
    stopped = threading.Event()

    def put(entry: Entry | _End) -> bool:
        while not stopped.is_set():
            try:
                ready.put(entry, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def produce() -> None:
        try:
            for entry in entries:
                if not put(entry):
                    return
            put(_End())
        except BaseException as error:  # handed to the consumer, which raises it
            put(_End(error))

    thread = threading.Thread(target=produce, name=name, daemon=True)
    thread.start()
    try:
        while True:
            entry = ready.get()
            if isinstance(entry, _End):
                break
            yield entry
        if entry.error is not None:
            raise entry.error
    finally:
        stopped.set()
        thread.join()


class _End:
    """No more entries, or a reason for it."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
