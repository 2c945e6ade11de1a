"""What training leaves behind: one record an epoch, and ranking metrics on the test window."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from truelift.recommend.evaluated import RankingMetrics

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
    """

    epochs: tuple[EpochRecord, ...]
    test: tuple[RankingMetrics, ...]
    processes: int
    parameters: int
    train_sequences: int
    split: dict[str, str]
    model_uri: str | None
    model_version: str | None

    def __repr__(self) -> str:
        ranked = "; ".join(f"{m.model} NDCG@{m.k} {m.ndcg:.4f}" for m in self.test)
        return (
            f"TrainingResult({len(self.epochs)} epochs on {self.train_sequences:,} sequences, "
            f"{self.processes} processes, {self.parameters:,} parameters; {ranked})"
        )

    def to_pandas(self) -> pd.DataFrame:
        """The ranking metrics on the test window, one row a model."""
        import pandas as pd

        return pd.DataFrame([asdict(m) for m in self.test])

    def epochs_to_pandas(self) -> pd.DataFrame:
        """The training history, one row an epoch."""
        import pandas as pd

        return pd.DataFrame([asdict(e) for e in self.epochs])
