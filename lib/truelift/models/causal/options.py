"""What the networks look like and how they are trained."""

from __future__ import annotations

from dataclasses import dataclass

from truelift.settings.checks import require

KINDS = ("tarnet", "dragonnet")


@dataclass(frozen=True)
class NeuralOptions:
    """Options of ``effects.nuisances.learners.neural``.

    Parameters
    ----------
    kind : str
        ``'tarnet'``: a shared representation with an outcome head for every arm, and a
        propensity model of its own (Shalit, Johansson & Sontag 2017 leave it out, a doubly robust
        score needs one). ``'dragonnet'``: the propensity is a head on the same representation
        (Shi, Blei & Veitch 2019).
    model : str, optional
        URI of networks that ``train_causal`` registered for the same table version, folds and
        columns; they are applied and nothing is trained.
    stacked : bool
        Combine the networks with the linear models by their errors out of fold
        (:mod:`~truelift.effects.nuisances.stack`); off, the networks stand alone.
    shared, head : tuple of int
        Widths of the hidden layers of the representation and of each outcome head.
    propensity_weight : float
        Weight of the propensity's cross-entropy beside the outcomes' squared errors.
    tempered : bool
        Draw the arms' log odds towards their shares as far as validation rows ask for
        (:mod:`~.tempering`).
    targeted : float
        Weight of targeted regularisation (Shi et al. 2019, section 4); 0 switches it off.
    epochs : int
    patience : int
        Epochs without a better validation loss of any fold's model.
    least_steps : int
        Steps of the whole schedule: where units are few and epochs short there are more epochs
        than ``epochs``, up to so many steps, and ``patience`` grows with them.
    batch_size : int
        Most units a step, all processes together; an epoch of fewer than 50 such steps takes
        smaller ones, of at least 32 units.
    learning_rate : float
        Of AdamW; it follows a warm-up and a cosine.
    weight_decay : float, optional
        Of AdamW; by default 1,000 by the number of units, and 2 at most: as with a ridge, what is
        believed beforehand weighs less the more units there are.
    validation : float
        Share of the clusters that chooses the epoch and trains no model.
    processes : int
        Horovod processes.
    threads_per_process : int
    seed : int
    timeout_seconds : int
    """

    kind: str = "dragonnet"
    model: str | None = None
    stacked: bool = True
    shared: tuple[int, ...] = (64, 64)
    head: tuple[int, ...] = (32,)
    propensity_weight: float = 1.0
    tempered: bool = True
    targeted: float = 0.0
    epochs: int = 30
    patience: int = 5
    least_steps: int = 2000
    batch_size: int = 512
    learning_rate: float = 0.002
    weight_decay: float | None = None
    validation: float = 0.15
    processes: int = 2
    threads_per_process: int = 1
    seed: int = 0
    timeout_seconds: int = 3600

    def __post_init__(self) -> None:
        def need(name: str, condition: bool, expected: str) -> None:
            require(
                condition,
                f"effects.nuisances.learners.neural.{name}",
                getattr(self, name),
                expected,
            )

        need("kind", self.kind in KINDS, f"one of {', '.join(KINDS)}")
        for name in ("epochs", "patience", "batch_size", "processes", "threads_per_process"):
            need(name, getattr(self, name) >= 1, "at least 1")
        for name in ("shared", "head"):
            widths = getattr(self, name)
            need(name, all(w >= 1 for w in widths), "widths of at least 1")
        need("shared", len(self.shared) >= 1, "at least one layer")
        for name in ("propensity_weight", "targeted"):
            need(name, getattr(self, name) >= 0, "at least 0")
        decay = self.weight_decay is None or self.weight_decay >= 0
        need("weight_decay", decay, "at least 0, or none")
        need("least_steps", self.least_steps >= 0, "at least 0")
        need("learning_rate", self.learning_rate > 0, "above 0")
        need("validation", 0 < self.validation < 0.5, "a share in (0, 0.5)")
