"""One Horovod process of the neural nuisances: ``python -m truelift.effects.neural.rank FOLDER``."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from truelift.arrays.shares import about_equal
from truelift.distributed.horovod_ranks import HorovodRanks
from truelift.distributed.rank import reporter, run_rank
from truelift.effects.boosting.reading import Block
from truelift.effects.neural.batches import RankRows
from truelift.lake.scan import ScanPlan, ScanUnit, read_batches
from truelift.models.causal.options import NeuralOptions
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


def units_of(plan: ScanPlan, rank: int, size: int) -> list[ScanUnit]:
    """The units of one rank: the largest first, each to the rank with the fewest rows."""
    units = sorted(plan.units, key=lambda u: (u.uri, u.row_group or 0))
    return [units[i] for i in about_equal([unit.rows for unit in units], size)[rank]]


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


def _reporter(path: Path | None) -> Callable[[str, int, int], None]:
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
