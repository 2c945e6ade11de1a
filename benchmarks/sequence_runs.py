"""Training by truelift on a file of interactions, without Spark: what the job's ranks do.

The histories are written as ``gold.sequences`` writes them, as Parquet files that a scan plan
lists; the ranks read and train as they do for the job ``train_sequence``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from sequence_data import Interactions

from truelift.evaluation.splits import split_from, split_to_plain
from truelift.lake.scan import ScanPlan, ScanUnit, schema_hex
from truelift.models.sequence import registry
from truelift.models.sequence.histories import COLUMNS, Histories
from truelift.settings import SequenceOptions
from truelift.training.launcher import launch
from truelift.training.rank import RankJob, RankResult
from truelift.typed import from_plain

RECIPES = Path(__file__).parent.parent / "conf" / "models"
SCHEMA = pa.schema(
    [
        ("user_key", pa.string()),
        ("item_index", pa.list_(pa.int32())),
        ("event_time", pa.list_(pa.int64())),
        ("session_number", pa.list_(pa.int32())),
    ]
)
FILES = 4


@dataclass(frozen=True)
class Trained:
    """A model of ours.

    Parameters
    ----------
    options : SequenceOptions
    items : int
    result : RankResult
    weights : mapping of str to numpy.ndarray
    """

    options: SequenceOptions
    items: int
    result: RankResult
    weights: Mapping[str, np.ndarray]

    @property
    def seconds(self) -> float:
        """Wall time of all epochs, without start, validation and test."""
        return sum(epoch.seconds for epoch in self.result.epochs)

    def scores(self, history: Interactions) -> np.ndarray:
        """Scores of all items after each history, shape (users, items + 1)."""
        from truelift.models.runtime import start_tensorflow
        from truelift.models.sequence.package import assign_weights

        ranks, seen = self.options.ranks, self.options.histories
        start_tensorflow(ranks.processes * ranks.threads_per_process)
        from truelift.models.sequence.scoring import SequenceRanker

        entry = registry.entry(self.options.model)
        model = entry.build(entry.options(self.items, self.options))
        assign_weights(model, self.weights)
        ranker = SequenceRanker(model, self.items, seen.max_length, seen.step)
        return ranker.scores(histories(history))


def recipe(name: str, **changes: Any) -> SequenceOptions:
    """A recipe of ``conf/models`` with some options changed, each by its own name, whatever its section."""
    given = yaml.safe_load((RECIPES / f"{name}.yaml").read_text(encoding="utf-8"))["sequence"]
    return replaced(from_plain(SequenceOptions, given), **changes)


def replaced(options: SequenceOptions, **changes: Any) -> SequenceOptions:
    """Options with some changed, each by its own name: no two sections have one of the same."""
    sections = {f.name: getattr(options, f.name) for f in fields(options) if f.name != "model"}
    for key, value in changes.items():
        (name,) = [n for n, section in sections.items() if hasattr(section, key)]
        sections[name] = replace(sections[name], **{key: value})
    return replace(options, **sections)


def train(data: Interactions, options: SequenceOptions, seed: int, label: str) -> Trained:
    """Train with the recipe's split; prints a line an epoch."""
    with tempfile.TemporaryDirectory(prefix="truelift-benchmark-") as folder:
        plan = write_units(data, Path(folder) / "sequences")
        job = RankJob(
            plan=plan.to_json(),
            split=split_to_plain(split_from(options, *_span(data))),
            items=len(data.item_keys),
            seed=seed,
            sequence=options,
            test=False,  # lists are made from the weights, by the same evaluator for all
        )
        ranks = Path(folder) / "ranks"
        ranks.mkdir()
        result, weights = launch(job, ranks, _epoch_lines(label))
    return Trained(options, len(data.item_keys), result, weights)


def write_units(data: Interactions, folder: Path) -> ScanPlan:
    """The histories as Parquet files, and a plan that lists them."""
    folder.mkdir(parents=True)
    bounds = data.users * np.arange(FILES + 1) // FILES
    units = []
    for number, (start, stop) in enumerate(pairwise(bounds)):
        path = folder / f"part-{number}.parquet"
        pq.write_table(_table(data, int(start), int(stop)), path)
        units.append(
            ScanUnit(str(path), None, int(stop - start), path.stat().st_size, {"bucket": None})
        )
    return ScanPlan(
        "gold.sequences", str(folder), 0, COLUMNS, tuple(units), schema_hex=schema_hex(SCHEMA)
    )


def histories(data: Interactions) -> Histories:
    """The same rows in memory; each event is a session of its own."""
    place = np.arange(len(data.items)) - data.offsets[data.owner]
    return Histories(
        data.user_keys.astype(str).astype(object),
        data.offsets,
        data.items.astype(np.int32),
        data.times * 1_000_000,
        place.astype(np.int32),
    )


def _span(data: Interactions) -> tuple[int, int]:
    """First and last time, in microseconds."""
    return int(data.times.min()) * 1_000_000, int(data.times.max()) * 1_000_000


def _table(data: Interactions, start: int, stop: int) -> pa.Table:
    rows = histories(data).slice(start, stop)
    offsets = pa.array(rows.offsets, pa.int32())

    def column(values: np.ndarray, kind: pa.DataType) -> pa.Array:
        return pa.ListArray.from_arrays(offsets, pa.array(values, kind))

    arrays = [
        pa.array(rows.users, pa.string()),
        column(rows.items, pa.int32()),
        column(rows.times, pa.int64()),
        column(rows.sessions, pa.int32()),
    ]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _epoch_lines(label: str) -> Callable[[Mapping[str, Any]], None]:
    def tell(event: Mapping[str, Any]) -> None:
        if "validation" in event["text"]:
            print(f"  {label}: {event['text']}", flush=True)

    return tell
