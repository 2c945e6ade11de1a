"""Networks of a table's rows, trained by Horovod ranks that read its files themselves."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from truelift.distributed.processes import run_processes
from truelift.effects.neural.rank import NeuralJob
from truelift.errors import DataError, TableError

if TYPE_CHECKING:
    from truelift.effects.boosting.barrier import Reader
    from truelift.effects.neural.results import NeuralFit
    from truelift.lake.scan import ScanPlan
    from truelift.models.causal.options import NeuralOptions


def fit_on_plan(
    plan: ScanPlan, reader: Reader, folds: int, options: NeuralOptions,
    progress: Callable[[str], None] = lambda text: None, *, sequential: bool = False,
) -> NeuralFit:  # fmt: skip
    """Cross-fitted networks of a table partitioned by bucket.

    Parameters
    ----------
    plan : ScanPlan
        Pinned to a version; its columns include the reader's.
    reader : Reader
        Picklable; makes blocks of features.
    folds : int
        K; ``fold = bucket % K``.
    options : NeuralOptions
    progress : callable, optional
        Told a line now and then.
    sequential : bool
        See :func:`~truelift.effects.panel.training_folds.training_folds`.

    Raises
    ------
    TableError
        If the ranks cannot open the table's files themselves.
    DataError
        If the table has fewer units of reading than there are ranks, or the training fails for
        what the rows are; see :func:`~.fitting.fit_networks`.
    JobFailure
        If a rank fails.
    """
    if not plan.direct:
        raise TableError(
            f"{plan.table} cannot be read by the training processes: {plan.reason}. Write it "
            "afresh, or use another learner."
        )
    narrow = plan.select(reader.columns)
    if len(narrow.units) < options.processes:
        raise DataError(
            f"{plan.table}: found {len(narrow.units)} row groups for {options.processes} processes, "
            "expected at least one each; lower effects.nuisances.learners.neural.processes."
        )

    def tell(event: Mapping[str, Any]) -> None:
        progress(f"networks of {folds} folds: {event['text']}")

    with tempfile.TemporaryDirectory(prefix="truelift-neural-") as place:
        folder = Path(place)
        job = NeuralJob(narrow, reader, folds, options, sequential)
        (folder / "job.pickle").write_bytes(pickle.dumps(job))
        run_processes(
            "truelift.effects.neural.rank",
            folder,
            options.processes,
            options.threads_per_process,
            ("effects.nuisances.learners.neural.timeout_seconds", float(options.timeout_seconds)),
            tell,
        )
        fit: NeuralFit = pickle.loads((folder / "result.pickle").read_bytes())
    return fit
