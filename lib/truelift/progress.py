"""Progress for people: one live line on a terminal, plain lines everywhere else."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

_PLAIN_EVERY_SECONDS = 10.0

#: Told a line now and then by long work, such as :meth:`Progress.update`.
Tell = Callable[[str], None]


class Progress:
    """Says what a long step is doing: text, share done, time left.

    On a terminal the line is rewritten in place; in a log a line appears at most every ten
    seconds, and none for steps shorter than that.
    """

    def __init__(self, step: str, stream: TextIO | None = None, enabled: bool = True):
        self._step = step
        self._stream = stream or sys.stdout
        self._live = self._stream.isatty()
        self._enabled = enabled
        self._started = time.monotonic()
        self._last = self._started
        self._shown = ""
        self._lock = threading.Lock()

    def update(self, text: str, done: float | None = None, total: float | None = None) -> None:
        """Report a state; ``done`` of ``total`` adds the share and the time left."""
        now = time.monotonic()
        with self._lock:
            wait = 0.2 if self._live else _PLAIN_EVERY_SECONDS
            if not self._enabled or now - self._last < wait:
                return
            self._last = now
            line = f"  {self._step}: {text}{self._share(now, done, total)}"
            if self._live:
                self._stream.write("\r" + line[:118].ljust(len(self._shown)))
                self._shown = line[:118]
            else:
                self._stream.write(line + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Clear the live line."""
        with self._lock:
            self._enabled = False
            if self._live and self._shown:
                self._stream.write("\r" + " " * len(self._shown) + "\r")
                self._stream.flush()

    def _share(self, now: float, done: float | None, total: float | None) -> str:
        if not total or done is None:
            return f" ({now - self._started:.0f} s)"
        share = min(done / total, 1.0)
        text = f" {done:,.0f}/{total:,.0f} ({share:.0%})"
        if 0 < share < 1:
            text += f", {duration((now - self._started) * (1 - share) / share)} left"
        return text


def duration(seconds: float) -> str:
    """Seconds as people say them: ``8.2 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


@contextmanager
def spark_progress(spark: Any, progress: Progress) -> Iterator[None]:
    """Report the tasks of running Spark stages while the block runs.

    Where the session has no context (Spark Connect) nothing is reported.
    """
    tracker = _status_tracker(spark)
    if tracker is None:
        yield
        return
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(1.0):
            try:
                stages = [tracker.getStageInfo(s) for s in tracker.getActiveStageIds()]
            except Exception:  # the session may end while we look
                return
            live = [s for s in stages if s is not None]
            if live:
                done = sum(s.numCompletedTasks for s in live)
                total = sum(s.numTasks for s in live)
                progress.update(f"{stage_name(live[0].name)}, tasks {done}/{total}")

    thread = threading.Thread(target=watch, daemon=True, name="truelift-progress")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=5)


def stage_name(text: str) -> str:
    """What a stage does, as Spark names it (``save at ...``); its inner functions tell nobody."""
    name = text.split(" at ", maxsplit=1)[0]
    return "Spark's own work" if "$" in name else name


def _status_tracker(spark: Any) -> Any:
    try:
        return spark.sparkContext.statusTracker()
    except Exception:  # no context: Spark Connect and some managed platforms
        return None
