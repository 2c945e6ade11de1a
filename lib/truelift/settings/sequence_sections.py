"""How sequences are learned: the sections of ``sequence``, by what each is about."""

from __future__ import annotations

from dataclasses import dataclass

from truelift.settings.checks import needs

SPLITS = ("temporal", "leave_one_out", "by_user")
LOSSES = ("full_softmax", "sampled_softmax", "bce", "gbce")
CORRECTIONS = ("none", "ips", "snips")
POSITIONS = ("next", "every")
SIDE_FEATURES = ("event_type", "category", "gap_bucket")


@dataclass(frozen=True)
class HistorySection:
    """What is learned from: the section ``sequence.histories``.

    ``step`` says what one step of a sequence is: a ``session`` (a set of items) or an ``event``.
    The model looks back ``max_length`` steps, and reads ``side_features`` of each.
    """

    step: str = "session"
    max_length: int = 100
    side_features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        need = needs("sequence.histories", self)
        need("step", self.step in ("session", "event"), "'session' or 'event'")
        need("max_length", self.max_length >= 1, "at least 1")
        known = set(self.side_features) <= set(SIDE_FEATURES)
        need("side_features", known, f"some of {', '.join(SIDE_FEATURES)}")


@dataclass(frozen=True)
class NetworkSection:
    """Of what size and kind the model is: the section ``sequence.network``.

    ``embedding_spread`` is the standard deviation of item embeddings at the start (event models; 0:
    ``units ** -0.5``). ``expansion`` and ``relative_time`` belong to SASRec.
    """

    units: int = 64
    layers: int = 1
    heads: int = 1
    dropout: float = 0.2
    embedding_spread: float = 0.02
    expansion: int = 1
    relative_time: bool = False

    def __post_init__(self) -> None:
        need = needs("sequence.network", self)
        for name in ("units", "layers", "heads", "expansion"):
            need(name, getattr(self, name) >= 1, "at least 1")
        need("units", self.units % self.heads == 0, "a multiple of sequence.network.heads")
        need("dropout", 0 <= self.dropout < 1, "a share in [0, 1)")
        need("embedding_spread", self.embedding_spread >= 0, "at least 0")


@dataclass(frozen=True)
class TrainingSection:
    """How the model learns: the section ``sequence.training``.

    ``negatives`` and ``calibration`` belong to the sampled losses. ``batch_size`` counts windows of
    all processes together, so the number of processes changes no result. ``reading`` says whether
    every process reads all of the table (``all``) or its own part (``own``, for tables that are too
    large for that). ``tune`` is a number of trials. ``warm_start`` is a registered version or alias
    (``champion``) whose weights the training begins with.

    ``correction`` weighs each interaction by ``1 / p``, p the chance of having been shown by
    popularity to the power ``correction_power``, at most ``correction_clip`` times the mean:
    ``ips``, or ``snips`` where a batch's weights are its number of targets.
    """

    loss: str = "full_softmax"
    negatives: int = 256
    calibration: float = 0.75
    epochs: int = 5
    batch_size: int = 8
    accumulate: int = 1
    learning_rate: float = 0.003
    warmup_steps: int = 50
    final_rate: float = 0.02
    patience: int = 2
    mixed_precision: bool = False
    shuffle_buffer: int = 4096
    reading: str = "all"
    tune: int = 0
    warm_start: str | None = None
    correction: str = "none"
    correction_power: float = 0.5
    correction_clip: float = 10.0

    def __post_init__(self) -> None:
        need = needs("sequence.training", self)
        need("correction", self.correction in CORRECTIONS, f"one of {', '.join(CORRECTIONS)}")
        need("correction_power", 0 < self.correction_power <= 2, "above 0 and at most 2")
        need("correction_clip", self.correction_clip >= 1, "at least 1, times the mean weight")
        plain = self.correction == "none" or self.tune == 0
        need("correction", plain, "none together with sequence.training.tune")
        need("loss", self.loss in LOSSES, f"one of {', '.join(LOSSES)}")
        need("calibration", 0 <= self.calibration <= 1, "a share in [0, 1]")
        for name in ("negatives", "epochs", "batch_size", "accumulate"):
            need(name, getattr(self, name) >= 1, "at least 1")
        need("final_rate", 0 <= self.final_rate <= 1, "a share of learning_rate in [0, 1]")
        need("reading", self.reading in ("all", "own"), "'all' or 'own'")
        need("tune", self.tune == 0 or self.tune >= 2, "0 (no search) or at least 2 trials")
        alone = self.warm_start is None or self.tune == 0
        others = "nothing together with sequence.training.tune, whose trials have other shapes"
        need("warm_start", alone, others)


