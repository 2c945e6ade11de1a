"""Training on histories at hand: the ranks of ``train_sequence``, on files that are written for them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from truelift.evaluation.splits import split_from, split_to_plain
from truelift.lake.scan import ScanPlan, ScanUnit, schema_hex
from truelift.models.sequence.histories import COLUMNS, Histories
from truelift.settings import SequenceOptions
from truelift.training.launcher import launch
from truelift.training.rank import RankJob, RankResult

_SCHEMA = pa.schema(
    [
        ("user_key", pa.string()),
        ("item_index", pa.list_(pa.int32())),
        ("event_time", pa.list_(pa.int64())),
        ("session_number", pa.list_(pa.int32())),
    ]
)
# Units that the feed mixes.
_FILES = 4


def train_here(
    histories: Histories,
    items: int,
    options: SequenceOptions,
    seed: int,
    on_progress: Callable[[Mapping[str, Any]], None],
) -> tuple[RankResult, dict[str, np.ndarray]]:
    """Train a sequence model on histories in memory, in processes of this machine.

    Parameters
    ----------
    histories : Histories
        Of all users; the split of the options says what is learned from. Its test part is not looked at.
    items : int
        Size of the vocabulary; items are 1 to ``items``.
    options : SequenceOptions
    seed : int
    on_progress : callable
        Gets each progress event: a mapping with ``text``.

    Returns
    -------
    RankResult, dict of str to numpy.ndarray
        How the training went, and the weights that were best on the validation part.
    """
    first, last = int(histories.times.min()), int(histories.times.max())
    with tempfile.TemporaryDirectory(prefix="truelift-training-") as folder:
        place = Path(folder)
        job = RankJob(
            plan=_written(histories, place / "sequences").to_json(),
            split=split_to_plain(split_from(options, first, last)),
            items=items,
            seed=seed,
            sequence=options,
            test=False,
        )
        return launch(job, place / "ranks", on_progress)


def _written(histories: Histories, folder: Path) -> ScanPlan:
    """The histories as Parquet files, as ``gold.sequences`` has them, and a plan that lists them."""
    folder.mkdir(parents=True)
    units = []
    bounds = len(histories) * np.arange(_FILES + 1) // _FILES
    for number, (start, stop) in enumerate(pairwise(bounds)):
        path = folder / f"part-{number}.parquet"
        pq.write_table(_table(histories.slice(int(start), int(stop))), path)
        size = path.stat().st_size
        units.append(ScanUnit(str(path), None, int(stop - start), size, {"bucket": None}))
    return ScanPlan(
        "gold.sequences", str(folder), 0, COLUMNS, tuple(units), schema_hex=schema_hex(_SCHEMA)
    )


def _table(histories: Histories) -> pa.Table:
    offsets = pa.array(histories.offsets, pa.int32())
    lists = [
        pa.ListArray.from_arrays(offsets, pa.array(values, kind))
        for values, kind in (
            (histories.items, pa.int32()),
            (histories.times, pa.int64()),
            (histories.sessions, pa.int32()),
        )
    ]
    users = pa.array(histories.users, pa.string())
    return pa.Table.from_arrays([users, *lists], schema=_SCHEMA)
