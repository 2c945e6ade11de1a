"""Training by truelift on a file of interactions, without Spark: what the job's ranks do.

The histories are written as ``gold.sequences`` writes them, as Parquet files that a scan plan
lists; the ranks read and train as they do for the job ``train_sequence``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from sequence_data import Interactions

from truelift.models.sequence import registry
from truelift.models.sequence.histories import Histories
from truelift.settings import SequenceOptions
from truelift.training.in_memory import train_here
from truelift.training.rank import RankResult
from truelift.typed import from_plain

RECIPES = Path(__file__).parent.parent / "conf" / "models"


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
    told = _epoch_lines(label)
    # Lists are made from the weights, by the same evaluator for all.
    result, weights = train_here(histories(data), len(data.item_keys), options, seed, told)
    return Trained(options, len(data.item_keys), result, weights)


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


def _epoch_lines(label: str) -> Callable[[Mapping[str, Any]], None]:
    def tell(event: Mapping[str, Any]) -> None:
        if "validation" in event["text"]:
            print(f"  {label}: {event['text']}", flush=True)

    return tell
