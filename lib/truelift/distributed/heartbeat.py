"""Signs of life of a rank, and what their absence means.

A thread of each rank rewrites a small file about once a second: that the process is alive, what
its training loop is doing, and since when. A process that was stopped writes no more; a loop
that hangs (in a read, or in a collective that a neighbour never joins) leaves its time standing.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from truelift.typed import from_plain


@dataclass(frozen=True)
class Beat:
    """What a rank last wrote.

    Parameters
    ----------
    rank, pid : int
    doing : str
        What the rank was at, such as ``'epoch 2, step 17'``.
    place : int
        Grows with every step, so that ranks can be compared.
    alive, moved : float
        Seconds since the epoch: when the file was written; when ``place`` last changed.
    """

    rank: int
    pid: int
    doing: str
    place: int
    alive: float
    moved: float


class Heartbeat:
    """Writes a rank's :class:`Beat`; without a folder it does nothing."""

    def __init__(self, folder: str | None, rank: int, every: float = 1.0) -> None:
        self._path = None if folder is None else Path(folder) / f"heartbeat-{rank}.json"
        self._rank, self._every = rank, every
        self._doing, self._place, self._moved = "starting", 0, time.time()
        self._stopped = threading.Event()
        if self._path is not None:
            self._thread = threading.Thread(target=self._write_on, name="heartbeat", daemon=True)
            self._thread.start()

    def beat(self, doing: str) -> None:
        """The loop has come to something new."""
        self._doing, self._place, self._moved = doing, self._place + 1, time.time()

    def stop(self) -> None:
        """Write no more, and remove the file: a rank that is done is not missed."""
        if self._path is not None:
            self._stopped.set()
            self._thread.join()
            self._path.unlink(missing_ok=True)

    def _write_on(self) -> None:
        while True:
            self._write()
            if self._stopped.wait(self._every):
                return

    def _write(self) -> None:
        assert self._path is not None
        beat = Beat(self._rank, os.getpid(), self._doing, self._place, time.time(), self._moved)
        part = self._path.with_suffix(".part")
        try:
            part.write_text(json.dumps(asdict(beat)), encoding="utf-8")
            part.replace(self._path)
        except OSError:
            return  # a full disk is no reason to die; the next second tries again


def read_beats(folder: Path) -> list[Beat]:
    """The latest beat of every rank that has written one."""
    beats = []
    for path in sorted(folder.glob("heartbeat-*.json")):
        try:
            beats.append(from_plain(Beat, json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError):
            continue  # removed or not readable in this instant
    return sorted(beats, key=lambda beat: beat.rank)


def hung_ranks(beats: Sequence[Beat], now: float, limit: float) -> list[str]:
    """A line for each rank that hangs, or nothing.

    Something hangs where a rank has not moved for ``limit`` seconds. A rank that has also not
    written for half of that hangs by itself, and the ranks that wait for it are not named: it wrote
    last a little after it moved last, so its silence is always the shorter of the two. If all
    write, the ranks that are least far are named: the others wait for them.
    """
    if not any(now - min(b.moved, b.alive) > limit for b in beats):
        return []
    silent = [b for b in beats if now - b.alive > limit / 2]
    if silent:
        return [
            f"rank {b.rank} (process {b.pid}) gave no sign of life for {now - b.alive:.0f} s, "
            f"last in: {b.doing}"
            for b in silent
        ]
    behind = min(b.place for b in beats)
    return [
        f"rank {b.rank} (process {b.pid}) is alive but has not moved for {now - b.moved:.0f} s, "
        f"in: {b.doing}"
        for b in beats
        if b.place == behind
    ]
