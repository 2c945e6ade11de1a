"""Watching local ranks from outside: which one died, and which one hangs."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from truelift.training.heartbeat import Beat, hung_ranks, read_beats
from truelift.training.processes import RankLost


class RankWatch:
    """Called again and again while ranks run; raises when one hangs, and remembers who died first.

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
        self._beats: dict[int, Beat] = {}
        self._died: str | None = None

    def __call__(self) -> None:
        """Look, at most five times a second.

        Raises
        ------
        RankLost
            Naming the ranks that hang.
        """
        now = time.time()
        if now - self._looked < 0.2:
            return
        self._looked = now
        beats = read_beats(self._folder)
        # A rank that is done removes its file, and is no longer looked for.
        self._beats = {beat.rank: beat for beat in beats}
        if self._died is None:
            self._died = next((_line(b) for b in beats if self._is_dead(b)), None)
        if hung := hung_ranks(beats, now, self._limit):
            raise RankLost(
                f"Training: {'; '.join(hung)}; sequence.hang_seconds = {self._limit:g}. All "
                "ranks were stopped."
            )

    def explained(self, error: RankLost) -> RankLost:
        """The loss with the name of the rank that died first, where it was seen to die."""
        if self._died is None:
            return error
        return RankLost(f"Training: {self._died}.\n{error}")

    def _is_dead(self, beat: Beat) -> bool:
        if (self._folder / f"rank-{beat.rank}.error.json").exists():
            return False  # it has said why
        try:
            return psutil.Process(beat.pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return (self._folder / f"heartbeat-{beat.rank}.json").exists()


def _line(beat: Beat) -> str:
    return (
        f"rank {beat.rank} (process {beat.pid}) was killed or died without a word (killed by the "
        f"system: often out of memory), in: {beat.doing}"
    )
