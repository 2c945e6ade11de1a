"""Watching local ranks from outside for one that hangs."""

from __future__ import annotations

import time
from pathlib import Path

from truelift.distributed.heartbeat import hung_ranks, read_beats
from truelift.distributed.processes import RankLost


class RankWatch:
    """Called again and again while ranks run; raises when one hangs.

    Parameters
    ----------
    folder : Path
        Where the ranks leave their beats.
    hang_seconds : float
        A rank that does not move for so long hangs.
    """

    def __init__(self, folder: Path, hang_seconds: float) -> None:
        self._folder, self._limit = folder, hang_seconds
        self._looked = 0.0

    def __call__(self) -> None:
        """Look, about once a second.

        Raises
        ------
        RankLost
            Naming the ranks that hang.
        """
        now = time.time()
        if now - self._looked < 1.0:
            return
        self._looked = now
        if hung := hung_ranks(read_beats(self._folder), now, self._limit):
            raise RankLost(
                f"Training: {'; '.join(hung)}; sequence.recovery.hang_seconds = {self._limit:g}. All "
                "ranks were stopped."
            )
