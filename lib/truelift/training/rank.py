"""What one Horovod process does: train with the others, evaluate its share of the users.

Run as ``python -m truelift.training.rank JOB.json`` under ``horovodrun``, or through
:func:`run` inside ``horovod.spark.run``.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from truelift.arrays.archive import from_bytes, to_bytes
from truelift.distributed.rank import run_rank
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
    split : dict
        Plain form of the split (:func:`~truelift.evaluation.splits.split_to_plain`).
    items : int
        Size of the vocabulary.
    seed : int
    sequence : SequenceOptions
    progress : str, optional
        File to which rank 0 appends one JSON object a line.
    checkpoints : str, optional
        URI of a folder that all ranks can reach; the training goes on from what lies there.
    owner : str, optional
        The training's token (:mod:`~.owner`); the launcher makes of it one for each start.
    heartbeats : str, optional
        Folder on this machine for the ranks' signs of life.
    until_epoch : int, optional
        Stop after this epoch, to go on later; the learning rate still follows ``epochs``.
    test : bool
        Whether the test window is looked at.
    arrays : dict of str to numpy.ndarray
        What the rankers beside the model need to know; they go to the ranks beside the rest.
    codes : dict of str to int
        Number of codes (0, unknown, among them) of side features, where known.
    """

    plan: str
    split: dict[str, Any]
    items: int
    seed: int
    sequence: SequenceOptions
    progress: str | None = None
    checkpoints: str | None = None
    owner: str | None = None
    heartbeats: str | None = None
    until_epoch: int | None = None
    test: bool = True
    arrays: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)


# Settings that change how a training runs and not what comes out; None stands for the whole section.
_OPERATION = {
    "ranks": None,
    "recovery": None,
    "training": ("tune",),
    "evaluation": (
        "cutoffs",
        "neighbours",
        "sampled_candidates",
        "table",
        "table_columns",
        "positive",
    ),
}


def run_key(job: RankJob) -> str:
    """A hash of all that decides what a training comes to: data, split, seed and settings."""
    plain = to_plain(replace(job, arrays={}))
    for name in ("progress", "checkpoints", "owner", "heartbeats", "until_epoch", "test", "arrays"):
        plain.pop(name)
    sequence = plain["sequence"]
    for section, names in _OPERATION.items():
        for name in names or tuple(sequence[section]):
            del sequence[section][name]
    if job.sequence.training.reading == "own":
        sequence["ranks"]["processes"] = job.sequence.ranks.processes
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class RankResult:
    """What rank 0 reports; the others agree with it or the run fails.

    ``gains`` holds, for each baseline, the mean difference in NDCG (model less baseline, user
    by user) with its 95% interval: the models meet the same users, so it is far narrower than
    the intervals of the two means suggest. ``best_baseline`` was chosen on validation, and
    ``left_out`` users wanted only what they had seen, where that is dropped. ``best_value`` is
    the validation value of the best epoch. ``warnings`` went wrong without stopping the training (a checkpoint that could not be
    written, or was damaged); ``restarts`` says why the ranks had to be started again. ``precision``
    is that of matrix products.
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
    best_value: float = float("nan")
    best_baseline: str | None = None
    left_out: int = 0
    warnings: tuple[str, ...] = ()
    restarts: tuple[str, ...] = ()
    precision: str = "float32"


def handed_over(job: RankJob) -> tuple[str, bytes]:
    """The job as JSON, and its arrays as an archive."""
    return json.dumps(to_plain(replace(job, arrays={}))), to_bytes(job.arrays, compressed=True)


def run(job_json: str, arrays: bytes) -> dict[str, Any]:
    """Train and evaluate; the value of rank 0 also holds the weights, as bytes.

    Parameters
    ----------
    job_json, arrays
        See :func:`handed_over`.

    Returns
    -------
    dict
        ``rank`` and, for rank 0, ``result`` (plain) and ``weights``. On failure ``error``,
        ``message`` and ``trace``, so that the launcher can say what went wrong where.
    """
    job = replace(from_plain(RankJob, json.loads(job_json)), arrays=from_bytes(arrays))
    start_tensorflow(job.sequence.ranks.threads_per_process, own_process=True)
    import tensorflow as tf

    # With it, the same seed and number of processes give the same numbers.
    tf.config.experimental.enable_op_determinism()

    from truelift.distributed.collective import Alone, TensorCollective
    from truelift.distributed.horovod_ranks import HorovodRanks
    from truelift.training.session import train_and_evaluate

    # One process has nobody to wait for, and needs no Horovod.
    ranks: TensorCollective = Alone() if job.sequence.ranks.processes == 1 else HorovodRanks()
    result, weights = train_and_evaluate(job, ranks)
    if ranks.rank > 0:
        return {"rank": ranks.rank}
    return {"rank": 0, "result": to_plain(result), "weights": to_bytes(weights)}


def main(folder: str) -> None:
    """Entry point of a process: reads the job in the folder, leaves its result there."""
    run_rank(folder, _files)


def _files(place: Path) -> dict[str, bytes]:
    job = (place / "job.json").read_text(encoding="utf-8")
    outcome = run(job, (place / "arrays.npz").read_bytes())
    if outcome["rank"] > 0:
        return {}
    return {
        "weights.npz": outcome["weights"],
        "result.json": json.dumps(outcome["result"]).encode(),
    }


if __name__ == "__main__":
    main(sys.argv[1])
