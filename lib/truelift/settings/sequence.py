"""The sequence models, their training and their evaluation: the section ``sequence``."""

from __future__ import annotations

from dataclasses import dataclass

from truelift.settings.checks import require

SPLITS = ("temporal", "leave_one_out", "by_user")
POSITIONS = ("next", "every")
LOSSES = ("full_softmax", "sampled_softmax", "bce", "gbce")
SIDE_FEATURES = ("event_type", "category", "gap_bucket")


@dataclass(frozen=True)
class SequenceOptions:
    """The sequence model, its training, and the processes that share the work.

    ``batch_size`` counts windows of all processes together, so the number of processes changes
    no result. ``reading`` says whether every process reads all of the table (``all``) or its own
    part (``own``, for tables that are too large for that). ``tune`` is a number of trials.
    ``warm_start`` is a registered version or alias (``champion``) whose weights the training
    begins with.
    docs/sequences.md explains every key. ``step`` says what one step of a sequence is: a
    session (a set of items) or an event. ``split`` says what is kept apart for validation and
    test; ``validation_days`` and ``test_days`` belong to the temporal split, ``held_out_users``
    to the split by user; ``positions`` says whether one step a user is foretold (``next``) or
    every step that is held out (``every``). ``test_file`` is a file of interactions that is the
    test part, whatever ``split`` says. ``seen_items`` says whether evaluation ranks items of the user's past
    (``keep``) or leaves them out (``drop``); ``sampled_candidates`` adds metrics among that many
    drawn items, which are biased. ``negatives`` and ``calibration`` belong to the
    sampled losses. ``embedding_spread`` is the standard deviation of item embeddings at the start
    (event models; 0: ``units ** -0.5``).
    """

    model: str = "basket_gru"
    processes: int = 2
    launcher: str = "local"
    threads_per_process: int = 1
    network_interfaces: tuple[str, ...] = ()
    # what is learned from
    step: str = "session"
    max_length: int = 100
    side_features: tuple[str, ...] = ()
    split: str = "temporal"
    validation_days: int = 28
    test_days: int = 28
    held_out_users: float = 0.1
    positions: str = "next"
    test_file: str | None = None
    # the model
    units: int = 64
    layers: int = 1
    heads: int = 1
    dropout: float = 0.2
    embedding_spread: float = 0.02
    expansion: int = 1
    relative_time: bool = False
    loss: str = "full_softmax"
    negatives: int = 256
    calibration: float = 0.75
    # training
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
    # recovery
    checkpoint: str | None = None
    checkpoint_steps: int = 200
    restarts: int = 2
    hang_seconds: int = 300
    timeout_seconds: int = 86400
    # evaluation
    top_k: int = 10
    cutoffs: tuple[int, ...] = (1, 5, 10, 20)
    seen_items: str = "keep"
    sampled_candidates: int | None = None
    neighbours: int = 100

    def __post_init__(self) -> None:
        def need(name: str, condition: bool, expected: str) -> None:
            require(condition, f"sequence.{name}", getattr(self, name), expected)

        need("step", self.step in ("session", "event"), "'session' or 'event'")
        need("launcher", self.launcher in ("local", "spark"), "'local' or 'spark'")
        need("reading", self.reading in ("all", "own"), "'all' or 'own'")
        need("tune", self.tune == 0 or self.tune >= 2, "0 (no search) or at least 2 trials")
        need(
            "warm_start",
            self.warm_start is None or self.tune == 0,
            "nothing together with sequence.tune, whose trials have other shapes",
        )
        need("split", self.split in SPLITS, f"one of {', '.join(SPLITS)}")
        need("positions", self.positions in POSITIONS, f"one of {', '.join(POSITIONS)}")
        need(
            "positions",
            self.positions == "next" or self.split != "leave_one_out" or self.test_file is not None,
            "'next' with sequence.split leave_one_out, which holds out one step a user; 'every' "
            "goes with temporal and by_user",
        )
        need(
            "positions",
            self.positions == "next" or self.model != "next_action",
            "'next' with sequence.model next_action",
        )
        need(
            "test_file",
            self.test_file is None or self.positions == "next" or self.step == "event",
            "sequence.step event beside it where every position is foretold",
        )
        need(
            "test_file",
            self.test_file is None or self.model != "next_action",
            "nothing with sequence.model next_action: the file has items and no event types",
        )
        need("loss", self.loss in LOSSES, f"one of {', '.join(LOSSES)}")
        need("seen_items", self.seen_items in ("keep", "drop"), "'keep' or 'drop'")
        need(
            "side_features",
            set(self.side_features) <= set(SIDE_FEATURES),
            f"some of {', '.join(SIDE_FEATURES)}",
        )
        need("held_out_users", 0 < self.held_out_users < 1, "a share in (0, 1)")
        need("dropout", 0 <= self.dropout < 1, "a share in [0, 1)")
        need("embedding_spread", self.embedding_spread >= 0, "at least 0")
        need("final_rate", 0 <= self.final_rate <= 1, "a share of learning_rate in [0, 1]")
        need("calibration", 0 <= self.calibration <= 1, "a share in [0, 1]")
        need("units", self.units % max(self.heads, 1) == 0, "a multiple of sequence.heads")
        need("restarts", self.restarts >= 0, "at least 0")
        need("hang_seconds", self.hang_seconds >= 5, "at least 5: a rank gives a sign a second")
        need(
            "cutoffs",
            len(self.cutoffs) > 0 and all(k >= 1 for k in self.cutoffs),
            "lengths of ranked lists",
        )
        need(
            "sampled_candidates",
            self.sampled_candidates is None or self.sampled_candidates >= 1,
            "a number of drawn items, or nothing",
        )
        positive = (
            "processes", "epochs", "batch_size", "accumulate", "max_length", "units", "layers",
            "heads", "expansion", "top_k", "negatives", "checkpoint_steps", "neighbours",
        )  # fmt: skip
        for name in positive:
            need(name, getattr(self, name) >= 1, "at least 1")
