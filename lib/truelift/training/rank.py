"""What one Horovod process does: train with the others, evaluate its share of the users.

Run as ``python -m truelift.training.rank JOB.json`` under ``horovodrun``, or through
:func:`run` inside ``horovod.spark.run``.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from truelift.models.runtime import start_tensorflow
from truelift.settings import SequenceOptions
from truelift.training.results import EpochRecord, RankingMetrics
from truelift.typed import from_plain, to_plain


@dataclass(frozen=True)
class RankJob:
    """Everything a rank is told.

    Parameters
    ----------
    plan : str
        Scan plan of ``gold.sequences`` as JSON.
    validation_start, test_start, end : int
        The temporal split, microseconds since the epoch.
    items : int
        Size of the vocabulary.
    seed : int
    sequence : SequenceOptions
    progress : str, optional
        File to which rank 0 appends one JSON object a line.
    checkpoint : str, optional
        File that holds the best weights so far.
    """

    plan: str
    validation_start: int
    test_start: int
    end: int
    items: int
    seed: int
    sequence: SequenceOptions
    progress: str | None = None
    checkpoint: str | None = None


@dataclass(frozen=True)
class RankResult:
    """What rank 0 reports; the others agree with it or the run fails.

    ``gains`` holds, for each baseline, the mean difference in NDCG (model less baseline, user
    by user) with its 95% interval: the models meet the same users, so it is far narrower than
    the intervals of the two means suggest.
    """

    epochs: tuple[EpochRecord, ...]
    test: tuple[RankingMetrics, ...]
    best_epoch: int
    parameters: int
    train_windows: int
    steps_per_epoch: int
    recent_days: int
    processes: int
    gains: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def run(job_json: str) -> dict[str, Any]:
    """Train and evaluate; the value of rank 0 also holds the weights, as bytes.

    Returns
    -------
    dict
        ``rank`` and, for rank 0, ``result`` (plain) and ``weights``. On failure ``error``,
        ``message`` and ``trace``, so that the launcher can say what went wrong where.
    """
    job = from_plain(RankJob, json.loads(job_json))
    start_tensorflow(job.sequence.threads_per_process)
    import horovod.tensorflow as hvd
    import tensorflow as tf

    # With it, the same seed and number of processes give the same numbers.
    tf.config.experimental.enable_op_determinism()

    from truelift.training import checkpoints
    from truelift.training.session import train_and_evaluate

    hvd.init()
    result, weights = train_and_evaluate(job)
    if hvd.rank() > 0:
        return {"rank": hvd.rank()}
    return {"rank": 0, "result": to_plain(result), "weights": checkpoints.to_bytes(weights)}


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


def main(folder: str) -> None:
    """Entry point of a process: reads ``job.json`` in the folder, leaves its result there."""
    from truelift.training.checkpoints import write_atomically

    place = Path(folder)
    rank = int(os.environ.get("HOROVOD_RANK", "0"))
    try:
        outcome = run((place / "job.json").read_text(encoding="utf-8"))
    except BaseException as error:
        text = json.dumps(failure(rank, error))
        write_atomically(place / f"rank-{rank}.error.json", text.encode())
        traceback.print_exc()
        sys.stderr.flush()
        # Not sys.exit: leaving in order would wait for ranks that wait for this one.
        os._exit(1)
    if rank == 0:
        write_atomically(place / "weights.npz", outcome["weights"])
        write_atomically(place / "result.json", json.dumps(outcome["result"]).encode())


if __name__ == "__main__":
    main(sys.argv[1])
