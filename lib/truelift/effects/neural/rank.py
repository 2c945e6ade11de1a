"""One Horovod process of the neural nuisances: ``python -m truelift.effects.neural.rank FOLDER``."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from truelift.distributed.rank import reporter, run_rank
from truelift.effects.boosting.reading import Block
from truelift.effects.neural.batches import RankRows
from truelift.effects.neural.options import NeuralOptions
from truelift.lake.scan import ScanPlan, ScanUnit, read_batches
from truelift.models.runtime import start_tensorflow

if TYPE_CHECKING:
    from truelift.effects.boosting.barrier import Reader
    from truelift.effects.neural.results import NeuralFit


@dataclass(frozen=True, eq=False)
class NeuralJob:
    """Everything a rank is told.

    Parameters
    ----------
    plan : ScanPlan
        The panel with the reader's columns.
    reader : Reader
        Makes blocks of features of record batches.
    folds : int
    options : NeuralOptions
    sequential : bool
    """

    plan: ScanPlan
    reader: Reader
    folds: int
    options: NeuralOptions
    sequential: bool = False


class HorovodRanks:
    """The ranks that Horovod knows; see :class:`~.fitting.Ranks`."""

    def __init__(self) -> None:
        import horovod.tensorflow as hvd

        hvd.init()
        self._hvd = hvd
        self.rank, self.size = hvd.rank(), hvd.size()

    def sum(self, values: np.ndarray, name: str) -> np.ndarray:
        """All-reduce of a small array."""
        import tensorflow as tf

        total: np.ndarray = self._hvd.allreduce(tf.constant(values), op=self._hvd.Sum, name=name)
        return np.asarray(total)

    def sum_gradients(self, tensors: list[Any]) -> list[Any]:
        """One grouped all-reduce."""
        return list(self._hvd.grouped_allreduce(tensors, op=self._hvd.Sum))

    def share(self, variables: list[Any]) -> None:
        """Broadcast from rank 0."""
        self._hvd.broadcast_variables([v.value for v in variables], root_rank=0)


def units_of(plan: ScanPlan, rank: int, size: int) -> list[ScanUnit]:
    """The units of one rank: the largest first, each to the rank with the fewest rows."""
    loads = [0] * size
    mine = []
    for unit in sorted(plan.units, key=lambda u: (-u.rows, u.uri, u.row_group or 0)):
        lightest = loads.index(min(loads))
        loads[lightest] += unit.rows
        if lightest == rank:
            mine.append(unit)
    return mine


def blocks_of(job: NeuralJob, unit: ScanUnit) -> Iterator[Block]:
    """Blocks of one unit, with the fold of its bucket."""
    fold = int(unit.partition["bucket"] or 0) % job.folds
    for batch in read_batches(job.plan, unit):
        yield job.reader(batch, fold)


def train(job: NeuralJob, progress: Path | None) -> NeuralFit:
    """Train this rank's share together with the others."""
    start_tensorflow(job.options.threads_per_process, own_process=True)
    from truelift.effects.neural.fitting import fit_networks

    ranks = HorovodRanks()
    units = units_of(job.plan, ranks.rank, ranks.size)
    rows = RankRows(
        parts=[partial(blocks_of, job, unit) for unit in units],
        validation=job.options.validation,
        batch_size=job.options.batch_size,
        seed=(job.options.seed, ranks.rank),
    )
    features, outcomes = len(job.reader.covariates), job.reader.outcome_count
    report = _reporter(progress if ranks.rank == 0 else None)
    return fit_networks(
        rows, job.options, job.folds, features, job.reader.arms, outcomes, ranks, report,
        sequential=job.sequential,
    )  # fmt: skip


def _reporter(path: Path | None):  # type: ignore[no-untyped-def]
    write = reporter(str(path) if path else None, 0)
    return lambda text, done, total: write(text=text, done=done, total=total)


def main(folder: str) -> None:
    """Read ``job.pickle`` of the folder; rank 0 leaves ``result.pickle`` there."""
    run_rank(folder, _files)


def _files(place: Path) -> dict[str, bytes]:
    # Written by the launcher on this machine a moment ago, into a folder of its own.
    job = pickle.loads((place / "job.pickle").read_bytes())
    return {"result.pickle": pickle.dumps(train(job, place / "progress.jsonl"))}


if __name__ == "__main__":
    main(sys.argv[1])
