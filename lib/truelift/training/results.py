"""What training leaves behind: one record an epoch, and ranking metrics on the test window."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from truelift.evaluation.results import RankingMetrics

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EpochRecord", "RankingMetrics", "TrainingResult"]


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of training.

    Parameters
    ----------
    epoch : int
        Counted from 1.
    train_loss, validation_loss : float
        Cross-entropy of a session's items, in nats: the training mean weighs sessions by the
        root of their size, the validation mean weighs users equally.
    validation_ndcg : float
        Full-ranking NDCG on the validation window; not a number for a classifier.
    seconds : float
        Wall time of the epoch.
    sequences_per_second : float
        Training sequences a second, all processes together.
    input_wait_share : float
        Share of the time that training waited for input, in [0, 1].
    validation_accuracy : float, optional
        Share of next actions that a classifier foretells.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    validation_ndcg: float
    seconds: float
    sequences_per_second: float
    input_wait_share: float
    validation_accuracy: float | None = None

    @property
    def validation_value(self) -> float:
        """What chooses the epoch: NDCG, or a classifier's accuracy."""
        accuracy = self.validation_accuracy
        return self.validation_ndcg if accuracy is None else accuracy

    def metrics(self) -> dict[str, float]:
        """As they are logged, by epoch."""
        measure = "validation_ndcg" if self.validation_accuracy is None else "validation_accuracy"
        return {
            "train_loss": self.train_loss,
            "validation_loss": self.validation_loss,
            measure: self.validation_value,
            "sequences_per_second": self.sequences_per_second,
            "input_wait_share": self.input_wait_share,
            "epoch_seconds": self.seconds,
        }


@dataclass(frozen=True)
class TrainingResult:
    """A trained sequence model beside its baselines.

    Parameters
    ----------
    epochs : tuple of EpochRecord
    test : tuple of RankingMetrics
        The trained model first, then the baselines.
    processes : int
        Horovod processes that trained together.
    parameters : int
        Trainable parameters of the model.
    train_sequences : int
        Sequences in the training part.
    split : dict of str to str
        ISO times ``validation_start`` and ``test_start`` of the global temporal split.
    model_uri, model_version : str or None
        Where MLflow keeps the model, and its registered version.
    best_baseline : str or None
        The baseline with the best NDCG on the validation part; ``differences`` are to it.
    seen_items : str
        ``'keep'`` or ``'drop'``: whether items of a user's past were ranked.
    left_out : int
        Test users who wanted only what they had seen, where that is dropped.
    notes : tuple of str
        Baselines and metrics that are missing, and why; warnings.
    gate : str
        What the gate said (:mod:`truelift.evaluation.gate`).
    below_baseline : str or None
        The best baseline, where the model is below it on the test part.
    champion_version : str or None
        Registered version of the champion after the gate.
    champion_unknown_items : int
        Items of the catalogue that this champion has never seen, so that nobody is offered them.
    """

    epochs: tuple[EpochRecord, ...]
    test: tuple[RankingMetrics, ...]
    processes: int
    parameters: int
    train_sequences: int
    split: dict[str, str]
    model_uri: str | None
    model_version: str | None
    best_baseline: str | None = None
    seen_items: str = "keep"
    left_out: int = 0
    notes: tuple[str, ...] = ()
    gate: str = ""
    below_baseline: str | None = None
    champion_version: str | None = None
    champion_unknown_items: int = 0

    def __repr__(self) -> str:
        ranked = "; ".join(f"{m.model} NDCG@{m.k} {m.ndcg:.4f}" for m in self.test)
        return (
            f"TrainingResult({len(self.epochs)} epochs on {self.train_sequences:,} sequences, "
            f"{self.processes} processes, {self.parameters:,} parameters; {ranked})"
        )

    def to_pandas(self) -> pd.DataFrame:
        """The ranking metrics on the test window, one row a model."""
        import pandas as pd

        measures = ("measures", "segments", "differences")
        rows = [{k: v for k, v in asdict(m).items() if k not in measures} for m in self.test]
        return pd.DataFrame(rows)
