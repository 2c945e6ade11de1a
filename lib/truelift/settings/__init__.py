"""The options of every room, as frozen dataclasses that validate themselves.

Values come from the YAML layers (see :mod:`truelift.config`); the defaults here are those of
``conf/base.yaml`` and are used when a room is called from Python without any file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from truelift.errors import ConfigError
from truelift.settings.checks import require
from truelift.settings.clean import BotOptions as BotOptions
from truelift.settings.clean import CleanOptions
from truelift.settings.effects import EffectOptions
from truelift.settings.loop import LoopStepOptions
from truelift.settings.panel_choice import PanelOptions as PanelOptions
from truelift.settings.recommend import RecommendOptions as RecommendOptions
from truelift.settings.sequence import SequenceOptions
from truelift.settings.sessions import SessionOptions
from truelift.settings.source import ALL_COLUMNS as ALL_COLUMNS
from truelift.settings.source import FORMATS as FORMATS
from truelift.settings.source import MappingOptions as MappingOptions
from truelift.settings.source import ReferenceOptions as ReferenceOptions
from truelift.settings.source import SourceOptions


@dataclass(frozen=True)
class FeatureOptions:
    """The item level of sequences and profiles, and where an item's category stands.

    ``repeats`` keeps an item as often as it comes within a session; by default it stands there
    once. ``sequence_of`` makes a row of ``gold.sequences`` of each ``user`` or of each ``session``.
    """

    item_level: str = "item_id"
    min_item_count: int = 5
    max_sequence_events: int | None = None
    category_column: str = "category"
    repeats: bool = False
    sequence_of: str = "user"

    def __post_init__(self) -> None:
        require(
            self.sequence_of in ("user", "session"),
            "features.sequence_of",
            self.sequence_of,
            "'user' or 'session'",
        )
        require(
            self.min_item_count >= 1, "features.min_item_count", self.min_item_count, "at least 1"
        )


@dataclass(frozen=True)
class PrivacyOptions:
    """Where the secret lies under which users are made pseudonymous.

    ``key_variable`` names a variable of the environment; ``secret_scope`` and ``secret_name``
    a secret of the platform (Databricks), which goes first. ``required`` asks for one in the
    environment ``local`` too; elsewhere there has to be one.
    """

    key_variable: str = "TRUELIFT_USER_KEY"
    secret_scope: str | None = None
    secret_name: str = "truelift-user-key"
    required: bool = False


@dataclass(frozen=True)
class TrackingOptions:
    """Where MLflow keeps its runs, under which names, and when a model becomes champion.

    A new sequence model takes the alias where its NDCG is above the champion's by more than
    ``promote_margin`` with one-sided ``promote_confidence``. ``system_metrics`` logs use of
    processor, memory, disk and network every ten seconds.
    """

    uri: str = "sqlite:///.truelift/mlflow.db"
    artifacts: str | None = None
    experiment: str = "truelift"
    model_name: str = "truelift-sequence"
    promote_confidence: float = 0.95
    promote_margin: float = 0.0
    system_metrics: bool = True

    def __post_init__(self) -> None:
        require(
            0.5 <= self.promote_confidence < 1,
            "tracking.promote_confidence",
            self.promote_confidence,
            "a confidence in [0.5, 1)",
        )


@dataclass(frozen=True)
class ReportOptions:
    """The directory that receives the HTML report and the Data Docs."""

    path: str = ".truelift/report"


@dataclass(frozen=True)
class SparkOptions:
    """The embedded session; an existing session (a cluster, Databricks) is used as it is."""

    master: str | None = "local[*]"
    driver_memory: str = "3g"
    shuffle_partitions: int = 8
    conf: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """The resolved configuration of one run.

    ``lake`` is the URI of the data set's lake; ``buckets`` (of users) and ``period`` (of time)
    are how its large tables are partitioned.
    """

    dataset: str = "complete_journey"
    env: str = "local"
    lake: str = ".truelift/lake"
    seed: int = 7
    sample: float = 1.0
    buckets: int = 40
    period: str = "month"
    source: SourceOptions = field(default_factory=SourceOptions)
    clean: CleanOptions = field(default_factory=CleanOptions)
    sessions: SessionOptions = field(default_factory=SessionOptions)
    features: FeatureOptions = field(default_factory=FeatureOptions)
    panel: PanelOptions = field(default_factory=PanelOptions)
    sequence: SequenceOptions = field(default_factory=SequenceOptions)
    effects: EffectOptions = field(default_factory=EffectOptions)
    recommend: RecommendOptions = field(default_factory=RecommendOptions)
    loop: LoopStepOptions = field(default_factory=LoopStepOptions)
    privacy: PrivacyOptions = field(default_factory=PrivacyOptions)
    tracking: TrackingOptions = field(default_factory=TrackingOptions)
    report: ReportOptions = field(default_factory=ReportOptions)
    spark: SparkOptions = field(default_factory=SparkOptions)

    def __post_init__(self) -> None:
        require(0 < self.sample <= 1, "sample", self.sample, "a share of users in (0, 1]")
        require(self.buckets >= 1, "buckets", self.buckets, "at least 1")
        periods = ("day", "week", "month", "quarter", "year", "all")
        require(self.period in periods, "period", self.period, f"one of {periods}")
        require(
            self.buckets >= self.effects.nuisances.folds,
            "buckets",
            self.buckets,
            f"at least effects.nuisances.folds ({self.effects.nuisances.folds}), for folds are made of buckets",
        )

    def section(self, name: str) -> Any:
        """The value under one top-level key; used for fingerprints."""
        if name not in {f.name for f in fields(self)}:
            raise ConfigError(f"There is no settings section {name!r}.")
        return getattr(self, name)