@dataclass(frozen=True)
class RankSection:
    """The processes that share the work: the section ``sequence.ranks``."""

    processes: int = 2
    launcher: str = "local"
    threads_per_process: int = 1
    network_interfaces: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        need = needs("sequence.ranks", self)
        need("processes", self.processes >= 1, "at least 1")
        need("launcher", self.launcher in ("local", "spark"), "'local' or 'spark'")


@dataclass(frozen=True)
class RecoverySection:
    """What is kept for when something breaks, and when it counts as broken: ``sequence.recovery``.

    ``checkpoint`` is a folder (a URI), by default one in the lake; a file comes there every
    ``checkpoint_steps`` batches. ``timeout_seconds`` bounds the whole training, restarts included.
    """

    checkpoint: str | None = None
    checkpoint_steps: int = 200
    restarts: int = 2
    hang_seconds: int = 300
    timeout_seconds: int = 86400

    def __post_init__(self) -> None:
        need = needs("sequence.recovery", self)
        need("checkpoint_steps", self.checkpoint_steps >= 1, "at least 1")
        need("restarts", self.restarts >= 0, "at least 0")
        need("hang_seconds", self.hang_seconds >= 5, "at least 5: a rank gives a sign a second")


@dataclass(frozen=True)
class EvaluationSection:
    """What is kept apart, and how lists are measured on it: the section ``sequence.evaluation``.

    ``split`` says what is kept apart for validation and test; ``validation_days`` and ``test_days``
    belong to the temporal split, ``held_out_users`` to the split by user. ``positions`` says whether
    one step a user is foretold (``next``) or every step that is held out (``every``). ``test_file``
    is a file of interactions that is the test part, whatever ``split`` says. ``seen_items`` says
    whether evaluation ranks items of the user's past (``keep``) or leaves them out (``drop``);
    ``sampled_candidates`` adds metrics among that many drawn items, which are biased.

    ``table`` is a table (CSV, Parquet or Delta) of labels that were drawn by lot, with the columns
    ``table_columns`` for user, item and label; labels of at least ``positive`` are positive.
    """

    split: str = "temporal"
    validation_days: int = 28
    test_days: int = 28
    held_out_users: float = 0.1
    positions: str = "next"
    test_file: str | None = None
    top_k: int = 10
    cutoffs: tuple[int, ...] = (1, 5, 10, 20)
    seen_items: str = "keep"
    sampled_candidates: int | None = None
    neighbours: int = 100
    table: str | None = None
    table_columns: tuple[str, ...] = ("user", "item", "label")
    positive: float = 1.0

    def __post_init__(self) -> None:
        need = needs("sequence.evaluation", self)
        need("split", self.split in SPLITS, f"one of {', '.join(SPLITS)}")
        need("positions", self.positions in POSITIONS, f"one of {', '.join(POSITIONS)}")
        every = self.split != "leave_one_out" or self.test_file is not None
        one = (
            "'next' with sequence.evaluation.split leave_one_out, which holds out one step a user; "
            "'every' goes with temporal and by_user"
        )
        need("positions", self.positions == "next" or every, one)
        need("held_out_users", 0 < self.held_out_users < 1, "a share in (0, 1)")
        lengths = len(self.cutoffs) > 0 and all(k >= 1 for k in self.cutoffs)
        need("cutoffs", lengths, "lengths of ranked lists")
        need("seen_items", self.seen_items in ("keep", "drop"), "'keep' or 'drop'")
        drawn = self.sampled_candidates is None or self.sampled_candidates >= 1
        need("sampled_candidates", drawn, "a number of drawn items, or nothing")
        three = len(set(self.table_columns)) == 3
        need("table_columns", three, "three columns: of the user, the item and the label")
        for name in ("top_k", "neighbours"):
            need(name, getattr(self, name) >= 1, "at least 1")
