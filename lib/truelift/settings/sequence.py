"""The sequence models, their training and their evaluation: the section ``sequence``."""

from __future__ import annotations

from dataclasses import dataclass, field

from truelift.older_names import sectioned
from truelift.settings.checks import require
from truelift.settings.sequence_sections import (
    EvaluationSection,
    HistorySection,
    NetworkSection,
    RankSection,
    RecoverySection,
    TrainingSection,
)


@sectioned(
    "sequence", "histories", "network", "training", "ranks", "recovery", "evaluation"
)  # fmt: skip
@dataclass(frozen=True)
class SequenceOptions:
    """The sequence model, its training, and the processes that share the work.

    docs/sequences.md explains every key. ``model`` is a name of ``models/sequence/registry.py``; all
    else stands in a section. Every option of a section may also be given here by its own name, as
    before there were sections (``epochs=3``): for one release, with a message.
    """

    model: str = "basket_gru"
    histories: HistorySection = field(default_factory=HistorySection)
    network: NetworkSection = field(default_factory=NetworkSection)
    training: TrainingSection = field(default_factory=TrainingSection)
    ranks: RankSection = field(default_factory=RankSection)
    recovery: RecoverySection = field(default_factory=RecoverySection)
    evaluation: EvaluationSection = field(default_factory=EvaluationSection)

    def __post_init__(self) -> None:
        held_out, classifies = self.evaluation, self.model == "next_action"
        key, every = "sequence.evaluation", held_out.positions == "every"
        require(not (every and classifies), f"{key}.positions", held_out.positions,
                "'next' with sequence.model next_action")  # fmt: skip
        file = held_out.test_file
        require(file is None or not every or self.histories.step == "event", f"{key}.test_file", file,
                "sequence.histories.step event beside it where every position is foretold")  # fmt: skip
        require(file is None or not classifies, f"{key}.test_file", file,
                "nothing with sequence.model next_action: the file has items and no event types")  # fmt: skip
